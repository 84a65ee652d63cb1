"""The part of the ledger that a replay reads: what decided, and what was recorded of every decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Engine, func, select

from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.items import decoded
from features.ledger.records import as_json


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """One answered item as the ledger's own columns have it, from which policies learn and are judged."""

    rank: int
    action: str
    channel: str
    action_probability: float
    p_model: float | None
    p_accept: float | None
    covariates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """A decision made here: its place in the log, its record (JSON), and its items."""

    position: int
    decision_id: str
    request_id: str
    customer_id: str
    decided_at: int
    record: bytes
    items: tuple[DrawnItem, ...]


class Past:
    """Catalogues and policy snapshots that decided once, and the records of all decisions."""

    _engine: Engine

    def keep_catalogue(self, version: str, files: Mapping[str, str]) -> None:
        """Remembers what a version of the catalogue said: the text of its files by name. Twice changes nothing."""
        with database.writing(self._engine) as connection:
            database.insert_new(connection, t.catalogues, [{"version": version, "files": as_json(dict(files))}])

    def catalogue_files(self, version: str) -> dict[str, str] | None:
        """The files of a version that was kept, by name."""
        c = t.catalogues.c
        with database.reading(self._engine) as connection:
            text = connection.scalar(select(c.files).where(c.version == version))
        return None if text is None else msgspec.json.decode(text, type=dict[str, str])

    def snapshot_state(self, number: int) -> str | None:
        """The policy snapshot of this number, where there was one."""
        s = t.policy_snapshots.c
        with database.reading(self._engine) as connection:
            return connection.scalar(select(s.state).where(s.number == number))

    def count_live(self) -> int:
        """Decisions made here."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.count()).where(t.decisions.c.origin == "live")) or 0

    def live_records(self, after: int, limit: int, decision_id: str | None = None) -> list[LiveRecord]:
        """The next decisions made here after a position of the log, at most `limit`, or the one with this id."""
        d, i = t.decisions.c, t.decision_items.c
        columns = (d.position, d.decision_id, d.request_id, d.customer_id, d.decided_at)
        query = select(*columns, d.record).where(d.position > after, d.origin == "live")
        if decision_id is not None:
            query = query.where(d.decision_id == decision_id)
        with database.reading(self._engine) as connection:
            rows = connection.execute(query.order_by(d.position).limit(limit)).all()
            wanted = i.decision_id.in_([row.decision_id for row in rows])
            parts = (i.rank, i.action, i.channel, i.action_probability, i.p_model, i.p_accept, i.covariates)
            items: dict[str, list[DrawnItem]] = {}
            for row in connection.execute(select(i.decision_id, *parts).where(wanted).order_by(i.rank)):
                items.setdefault(row[0], []).append(DrawnItem(*row[1:-1], decoded(row[-1])))
        return [LiveRecord(*row[:5], bytes(row.record), tuple(items.get(row.decision_id, ()))) for row in rows]
