"""Taking turns at a database: how long a call waits for others, and what is remembered when it cannot do its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from features.errors import LedgerUnavailable
from features.ledger.faults import AWAY, BUSY, in_our_words, unavailable

#: How long a call may wait that nothing else may wait for. Two workers that write at once are through in less.
AT_ONCE_SECONDS = 0.02
#: Name of an engine's turns among its options.
TURNS = "segue_turns"


class _Patience(threading.local):
    """How long calls of this thread wait: so long each, or together until a moment; None is for the ledger's own."""

    each: float | None = None
    until: float | None = None

    def seconds(self, usual: float) -> float:
        if self.until is not None:
            return max(0.0, self.until - time.monotonic())
        return usual if self.each is None else self.each


_patience = _Patience()


@contextmanager
def at_once() -> Iterator[None]:
    """Inside, calls of a ledger in this process hardly wait for others: they raise LedgerUnavailable, `ledger_busy`."""
    _patience.each = AT_ONCE_SECONDS
    try:
        yield
    finally:
        _patience.each = None


@contextmanager
def waiting_until(moment: float) -> Iterator[None]:
    """Inside, calls of a ledger wait for others until this moment of `time.monotonic` at most, all of them together."""
    _patience.until = moment
    try:
        yield
    finally:
        _patience.until = None


class Turns:
    """Those of one engine. Every transaction is one `turn`.

    Threads of one process take turns at a SQLite file by a lock of ours: SQLite itself sleeps up to 100 ms between
    tries. `trouble` is why the database could not do its work when it was last asked, None while it can.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        """A call waits so many seconds for others unless its thread is `at_once` or `waiting_until`."""
        self._engine = engine
        self._seconds = seconds
        self._embedded = engine.dialect.name == "sqlite"
        self._lock = threading.Lock()
        self.trouble: LedgerUnavailable | None = None

    def turn(self, *, write: bool) -> _Turn:
        """Raises LedgerUnavailable, and nothing is written then, in place of what the driver says."""
        return _Turn(self, write)

    def take(self) -> None:
        """Raises LedgerUnavailable where another thread keeps it for too long."""
        if self._embedded and not self._lock.acquire(timeout=_patience.seconds(self._seconds)):
            raise unavailable(BUSY)

    def give_back(self) -> None:
        if self._embedded:
            self._lock.release()

    def in_our_words(self, error: Exception) -> LedgerUnavailable | None:
        """What is wrong with the database, remembered; None where nothing is."""
        said = in_our_words(error, self._engine.dialect.loaded_dbapi)
        if said is not None:
            self._remember(said)
        return said

    def begin(self, connection: Any, cursor: Any, *, write: bool) -> None:
        """Begins a transaction of SQLite. A writer takes its lock at once: upgrading a read lock later fails when
        another writer came between."""
        milliseconds = round(_patience.seconds(self._seconds) * 1e3)
        if connection.info.get("busy_timeout") != milliseconds:
            cursor.execute(f"PRAGMA busy_timeout={milliseconds}")
            connection.info["busy_timeout"] = milliseconds
        cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def _remember(self, said: LedgerUnavailable) -> None:
        if said.code != BUSY:
            self.trouble = said
        if said.code == AWAY and not self._embedded:
            self._engine.dispose()  # connections of before a restart of the server would fail one by one


class _Turn:
    """One transaction's. Written out: made by `contextmanager`, it takes three times as long."""

    __slots__ = ("_turns", "_write")

    def __init__(self, turns: Turns, write: bool) -> None:
        self._turns, self._write = turns, write

    def __enter__(self) -> None:
        if self._write:
            self._turns.take()

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        turns = self._turns
        if self._write:
            turns.give_back()
        if error is None:
            if self._write and turns.trouble is not None:
                turns.trouble = None
        elif isinstance(error, Exception) and (said := turns.in_our_words(error)) is not None:
            raise said from error


def turns_of(engine: Engine) -> Turns:
    """The turns of an engine that `engine.create` made."""
    turns: Turns = engine.get_execution_options()[TURNS]
    return turns
