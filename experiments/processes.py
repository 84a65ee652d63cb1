"""Child processes with a life no longer than ours: started with a log, watched, and stopped for good."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from features.errors import InvalidInput, NotReady

#: How long a child may take to finish its work before it is killed.
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Child:
    """A started process, and where its words go."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises NotReady with the end of its log when the process is gone."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
            said = "\n  ".join(lines)
            raise NotReady(f"the {self.name} ended with status {status}; {self.log} ends:\n  {said}")


class Children:
    """Processes that end when the `with` block does, whatever happens inside it.

    Each leads a session of its own, so that Ctrl-C reaches us alone and the end comes in order.
    """

    def __init__(self, log_folder: Path) -> None:
        self._folder = log_folder
        self._running: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Starts `command`; both its outputs go to `<log folder>/<name>.log`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def check(self) -> None:
        """Raises NotReady for the first child that is gone."""
        for child in self._running:
            child.check()

    def stop(self) -> None:
        """Asks the last started first, waits, and kills what is left of its session. May be called twice."""
        for child in reversed(self._running):
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for child in reversed(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
            # A leader that was killed may leave others of its session behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._running.clear()


def wait_until_ready(address: str, child: Child, seconds: float = 120.0) -> None:
    """Returns once `GET /readyz` answers 200. Raises NotReady when the child ends or the time is over."""
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=address, timeout=2.0, trust_env=False) as client:
        while True:
            child.check()
            with contextlib.suppress(httpx.HTTPError):
                if client.get("/readyz").status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise NotReady(f"the {child.name} is not ready after {seconds:.0f} seconds; see {child.log}")
            time.sleep(0.2)


def choose_port(host: str, wanted: int, *, insist: bool) -> int:
    """`wanted` if it is free; else, and for 0, a free one. Raises InvalidInput for one in use when `insist`."""
    if wanted and _is_free(host, wanted):
        return wanted
    if wanted and insist:
        raise InvalidInput(f"port {wanted} of {host} is in use; give another with --port", field="port")
    with socket.socket() as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as one:
        # A port whose last connections only linger is free; one that somebody listens on is not, even so.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError:
            return False
        return True
