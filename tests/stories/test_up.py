"""`segue up`: from nothing to a decision over HTTP, and back to nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from experiments.processes import choose_port

SEGUE = [sys.executable, "-m", "features.cli"]


@pytest.mark.slow
def test_an_empty_home_is_brought_up_decides_learns_and_is_taken_down(tmp_path: Path) -> None:
    command = [
        *SEGUE,
        "up",
        "--home",
        str(tmp_path),
        "--customers",
        "500",
        "--port",
        str(port := choose_port("127.0.0.1", 0, insist=False)),
    ]
    once = subprocess.run([*command, "--once"], capture_output=True, text=True, timeout=240, check=False)
    assert once.returncode == 0, once.stdout + once.stderr
    assert '"decision_id"' in once.stdout
    assert '"accepted": 1' in once.stdout
    stays = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wait_for_decision(f"http://127.0.0.1:{port}")
        time.sleep(12.0)
    finally:
        stays.send_signal(signal.SIGINT)
        told = stays.communicate(timeout=60)[0]
    assert stays.returncode == 0, told
    assert "decisions, reward" in told
    assert not [line for line in processes() if str(tmp_path) in line or f"--port\0{port}" in line]
    assert choose_port("127.0.0.1", port, insist=True) == port


def wait_for_decision(address: str) -> None:
    deadline = time.monotonic() + 200
    body = {"request_id": f"story-{time.monotonic_ns()}", "customer_id": "sim-000001"}
    while True:
        try:
            if httpx.post(f"{address}/v1/decide", json=body, timeout=5.0, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, "the service never answered"
        time.sleep(0.5)


def processes() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found
