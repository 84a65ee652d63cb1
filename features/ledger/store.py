"""The ledger: append, look up, reserve. Every method is one transaction, and what it acknowledges is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, and_, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Outcome
from features.errors import Conflict, ContactTaken, NotFound
from features.ledger import engine as database
from features.ledger import tables as t

_encode = msgspec.json.encode
_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Appended:
    """How many rows an append took, and how many it already had."""

    accepted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class ContactSlot:
    """One contact of a customer, promised or made."""

    arm: Arm
    action_group: str
    action_class: str
    reserved_at: int
    expires_at: int
    state: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The bytes that were answered to a request, and the hash of the request they answered."""

    request_hash: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was recorded. `record` is its JSON, None for an imported one."""

    decision_id: str
    customer_id: str
    decided_at: int
    origin: str
    record: bytes | None
    items: tuple[LearnableItem, ...]


@dataclass(frozen=True, slots=True)
class LearnableItem:
    """One answered item, all that was heard about it, and what the policy has learned from it (`reward_units`)."""

    decision_id: str
    rank: int
    customer_id: str
    arm: Arm
    p_model: float | None
    p_accept: float | None
    action_value: float
    decided_at: int
    closes_at: int
    #: The bundle whose prediction `p_model` is.
    bundle: str | None
    reward_state: str
    reward_units: int
    outcomes: tuple[Outcome, ...]


class Ledger:
    """The durable record on one database. Safe to share between threads."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    def close(self) -> None:
        self._engine.dispose()

    # -- customers, events, outcomes ---------------------------------------------------------------------------------

    def put_customers(self, customers: Iterable[Customer]) -> Appended:
        """Adds customers; one already known gets the new values. `duplicates` counts those already known."""
        rows = [_customer_row(c) for c in customers]
        if not rows:
            return Appended(0, 0)
        statement = database.insert(self._engine, t.customers)
        changed = {c: statement.excluded[c] for c in ("created_at", "zone", "consents", "attributes")}
        with self._engine.begin() as connection:
            before = connection.scalar(select(func.count()).select_from(t.customers)) or 0
            connection.execute(statement.on_conflict_do_update(index_elements=["customer_id"], set_=changed), rows)
            after = connection.scalar(select(func.count()).select_from(t.customers)) or 0
        return Appended(after - before, len(rows) - (after - before))

    def customer(self, customer_id: str) -> Customer | None:
        with database.reading(self._engine) as connection:
            row = connection.execute(select(t.customers).where(t.customers.c.customer_id == customer_id)).first()
        return None if row is None else _customer(row)

    def customer_ids(self, limit: int | None = None) -> list[str]:
        """Known customers in order of their ids."""
        with database.reading(self._engine) as connection:
            return list(
                connection.scalars(select(t.customers.c.customer_id).order_by(t.customers.c.customer_id).limit(limit))
            )

    def append_events(self, events: Iterable[Event]) -> Appended:
        """Appends events; an `event_id` already there changes nothing. A customer first seen here becomes known."""
        given = list(events)
        rows = [
            {
                "event_id": e.event_id,
                "customer_id": e.customer_id,
                "type": e.type,
                "occurred_at": e.occurred_at,
                "source": e.source,
                "channel": e.channel,
                "value": e.value,
                "properties": _encode(e.properties).decode(),
            }
            for e in given
        ]
        if not rows:
            return Appended(0, 0)
        with self._engine.begin() as connection:
            database.share_log(connection)
            accepted = self._insert_new(connection, t.events, rows)
            first: dict[str, int] = {}
            for event in given:
                first[event.customer_id] = min(event.occurred_at, first.get(event.customer_id, event.occurred_at))
            self._insert_new(
                connection,
                t.customers,
                [
                    {"customer_id": c, "created_at": at, "zone": None, "consents": "{}", "attributes": "{}"}
                    for c, at in first.items()
                ],
            )
        return Appended(accepted, len(rows) - accepted)

    def append_outcomes(self, outcomes: Iterable[Outcome], recorded_at: int) -> Appended:
        """Appends outcomes; an `outcome_id` already there changes nothing."""
        rows = [
            {
                "outcome_id": o.outcome_id,
                "decision_id": o.decision_id,
                "rank": o.rank,
                "customer_id": o.customer_id,
                "action": o.action,
                "kind": o.kind,
                "occurred_at": o.occurred_at,
                "recorded_at": recorded_at,
                "value": o.value,
            }
            for o in outcomes
        ]
        if not rows:
            return Appended(0, 0)
        with self._engine.begin() as connection:
            database.share_log(connection)
            accepted = self._insert_new(connection, t.outcomes, rows)
        return Appended(accepted, len(rows) - accepted)

    def _insert_new(self, connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> int:
        if not rows:
            return 0
        # RETURNING names the rows that were really new; a row count of many statements is not told by every driver.
        statement = database.insert(self._engine, table).on_conflict_do_nothing().returning(table.c.customer_id)
        return len(connection.execute(statement, rows).all())

    # -- decisions ---------------------------------------------------------------------------------------------------

    def find_answer(self, request_id: str) -> StoredAnswer | None:
        """What was answered to this request before, if anything."""
        columns = select(t.decisions.c.request_hash, t.decisions.c.answer)
        with database.reading(self._engine) as connection:
            row = connection.execute(columns.where(t.decisions.c.request_id == request_id)).first()
        return None if row is None else StoredAnswer(row.request_hash, row.answer or b"")

    def contact_state(self, customer_id: str, since: int) -> tuple[int, list[ContactSlot]]:
        """(version, contacts reserved at or after `since` and not released).

        The version names this state: `append_decision` with it refuses once another contact was taken.
        """
        r = t.reservations.c
        with database.reading(self._engine) as connection:
            version = connection.scalar(
                select(t.customers.c.contact_version).where(t.customers.c.customer_id == customer_id)
            )
            rows = connection.execute(
                select(t.reservations)
                .where(r.customer_id == customer_id, r.reserved_at >= since, r.state != "released")
                .order_by(r.reserved_at)
            ).all()
        slots = [
            ContactSlot(Arm(x.action, x.channel), x.action_group, x.action_class, x.reserved_at, x.expires_at, x.state)
            for x in rows
        ]
        return version or 0, slots

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
        contacts = [i for i in decision.items if i.arm != DO_NOTHING]
        row = _decision_row(decision, "live") | {
            "request_hash": request_hash,
            "record": _encode(decision),
            "answer": answer,
        }
        try:
            with self._engine.begin() as connection:
                database.share_log(connection)
                if contacts:
                    customer = t.customers.c
                    taken = connection.execute(
                        update(t.customers)
                        .where(
                            customer.customer_id == decision.customer_id, customer.contact_version == contact_version
                        )
                        .values(contact_version=contact_version + 1)
                    )
                    if taken.rowcount != 1:
                        raise ContactTaken("another request of this customer was decided first")
                    connection.execute(
                        t.reservations.insert(),
                        [
                            {
                                "decision_id": decision.decision_id,
                                "rank": item.rank,
                                "customer_id": decision.customer_id,
                                "action": item.arm.action,
                                "channel": item.arm.channel,
                                "action_group": item.action_group,
                                "action_class": action_classes.get(item.arm.action, "marketing"),
                                "reserved_at": decision.decided_at,
                                "expires_at": item.expires_at,
                                "state": "reserved",
                            }
                            for item in contacts
                        ],
                    )
                connection.execute(t.decisions.insert(), [row])
                connection.execute(t.decision_items.insert(), _item_rows(decision, "open"))
        except IntegrityError as error:
            raise Conflict("this request was answered meanwhile", field="request_id") from error

    def import_decisions(self, decisions: Sequence[Decision]) -> Appended:
        """Appends past decisions made elsewhere; they feed features and training, never the online policy."""
        if not decisions:
            return Appended(0, 0)
        rows = [_decision_row(d, "import") | {"request_hash": "", "record": None, "answer": None} for d in decisions]
        items = [row for d in decisions for row in _item_rows(d, "imported")]
        with self._engine.begin() as connection:
            database.share_log(connection)
            accepted = self._insert_new(connection, t.decisions, rows)
            self._insert_new(connection, t.decision_items, items)
        return Appended(accepted, len(rows) - accepted)

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
            items = self._learnable(connection, t.decision_items.c.decision_id == decision_id)
        return StoredDecision(row.decision_id, row.customer_id, row.decided_at, row.origin, row.record, tuple(items))

    def latest_decisions(
        self, customer_actions: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[str, int, int]]:
        """(customer, action) -> (decision_id, rank, decided_at) of the latest decision for it, where there is one."""
        i = t.decision_items.c
        found: dict[tuple[str, str], tuple[str, int, int]] = {}
        with database.reading(self._engine) as connection:
            for customer_id, action in customer_actions:
                row = connection.execute(
                    select(i.decision_id, i.rank, i.decided_at)
                    .where(i.customer_id == customer_id, i.action == action)
                    .order_by(i.decided_at.desc())
                    .limit(1)
                ).first()
                if row is not None:
                    found[customer_id, action] = (row.decision_id, row.rank, row.decided_at)
        return found

    def decided_items(self, decision_ids: Iterable[str]) -> dict[tuple[str, int], tuple[str, str, int]]:
        """(decision_id, rank) -> (customer_id, action, decided_at) for those that exist."""
        i = t.decision_items.c
        wanted = list(dict.fromkeys(decision_ids))
        found: dict[tuple[str, int], tuple[str, str, int]] = {}
        with database.reading(self._engine) as connection:
            for start in range(0, len(wanted), 500):
                rows = connection.execute(
                    select(i.decision_id, i.rank, i.customer_id, i.action, i.decided_at).where(
                        i.decision_id.in_(wanted[start : start + 500])
                    )
                )
                found.update({(r.decision_id, r.rank): (r.customer_id, r.action, r.decided_at) for r in rows})
        return found

    def mark_shown(self, decision_id: str, rank: int, shown_at: int) -> None:
        """The item was displayed or delivered: its reservation is committed. Raises NotFound; twice changes nothing."""
        i, r = t.decision_items.c, t.reservations.c
        with self._engine.begin() as connection:
            changed = connection.execute(
                update(t.decision_items)
                .where(i.decision_id == decision_id, i.rank == rank)
                .values(shown_at=func.coalesce(i.shown_at, shown_at))
            )
            if changed.rowcount != 1:
                raise NotFound("no decision has this id and rank", field="decision_id", code="unknown_decision")
            connection.execute(
                update(t.reservations)
                .where(r.decision_id == decision_id, r.rank == rank, r.state == "reserved")
                .values(state="committed")
            )

    def release_expired(self, now: int) -> int:
        """Releases every slot that was reserved, never shown, and has expired. Returns how many."""
        r = t.reservations.c
        with self._engine.begin() as connection:
            result = connection.execute(
                update(t.reservations).where(r.state == "reserved", r.expires_at <= now).values(state="released")
            )
        return max(0, result.rowcount)

    # -- learning ----------------------------------------------------------------------------------------------------

    def learnable_after(self, position: int, limit: int) -> tuple[int, list[LearnableItem]]:
        """(new position, live items with an outcome logged after `position`), at most `limit` outcomes further."""
        o, i = t.outcomes.c, t.decision_items.c
        with self._engine.begin() as connection:
            database.settle_log(connection)
            last = connection.scalar(
                select(func.max(o.position)).where(
                    o.position.in_(select(o.position).where(o.position > position).order_by(o.position).limit(limit))
                )
            )
            if last is None:
                return position, []
            heard = select(o.decision_id, o.rank).where(o.position > position, o.position <= last).distinct().subquery()
            wanted = select(i.decision_id, i.rank).join(
                heard, and_(heard.c.decision_id == i.decision_id, heard.c.rank == i.rank)
            )
            condition = and_(
                i.reward_state != "imported",
                i.decision_id.in_(select(wanted.subquery().c.decision_id)),
            )
            return last, self._learnable(connection, condition)

    def matured(self, now: int, limit: int) -> list[LearnableItem]:
        """Open items whose last attribution window has closed."""
        i = t.decision_items.c
        with database.reading(self._engine) as connection:
            chosen = (
                select(i.decision_id)
                .where(i.reward_state == "open", i.closes_at <= now)
                .order_by(i.closes_at)
                .limit(limit)
                .subquery()
            )
            condition = and_(
                i.decision_id.in_(select(chosen.c.decision_id)), i.reward_state == "open", i.closes_at <= now
            )
            return self._learnable(connection, condition)

    def save_learning(
        self, number: int, *, position: int, state: str, now: int, rewards: Sequence[tuple[str, int, str, int]]
    ) -> None:
        """One round, all or nothing: snapshot `number`, its log position, and (decision, rank, state, units) learned.

        Raises Conflict when another learner wrote this number first.
        """
        i = t.decision_items.c
        learned = (
            update(t.decision_items)
            .where(i.decision_id == bindparam("key_id"), i.rank == bindparam("key_rank"))
            .values(reward_state=bindparam("new_state"), reward_units=bindparam("new_units"))
        )
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    t.policy_snapshots.insert(),
                    [{"number": number, "created_at": now, "position": position, "state": state}],
                )
                if rewards:
                    connection.execute(
                        learned,
                        [{"key_id": d, "key_rank": k, "new_state": s, "new_units": u} for d, k, s, u in rewards],
                    )
        except IntegrityError as error:
            raise Conflict("another learner published this snapshot first; run one learner per ledger") from error

    def policy_snapshot(self) -> tuple[int, int, str] | None:
        """(number, log position, state) of the latest snapshot."""
        s = t.policy_snapshots.c
        with database.reading(self._engine) as connection:
            row = connection.execute(select(s.number, s.position, s.state).order_by(s.number.desc()).limit(1)).first()
        return None if row is None else (row.number, row.position, row.state)

    def _learnable(self, connection: Connection, condition: Any) -> list[LearnableItem]:
        i, o = t.decision_items.c, t.outcomes.c
        rows = connection.execute(select(t.decision_items).where(condition).order_by(i.decision_id, i.rank)).all()
        heard: dict[tuple[str, int], list[Outcome]] = {}
        ids = list(dict.fromkeys(r.decision_id for r in rows))
        for start in range(0, len(ids), 500):
            found = connection.execute(select(t.outcomes).where(o.decision_id.in_(ids[start : start + 500])))
            for x in found:
                outcome = Outcome(
                    x.outcome_id, x.decision_id, x.customer_id, x.action, x.kind, x.occurred_at, x.rank, x.value
                )
                heard.setdefault((x.decision_id, x.rank), []).append(outcome)
        return [
            LearnableItem(
                r.decision_id,
                r.rank,
                r.customer_id,
                Arm(r.action, r.channel),
                r.p_model,
                r.p_accept,
                r.action_value,
                r.decided_at,
                r.closes_at,
                r.bundle,
                r.reward_state,
                r.reward_units,
                # In the order they happened, whatever the order they came in.
                tuple(sorted(heard.get((r.decision_id, r.rank), ()), key=lambda x: (x.occurred_at, x.outcome_id))),
            )
            for r in rows
        ]

    # -- notes and counts --------------------------------------------------------------------------------------------

    def note(self, name: str) -> str | None:
        with database.reading(self._engine) as connection:
            return connection.scalar(select(t.notes.c.value).where(t.notes.c.name == name))

    def put_note(self, name: str, value: str) -> None:
        statement = database.insert(self._engine, t.notes)
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value}),
                [{"name": name, "value": value}],
            )

    def touched_after(self, position: int, limit: int) -> tuple[int, list[str]]:
        """(new position, customers with an event logged after `position`), at most `limit` events further."""
        e = t.events.c
        with self._engine.begin() as connection:
            database.settle_log(connection)
            rows = connection.execute(
                select(e.position, e.customer_id).where(e.position > position).order_by(e.position).limit(limit)
            ).all()
        return (rows[-1].position if rows else position), list(dict.fromkeys(r.customer_id for r in rows))

    def count(self, table: str) -> int:
        """Rows of customers, events, decisions, decision_items, outcomes or reservations."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(t.metadata.tables[table])) or 0

    def latest_event_at(self) -> int | None:
        """The time of the newest event."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.max(t.events.c.occurred_at)))


