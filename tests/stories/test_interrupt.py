"""Ctrl-C ends `segue serve` without a traceback, also before it is ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def test_an_interrupt_while_the_service_starts_leaves_no_traceback(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = tmp_path / "said"
    command = [sys.executable, "-m", "features.cli", "serve", "--home", str(tmp_path / "home"), "--port", str(port)]
    with words.open("wb") as said:
        service = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            while "Starting production" not in words.read_text() and service.poll() is None:
                time.sleep(0.05)
            os.killpg(service.pid, signal.SIGINT)  # as a terminal does
            service.wait(120)
        finally:
            if service.poll() is None:
                os.killpg(service.pid, signal.SIGKILL)
    assert "Starting production" in words.read_text()
    assert "Traceback" not in words.read_text()
    assert "Warning" not in words.read_text()
