"""Where requests do their work with the ledger: at once where that never waits, else on threads that may."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from features.errors import LedgerUnavailable
from features.ledger import at_once, waiting_until
from features.ledger.faults import BUSY, unavailable

T = TypeVar("T")

#: How long a request waits for a ledger that somebody else holds, before it is told to come back.
WAIT_SECONDS = 3.0
#: Threads that wait where the work itself needs none. They wait for one lock: more would wait no less.
WAITING_THREADS = 4


class Runner:
    """Runs the work of requests without ever keeping the event loop waiting, so that `/livez` always answers.

    A ledger in this process is asked on the loop itself: a hop to a thread and back costs 0.2 ms and gains nothing.
    Where that finds it held by another process, the work is done again on a thread that waits, and others line up
    behind it. Work may be begun twice, so it has to write in one step, or write what is written twice only once.
    """

    def __init__(self, threads: int = 0) -> None:
        """`threads` do all the work; with 0 the loop does, as far as it need not wait."""
        self._threads, self._direct = threads, threads == 0
        self._pool = ThreadPoolExecutor(threads or WAITING_THREADS, thread_name_prefix="segue")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises what it raises; LedgerUnavailable after `WAIT_SECONDS`."""
        if not self._direct or self._waiting:
            return await self._on_thread(work)
        try:
            with at_once():
                return work()
        except LedgerUnavailable as error:
            if error.code != BUSY:
                raise
        return await self._on_thread(work)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        until = time.monotonic() + WAIT_SECONDS

        def patiently() -> T:
            if time.monotonic() >= until:  # all of it went by in the queue
                raise unavailable(BUSY)
            with waiting_until(until):
                return work()

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, patiently)
        finally:
            self._waiting -= 1

    def everywhere(self, work: Callable[[], None]) -> None:
        """Calls `work` on each thread that does the work, and here where the loop does; returns when all have."""
        if self._direct:
            work()
            return
        together = threading.Barrier(self._threads)  # or the first thread would do it for all

        def one() -> None:
            together.wait()
            work()

        wait([self._pool.submit(one) for _ in range(self._threads)])

    def close(self) -> None:
        """Returns when what is under way is done."""
        self._pool.shutdown(wait=True)
