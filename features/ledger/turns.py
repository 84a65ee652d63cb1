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

    @contextmanager
    def turn(self, *, write: bool) -> Iterator[None]:
        """Raises LedgerUnavailable, and nothing is written then, in place of what the driver says."""
        alone = write and self._embedded
        if alone and not self._lock.acquire(timeout=_patience.seconds(self._seconds)):
            raise unavailable(BUSY)
        try:
            yield
        except Exception as error:
            said = in_our_words(error, self._engine.dialect.loaded_dbapi)
            if said is None:
                raise
            self._remember(said)
            raise said from error
        finally:
            if alone:
                self._lock.release()
        if write and self.trouble is not None:
            self.trouble = None

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


def turns_of(engine: Engine) -> Turns:
    """The turns of an engine that `engine.create` made."""
    turns: Turns = engine.get_execution_options()[TURNS]
    return turns
