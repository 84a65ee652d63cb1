"""The sub-commands of `serving`."""

from __future__ import annotations

import typer


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
