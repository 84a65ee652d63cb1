"""One `segue work` for each ledger: two would contend for the next snapshot. It holds a lease while it lives."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from features.clock import SECOND
from features.errors import Conflict
from features.ledger import Ledger

log = logging.getLogger("segue.worker")
NAME = "worker-lease"
#: A worker that was killed is followed after this long at most; one that lives says so every fifth of it.
LEASE_SECONDS = 30.0


@contextmanager
def sole_worker(
    ledger: Ledger,
    now: Callable[[], int],
    wait: Callable[[float], bool],
    stop: Callable[[], None],
    seconds: float = LEASE_SECONDS,
) -> Iterator[None]:
    """Holds the place of this ledger's worker. Raises Conflict where another holds it, and lives.

    To tell that from one that was killed it waits for a sign of life, until the lease is over. `wait` sleeps for so
    many seconds and says whether to stop waiting. `stop` is called when the place was lost, as after a long sleep of
    the machine: then Conflict is raised at the end.
    """
    holder = f"{socket.gethostname()}, process {os.getpid()} ({uuid.uuid4().hex[:8]})"
    _take(ledger, holder, now, wait, seconds)
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(seconds / 5):
            try:
                if ledger.take_lease(NAME, holder, now() + round(seconds * SECOND), now()) is not None:
                    lost.set()
                    stop()
                    return
            except Exception as error:  # a database that is away for a moment must not end the beating
                log.warning("the worker's lease was not renewed: %s", type(error).__name__)

    heart = threading.Thread(target=beat, name="segue-lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()
        ledger.end_lease(NAME, holder)
    if lost.is_set():
        raise Conflict("another `segue work` took over this ledger while this one did not answer")


def _take(ledger: Ledger, holder: str, now: Callable[[], int], wait: Callable[[float], bool], seconds: float) -> None:
    """Takes the place, after waiting for the lease of somebody who was killed to expire."""
    first = ledger.take_lease(NAME, holder, now() + round(seconds * SECOND), now())
    held = first
    if first is not None:
        log.info("the place of %s is not free yet; waiting for a sign of life", first.holder)
    while held is not None:
        if held != first or wait(seconds / 10):
            raise Conflict(
                f"another `segue work` is at work on this ledger ({held.holder}); one is enough: stop that one first"
            )
        held = ledger.take_lease(NAME, holder, now() + round(seconds * SECOND), now())
