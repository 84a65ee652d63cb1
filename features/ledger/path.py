"""The decision path through the ledger: one short read before a decision, one short write with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine, and_, bindparam, func, select, update

from features.domain import Arm, Customer
from features.errors import ContactTaken
from features.ledger import tables as t
from features.ledger.engine import LOG_LOCK
from features.ledger.entries import Entry
from features.ledger.prepared import Prepared
from features.ledger.records import BeforeDecision, ContactSlot, Heard, StoredAnswer

_decode = msgspec.json.decode
SLOT_COLUMNS = ("action", "channel", "action_group", "action_class", "reserved_at", "expires_at", "state")
_DECISION = (
    *("decision_id", "request_id", "request_hash", "customer_id", "decided_at", "origin"),
    *("result", "reason", "fallback_reason", "variants", "record", "answer"),
)
_ITEM = (
    *("decision_id", "rank", "customer_id", "decided_at", "action", "channel", "action_group", "action_probability"),
    *("p_model", "p_accept", "action_value", "closes_at", "bundle", "shown_at", "covariates"),
    *("reward_state", "due_at"),
)


class DecisionPath:
    """The prepared statements, made once for an engine."""

    def __init__(self, engine: Engine) -> None:
        d, c, r = t.decisions.c, t.customers.c, t.reservations.c
        driver = engine.dialect.loaded_dbapi
        self.integrity_error: type[Exception] = driver.IntegrityError
        answers = select(d.request_hash, d.answer).where(d.request_id == bindparam("request_id"))
        self._answer = Prepared(engine, answers)
        columns = (c.created_at, c.zone, c.consents, c.attributes, t.suppressions.c.reason, c.contact_version)
        customer = select(*columns).outerjoin(t.suppressions, t.suppressions.c.customer_id == c.customer_id)
        self._customer = Prepared(engine, customer.where(c.customer_id == bindparam("customer")))
        self._heard = Prepared(engine, _heard())
        slots = (
            select(*(r[name] for name in SLOT_COLUMNS), r.decision_id, r.rank, r.shown_at)
            .where(r.customer_id == bindparam("customer"), r.reserved_at >= bindparam("since"))
            .where(r.state != bindparam("released"))
            .order_by(r.reserved_at)
        )
        self._slots = Prepared(engine, slots)
        taken = (
            update(t.customers)
            .where(c.customer_id == bindparam("customer"), c.contact_version == bindparam("version"))
            .values(contact_version=bindparam("next"))
        )
        self._take = Prepared(engine, taken)
        # The very lock of an update: with a weaker one those that do nothing would overtake those that wait to contact.
        seen = select(c.contact_version).where(c.customer_id == bindparam("customer")).with_for_update(key_share=True)
        self._version = Prepared(engine, seen)
        self._decision = Prepared(engine, t.decisions.insert().inline(), _DECISION)
        self._item = Prepared(engine, t.decision_items.insert().inline(), _ITEM)
        self._reservation = Prepared(
            engine, t.reservations.insert().inline(), ("decision_id", "rank", "customer_id", *SLOT_COLUMNS)
        )
        share = select(func.pg_advisory_xact_lock_shared(bindparam("key")))
        self._share_log = Prepared(engine, share) if engine.dialect.name == "postgresql" else None

    def answer(self, cursor: Any, request_id: str) -> StoredAnswer | None:
        row = self._answer.run(cursor, {"request_id": request_id}).fetchone()
        return None if row is None else StoredAnswer(row[0], bytes(row[1] or b""))

    def before(
        self, cursor: Any, request_id: str, customer_id: str, since: int, heard_since: int | None
    ) -> BeforeDecision:
        """Reads the customer with the contact version first and the contacts after, so that one in between shows."""
        answered = self.answer(cursor, request_id)
        if answered is not None:
            return BeforeDecision(answered, None)
        row = self._customer.run(cursor, {"customer": customer_id}).fetchone()
        if row is None:
            return BeforeDecision(None, None)
        customer = Customer(customer_id, row[0], row[1], _decode(row[2]), _decode(row[3]), row[4])
        wanted = {"customer": customer_id, "since": since, "released": "released"}
        found = self._slots.run(cursor, wanted).fetchall()
        heard: list[Any] = []
        if heard_since is not None:
            heard = self._heard.run(cursor, {"customer": customer_id, "since": heard_since}).fetchall()
        return BeforeDecision(
            None,
            customer,
            row[5],
            tuple(ContactSlot(Arm(x[0], x[1]), *x[2:]) for x in found),
            tuple(Heard(Arm(x[0], x[1]), *x[2:]) for x in heard),
        )

    def append(self, cursor: Any, entry: Entry) -> None:
        """Raises ContactTaken, and the driver's integrity error for a request or decision already there."""
        self.share_log(cursor)
        customer: dict[str, Any] = {"customer": entry.customer_id}
        if entry.slots:
            customer |= {"version": entry.contact_version, "next": entry.contact_version + 1}
            moved = self._take.run(cursor, customer).rowcount != 1
        else:
            # Not contacting was drawn from a state too. Kept while those that drew a contact on it are made again, it
            # would be on record more often than the probability it states: 76 % instead of 15 with 64 requests at once.
            row = self._version.run(cursor, customer).fetchone()
            moved = row is not None and row[0] != entry.contact_version
        if moved:
            raise ContactTaken("another request of this customer was decided first")
        self.write(cursor, [entry], {})

    def share_log(self, cursor: Any) -> None:
        """Before anything that a writer of a log does, see `engine.share_log`."""
        if self._share_log is not None:
            self._share_log.run(cursor, {"key": LOG_LOCK})

    def write(self, cursor: Any, entries: Sequence[Entry], moved: Mapping[str, tuple[int, int]]) -> None:
        """Writes the rows, and the contact versions that moved: customer -> (before, after)."""
        self._take.run_many(cursor, [{"customer": c, "version": v, "next": n} for c, (v, n) in moved.items()])
        self._reservation.run_many(cursor, [slot for entry in entries for slot in entry.slots])
        self._decision.run_many(cursor, [entry.decision for entry in entries])
        self._item.run_many(cursor, [item for entry in entries for item in entry.items])


def _heard() -> Any:
    """The outcomes of a customer since a time, with what each is about."""
    o, i = t.outcomes.c, t.decision_items.c
    return (
        select(i.action, i.channel, i.action_group, o.kind, o.occurred_at, o.decision_id, o.rank)
        .join(t.decision_items, and_(i.decision_id == o.decision_id, i.rank == o.rank))
        .where(o.customer_id == bindparam("customer"), o.occurred_at >= bindparam("since"))
        .order_by(o.occurred_at)
    )
