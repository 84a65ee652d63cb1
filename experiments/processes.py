"""Child processes with a life no longer than ours: started with a log, watched, and stopped for good."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx

from features.errors import InvalidInput, NotReady

#: How long a child may take to finish its work before it is killed.
_PATIENCE_SECONDS = 15.0
#: A child that is to stay is started again after it ended, at most once in so many seconds.
_AGAIN_SECONDS = 5.0
#: What of a log is shown, where its process ended: lines, and letters of each.
_TAIL, _LETTERS = 12, 300
_TAIL_BYTES = 65_536
#: What asks us to stop: Ctrl-C, a polite kill, a terminal that is closed.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Child:
    """A started process, and where its words go. `stays`: the others go on without it, and it is started again."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    log: Path
    stays: bool = False
    started: float = field(default_factory=time.monotonic)
    #: How often it was started again.
    again: int = 0

    def check(self) -> None:
        """Raises NotReady with the end of its log when the process is gone."""
        status = self.process.poll()
        if status is not None:
            raise NotReady(f"the {self.name} ended {in_words(status)}; {self.log} ends:\n  {tail(self.log)}")


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

    def start(self, name: str, command: Sequence[str], *, stays: bool = False) -> Child:
        """Starts `command`; both its outputs go to `<log folder>/<name>.log`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        log.unlink(missing_ok=True)
        with unhurried():
            child = Child(name, list(command), _process(command, log), log, stays)
            self._running.append(child)
        return child

    def check(self) -> list[str]:
        """What is to be said of children that were started again. Raises NotReady for one that is gone for good."""
        for child in self._running:
            if child.stays:
                _start_again(child)
            else:
                child.check()
        return [
            f"the {child.name} ended and was started again, {child.again:,} times so far; see {child.log}"
            for child in self._running
            if child.again
        ]

    def stop(self) -> None:
        """Asks the last started first, waits, and kills what is left of its session. May be called twice."""
        with unhurried():
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


def _process(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def _start_again(child: Child) -> None:
    if child.process.poll() is None or time.monotonic() - child.started < _AGAIN_SECONDS:
        return
    with unhurried():
        child.process, child.started = _process(child.command, child.log), time.monotonic()
        child.again += 1


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """What asks us to stop waits until the block is over: a process half started would be nobody's to take down."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    waiting: list[int] = []
    heeded = [one for one in STOPPING if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, lambda number, _frame: waiting.append(number)) for one in heeded}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def in_words(status: int) -> str:
    """How a process ended.

    >>> in_words(-9), in_words(2)
    ('by signal SIGKILL', 'with status 2')
    """
    return f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def tail(log: Path) -> str:
    """The last lines of a log but for those of the decision log, which say nothing of why a process ended."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(not to be read: {error.strerror})"
    lines = [line for line in text.strip().splitlines() if line and not line.startswith("{")]
    return "\n  ".join(line[:_LETTERS] for line in lines[-_TAIL:])


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
