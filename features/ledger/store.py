"""The ledger as a whole: every method is one transaction, and what it acknowledges is committed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, func, select

from features import clock
from features.errors import LedgerUnavailable, NoData
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.activity import Activity
from features.ledger.appender import Appender
from features.ledger.bulk import Bulk
from features.ledger.contacts import Contacts
from features.ledger.decisions import Decisions
from features.ledger.faults import told_plainly
from features.ledger.gathering import Gathering
from features.ledger.learning import Learning
from features.ledger.lease import Leases
from features.ledger.past import Past
from features.ledger.path import DecisionPath
from features.ledger.schema import prepare
from features.ledger.turns import turns_of


class Ledger(Activity, Contacts, Decisions, Bulk, Learning, Past, Leases):
    """The durable record on one database. Safe to share between threads."""

    def __init__(self, engine: Engine, url: str, *, gather: bool = False) -> None:
        """With `gather` the decisions of several threads are committed together, see `gathering`."""
        self._engine = engine
        self.url = url
        self._path = DecisionPath(engine)
        self._appender = Appender(engine, self._path)
        self._gathering = Gathering(self._appender.together) if gather else None

    def close(self) -> None:
        if self._gathering is not None:
            self._gathering.close()
        self._engine.dispose()

    @property
    def embedded(self) -> bool:
        """Whether it lives in this process: its calls then take the processor, they do not wait for another machine."""
        return self._engine.dialect.name == "sqlite"

    @property
    def trouble(self) -> LedgerUnavailable | None:
        """Why it could not do its work when it was last asked (full, read-only, away); None while it can."""
        return turns_of(self._engine).trouble

    def probe(self) -> bool:
        """Whether it takes what is written, tried out."""
        with suppress(LedgerUnavailable):
            self.put_note("last-probe", str(clock.now()))
        return self.trouble is None

    def tidy(self) -> None:
        """Housekeeping to be done from time to time beside the work, by whoever opened it with `tidy_aside`."""
        database.tidy(self._engine)

    def note(self, name: str) -> str | None:
        with database.reading(self._engine) as connection:
            return connection.scalar(select(t.notes.c.value).where(t.notes.c.name == name))

    def put_note(self, name: str, value: str) -> None:
        with database.writing(self._engine) as connection:
            database.upsert(connection, t.notes, [{"name": name, "value": value}], "name")

    def count(self, table: str) -> int:
        """Rows of customers, events, decisions, decision_items, outcomes or reservations."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(t.metadata.tables[table])) or 0

    def zones(self) -> dict[str | None, int]:
        """How many customers live in each time zone, as it was written; None for those of whom none is known."""
        c = t.customers.c
        with database.reading(self._engine) as connection:
            rows = connection.execute(select(c.zone, func.count()).group_by(c.zone)).all()
        return {row[0]: row[1] for row in rows}


_FILE = "sqlite:///"


@told_plainly
def open_ledger(
    url: str, *, power_safe: bool = False, tidy_aside: bool = False, wait_seconds: float | None = None
) -> Ledger:
    """Opens the ledger at `url` and makes or updates its tables, see `schema`. For the options see `engine.create`."""
    engine = database.create(url, power_safe=power_safe, tidy_aside=tidy_aside, wait_seconds=wait_seconds)
    try:
        prepare(engine)
    except BaseException:
        engine.dispose()
        raise
    return Ledger(engine, url, gather=power_safe)


def existing_ledger(url: str, first: str = "`segue up` or `segue import` makes one") -> Ledger:
    """Opens the ledger of a home where there is one already: who asks what happened makes none.

    Raises NoData where there is none, saying what to do `first`, and what `open_ledger` raises.
    """
    if url.startswith(_FILE) and not Path(url.removeprefix(_FILE)).is_file():
        raise NoData(f"no ledger at {url.removeprefix(_FILE)}: {first}, or name another home with --home")
    return open_ledger(url)
