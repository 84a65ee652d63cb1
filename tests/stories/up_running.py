"""`segue up` while a story watches it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True, slots=True)
class Up:
    """A running `segue up`."""

    home: Path
    address: str
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """What it and its children said so far."""
        logs = [self.home.with_suffix(".log"), *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())

    @staticmethod
    def environment() -> dict[str, str]:
        return dict(os.environ)


@contextlib.contextmanager
def running(home: Path, customers: int, port: int, **environment: str) -> Iterator[Up]:
    """Starts it in an empty home, and gives it once its traffic plays."""
    command = [sys.executable, "-m", "features.cli", "up", "--home", str(home), "--customers", str(customers)]
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".log").open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=out, stderr=out, env={**os.environ, **environment}
        )
    one = Up(home, f"http://127.0.0.1:{port}", process)
    try:
        wait_for_traffic(one)
        yield one
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_for_traffic(one: Up, seconds: float = 400.0) -> None:
    deadline = time.monotonic() + seconds
    while "decisions, reward" not in one.said:
        assert one.process.poll() is None, one.said
        assert time.monotonic() < deadline, one.said
        time.sleep(0.5)
    assert httpx.get(f"{one.address}/readyz", trust_env=False).status_code == 200