def open_ledger(url: str, *, power_safe: bool = False) -> Ledger:
    """Opens the ledger at `url` and makes its tables where they are missing."""
    engine = database.create(url, power_safe=power_safe)
    t.metadata.create_all(engine)
    return Ledger(engine, url)


def _customer_row(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "created_at": customer.created_at,
        "zone": customer.zone,
        "consents": _encode(customer.consents).decode(),
        "attributes": _encode(customer.attributes).decode(),
    }


def _customer(row: Any) -> Customer:
    return Customer(row.customer_id, row.created_at, row.zone, _decode(row.consents), _decode(row.attributes))


def _decision_row(decision: Decision, origin: str) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "request_id": decision.request_id,
        "customer_id": decision.customer_id,
        "decided_at": decision.decided_at,
        "origin": origin,
        "result": decision.result,
        "reason": decision.reason,
        "fallback_reason": decision.fallback_reason,
        "variants": _encode(decision.variants).decode(),
    }


def _item_rows(decision: Decision, reward_state: str) -> list[dict[str, Any]]:
    return [
        {
            "decision_id": decision.decision_id,
            "rank": item.rank,
            "customer_id": decision.customer_id,
            "decided_at": decision.decided_at,
            "action": item.arm.action,
            "channel": item.arm.channel,
            "action_group": item.action_group,
            "action_probability": item.action_probability,
            "p_model": item.p_model,
            "p_accept": item.p_accept,
            "action_value": item.action_value,
            "closes_at": item.closes_at,
            "bundle": decision.versions.bundle,
            "shown_at": None,
            "reward_state": reward_state,
        }
        for item in decision.items
    ]
