"""The part of the ledger that records choices, and the contacts they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select

from features.domain import DO_NOTHING, Arm, Decision
from features.errors import NotFound
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.appender import Appender
from features.ledger.entries import Entry, entry_of
from features.ledger.gathering import Gathering
from features.ledger.items import CHUNK, learnable_items, tuples
from features.ledger.path import DecisionPath
from features.ledger.people import move_contacts
from features.ledger.prepared import short_transaction
from features.ledger.records import (
    Appended,
    BeforeDecision,
    DecidedItem,
    StoredAnswer,
    StoredDecision,
    decision_row,
    item_rows,
    reservation_row,
)


class Decisions:
    """Decisions, their answers, and the contact slots they reserve."""

    _engine: Engine
    _path: DecisionPath
    _appender: Appender
    _gathering: Gathering[Entry] | None

    def find_answer(self, request_id: str) -> StoredAnswer | None:
        """What was answered to this request before, if anything."""
        with short_transaction(self._engine, write=False) as cursor:
            return self._path.answer(cursor, request_id)

    def before_decision(
        self, request_id: str, customer_id: str, since: int, heard_since: int | None = None
    ) -> BeforeDecision:
        """What a decision has to know: an earlier answer, the customer, and contacts reserved since then.

        With `heard_since` also the outcomes since then; they cost a statement more.
        """
        with short_transaction(self._engine, write=False) as cursor:
            return self._path.before(cursor, request_id, customer_id, since, heard_since)

    def append_decision(
        self,
        decision: Decision,
        *,
        request_hash: str,
        answer: bytes,
        contact_version: int,
        action_classes: Mapping[str, str],
    ) -> None:
        """Records a live decision with its answer, and reserves a contact slot for every item that contacts.

        Raises ContactTaken when the customer's contacts are no longer those of `contact_version`, and Conflict when
        the request was answered meanwhile; nothing is written then.
        """
        entry = entry_of(decision, request_hash, answer, contact_version, action_classes)
        if self._gathering is None:
            self._appender.alone(entry)
        else:
            self._gathering.add(entry)

    def import_decisions(
        self, decisions: Sequence[Decision], action_classes: Mapping[str, str] | None = None, *, counts: bool = True
    ) -> Appended:
        """Appends past decisions made elsewhere; they feed features and training, never the online policy.

        Their contacts count for limits, unless `counts` says that they do not. `action_classes` as in
        `append_decision`. One already there changes nothing; an id there for another customer, moment or arm is a
        conflict.
        """
        if not decisions:
            return Appended(0, 0)
        rows = [decision_row(d, "import") | {"request_hash": "", "record": None, "answer": None} for d in decisions]
        items = [row for d in decisions for row in item_rows(d, "imported")]
        with database.writing(self._engine) as connection:
            database.share_log(connection)
            accepted = database.insert_new(connection, t.decisions, rows)
            database.insert_new(connection, t.decision_items, items)
            there = _as_given(connection, decisions)
            contacts = _add_contacts(connection, there, action_classes or {}) if counts else 0
            conflicts = tuple(place for place, d in enumerate(decisions) if not _same(d, there.get(d.decision_id)))
        return Appended(accepted, len(rows) - accepted - len(conflicts), conflicts, contacts=contacts)

    def decision(self, decision_id: str) -> StoredDecision:
        """One decision with its items and their outcomes. Raises NotFound."""
        d = t.decisions.c
        with database.reading(self._engine) as connection:
            row = connection.execute(
                select(d.decision_id, d.customer_id, d.decided_at, d.origin, d.record).where(
                    d.decision_id == decision_id
                )
            ).first()
            if row is None:
                raise NotFound("no decision has this id", field="decision_id", code="unknown_decision")
            i = t.decision_items.c
            items = learnable_items(connection, select(i.decision_id, i.rank).where(i.decision_id == decision_id))
        return StoredDecision(row.decision_id, row.customer_id, row.decided_at, row.origin, row.record, tuple(items))

    def latest_decision(self) -> str | None:
        """The id of the live decision that was recorded last."""
        d = t.decisions.c
        with database.reading(self._engine) as connection:
            query = select(d.decision_id).where(d.origin == "live").order_by(d.position.desc()).limit(1)
            return connection.scalar(query)

    def decided_before(
        self, customer_id: str, action: str, channel: str | None, moment: int, limit: int
    ) -> list[DecidedItem]:
        """Items of a customer with an action, decided by a moment, latest first; on a channel, where one is named."""
        i = t.decision_items.c
        query = select(*_DECIDED).where(i.customer_id == customer_id, i.action == action, i.decided_at <= moment)
        if channel is not None:
            query = query.where(i.channel == channel)
        with database.reading(self._engine) as connection:
            rows = connection.execute(query.order_by(i.decided_at.desc(), i.decision_id, i.rank).limit(limit)).all()
        return [_decided(row) for row in rows]

    def decided_for(self, customer_ids: Iterable[str]) -> dict[tuple[str, str], list[tuple[int, str, int, str]]]:
        """(customer, action) -> every (decided_at, decision_id, rank, channel) for it, in order of time."""
        i = t.decision_items.c
        wanted = list(dict.fromkeys(customer_ids))
        found: dict[tuple[str, str], list[tuple[int, str, int, str]]] = {}
        with database.reading(self._engine) as connection:
            for start in range(0, len(wanted), CHUNK):
                rows = connection.execute(
                    select(i.customer_id, i.action, i.decided_at, i.decision_id, i.rank, i.channel)
                    .where(i.customer_id.in_(wanted[start : start + CHUNK]))
                    .order_by(i.decided_at, i.decision_id, i.rank)
                )
                for row in rows:
                    found.setdefault((row[0], row[1]), []).append((row[2], row[3], row[4], row[5]))
        return found

    def decided_items(self, decision_ids: Iterable[str]) -> dict[tuple[str, int], DecidedItem]:
        """(decision_id, rank) -> the item, for those that exist."""
        wanted = list(dict.fromkeys(decision_ids))
        found: dict[tuple[str, int], DecidedItem] = {}
        with database.reading(self._engine) as connection:
            for start in range(0, len(wanted), CHUNK):
                asked = t.decision_items.c.decision_id.in_(wanted[start : start + CHUNK])
                items = map(_decided, connection.execute(select(*_DECIDED).where(asked)))
                found.update({(item.decision_id, item.rank): item for item in items})
        return found


def _as_given(connection: Connection, decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Of decisions that are all in the ledger by their id, those whose customer, moment and arms are there too."""
    i = t.decision_items.c
    there: set[tuple[str, int, str, str, str, int]] = set()
    names = list(dict.fromkeys(d.decision_id for d in decisions))
    for start in range(0, len(names), CHUNK):
        columns = (i.decision_id, i.rank, i.customer_id, i.action, i.channel, i.decided_at)
        there.update(
            map(tuple, tuples(connection, select(*columns).where(i.decision_id.in_(names[start : start + CHUNK]))))
        )
    return {
        d.decision_id: d
        for d in decisions
        if all(
            (d.decision_id, item.rank, d.customer_id, item.arm.action, item.arm.channel, d.decided_at) in there
            for item in d.items
        )
    }


def _same(one: Decision, other: Decision | None) -> bool:
    return other is not None and _content(one) == _content(other)


def _content(decision: Decision) -> tuple[str, int, tuple[Arm, ...]]:
    return decision.customer_id, decision.decided_at, tuple(item.arm for item in decision.items)


def _add_contacts(connection: Connection, decisions: Mapping[str, Decision], action_classes: Mapping[str, str]) -> int:
    """The contacts of imported decisions, as far as they were not known; returns how many."""
    slots = [
        reservation_row(d, item, action_classes, "imported")
        for d in decisions.values()
        for item in d.items
        if item.arm != DO_NOTHING
    ]
    added = database.insert_new(connection, t.reservations, slots)
    if added:
        move_contacts(connection, [slot["customer_id"] for slot in slots])
    return added


#: The columns of a `DecidedItem`.
_DECIDED = [
    t.decision_items.c[name]
    for name in ("decision_id", "rank", "customer_id", "action", "channel", "decided_at", "closes_at")
]


def _decided(row: Any) -> DecidedItem:
    return DecidedItem(row[0], row[1], row[2], Arm(row[3], row[4]), *row[5:])
