"""Many threads, one write: what comes while a write is under way is written together by the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from features.errors import NotReady

T = TypeVar("T")

#: Written together at most, so that a flood does not make the first of a group wait for thousands.
MOST = 256


class _Waiting(Generic[T]):
    """What somebody wants written, and how it went."""

    __slots__ = ("done", "error", "one", "woken")

    def __init__(self, one: T) -> None:
        self.one = one
        self.done = False
        self.error: BaseException | None = None
        #: Held until its owner is to go on. A bare lock: waiting for an Event costs 10 us more.
        self.woken = threading.Lock()
        self.woken.acquire()


class Gathering(Generic[T]):
    """Hands what many threads add to one `write` at a time, all that has come together in one call.

    There is no thread of its own, so nothing waits that nobody waits for: whoever finds no write under way writes, and
    afterwards wakes the others of the group, and the first of those that came meanwhile to write the next one. Alone it
    costs nothing; under load a group is as large as one write is long. No pause is made for others to come.
    """

    def __init__(self, write: Callable[[Sequence[T]], Sequence[Exception | None]]) -> None:
        """`write` returns once all is kept, and says for each, in order, None or why it was refused. What it raises
        instead, everybody in the group gets."""
        self._write = write
        self._state = threading.Condition(threading.Lock())
        self._queue: list[_Waiting[T]] = []
        self._writing = False
        self._closed = False

    def add(self, one: T) -> None:
        """Returns once it is written; raises why it is not. Raises NotReady after `close`."""
        waiting = _Waiting(one)
        with self._state:
            if self._closed:
                raise NotReady("the ledger is closed")
            self._queue.append(waiting)
            wait, self._writing = self._writing, True
        if wait:
            waiting.woken.acquire()
        if not waiting.done:
            self._write_group()
        if waiting.error is not None:
            # Several threads may raise the same error: each with its own traceback.
            raise waiting.error.with_traceback(None)

    def close(self) -> None:
        """Takes no more, and returns when everything taken is written."""
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not self._writing)

    def _write_group(self) -> None:
        with self._state:
            group, self._queue = self._queue[:MOST], self._queue[MOST:]
        errors: Sequence[BaseException | None]
        try:
            errors = self._write([waiting.one for waiting in group])
        except BaseException as failure:  # not even an interrupt may leave the others waiting
            errors = [failure] * len(group)
        for waiting, error in zip(group, errors, strict=True):
            waiting.error, waiting.done = error, True
        self._hand_on()
        for waiting in group:
            waiting.woken.release()

    def _hand_on(self) -> None:
        """The first of those who came meanwhile writes next."""
        with self._state:
            if self._queue:
                self._queue[0].woken.release()
            else:
                self._writing = False
                self._state.notify_all()
