"""The decision path for many customers at once: few statements, the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, and_, select

from features.domain import Arm, Decision
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.appender import Appender
from features.ledger.entries import entry_of
from features.ledger.items import CHUNK, tuples
from features.ledger.path import SLOT_COLUMNS
from features.ledger.records import (
    BeforeDecision,
    ContactSlot,
    Heard,
    customer_of,
)


@dataclass(frozen=True, slots=True)
class ToAppend:
    """A decision with what is written beside it; see `Ledger.append_decision`."""

    decision: Decision
    request_hash: str
    answer: bytes
    contact_version: int


class Bulk:
    """What decisions have to know, and what they write, for blocks of customers."""

    _engine: Engine
    _appender: Appender

    def before_decisions(
        self, customer_ids: Sequence[str], since: int, heard_since: int | None = None
    ) -> dict[str, BeforeDecision]:
        """What `before_decision` knows of each customer, but for earlier answers; one unknown is left out.

        All of it is one state of the database.
        """
        found: dict[str, BeforeDecision] = {}
        with database.reading(self._engine) as connection:
            for chunk in _chunks(customer_ids):
                slots: dict[str, list[ContactSlot]] = {}
                for customer_id, action, channel, *rest in tuples(connection, _slots(chunk, since)):
                    slots.setdefault(customer_id, []).append(ContactSlot(Arm(action, channel), *rest))
                heard: dict[str, list[Heard]] = {}
                for row in connection.execute(_heard(chunk, heard_since)) if heard_since is not None else ():
                    heard.setdefault(row[0], []).append(Heard(Arm(row[1], row[2]), *row[3:]))
                for row in connection.execute(_customers(chunk)).all():
                    key = row.customer_id
                    known = tuple(slots.get(key, ())), tuple(heard.get(key, ()))
                    found[key] = BeforeDecision(None, customer_of(row), row.contact_version, *known)
        return found

    def stored_requests(self, request_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """request id -> (hash of the request, record of the decision), for those decided already."""
        d = t.decisions.c
        found: dict[str, tuple[str, bytes]] = {}
        with database.reading(self._engine) as connection:
            for chunk in _chunks(request_ids):
                query = select(d.request_id, d.request_hash, d.record).where(d.request_id.in_(chunk))
                found.update({row[0]: (row[1], bytes(row[2] or b"")) for row in connection.execute(query)})
        return found

    def append_decisions(self, made: Sequence[ToAppend], action_classes: Mapping[str, str]) -> list[ToAppend]:
        """Records live decisions and reserves their contacts, in one transaction.

        Returns those refused, of which nothing is written, because their customer's contacts have moved meanwhile.
        Raises Conflict, and writes nothing at all, where a request was answered before.
        """
        entries = [
            entry_of(one.decision, one.request_hash, one.answer, one.contact_version, action_classes) for one in made
        ]
        refusals = self._appender.whole(entries)
        return [one for one, refusal in zip(made, refusals, strict=True) if refusal is not None]


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _customers(ids: Sequence[str]) -> Any:
    s = t.suppressions
    return (
        select(t.customers, s.c.reason.label("suppressed"))
        .outerjoin(s, s.c.customer_id == t.customers.c.customer_id)
        .where(t.customers.c.customer_id.in_(ids))
    )


def _slots(ids: Sequence[str], since: int) -> Any:
    r = t.reservations.c
    return (
        select(r.customer_id, *(r[name] for name in SLOT_COLUMNS), r.decision_id, r.rank, r.shown_at)
        .where(r.customer_id.in_(ids), r.reserved_at >= since, r.state != "released")
        .order_by(r.reserved_at)
    )


def _heard(ids: Sequence[str], since: int) -> Any:
    o, i = t.outcomes.c, t.decision_items.c
    return (
        select(o.customer_id, i.action, i.channel, i.action_group, o.kind, o.occurred_at, o.decision_id, o.rank)
        .join(t.decision_items, and_(i.decision_id == o.decision_id, i.rank == o.rank))
        .where(o.customer_id.in_(ids), o.occurred_at >= since)
        .order_by(o.occurred_at)
    )
