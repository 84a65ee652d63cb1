"""Where a result comes from: the commit of the code, and what the process used."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path


def commit_of(folder: Path) -> str | None:
    """The commit checked out at `folder`, with `-dirty` when files differ from it; None outside a checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def peak_memory() -> int:
    """The most memory this process ever had at once, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts kilobytes, macOS bytes
