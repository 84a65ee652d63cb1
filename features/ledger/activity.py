"""The part of the ledger that knows customers and what they did."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, func, select

from features.domain import Customer, Event, Outcome
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.records import Appended, customer_of, customer_row, event_row, outcome_row


class Activity:
    """Customers, events, outcomes."""

    _engine: Engine

    def put_customers(self, customers: Iterable[Customer]) -> Appended:
        """Adds customers; one already known gets the new values. `duplicates` counts those already known."""
        given = list(customers)
        # In order of their ids, so that two writers of the same customers wait for each other, never in a ring.
        latest = {c.customer_id: c for c in given}
        rows = [customer_row(latest[customer_id]) for customer_id in sorted(latest)]
        with database.writing(self._engine) as connection:
            accepted = database.insert_new(connection, t.customers, rows)
            if accepted < len(rows):
                database.upsert(connection, t.customers, rows, "customer_id")
        return Appended(accepted, len(given) - accepted)

    def customer(self, customer_id: str) -> Customer | None:
        with database.reading(self._engine) as connection:
            row = connection.execute(select(t.customers).where(t.customers.c.customer_id == customer_id)).first()
        return None if row is None else customer_of(row)

    def customer_ids(self, limit: int | None = None) -> list[str]:
        """Known customers in order of their ids."""
        with database.reading(self._engine) as connection:
            return list(
                connection.scalars(select(t.customers.c.customer_id).order_by(t.customers.c.customer_id).limit(limit))
            )

    def append_events(self, events: Iterable[Event]) -> Appended:
        """Appends events; an `event_id` already there changes nothing. A customer first seen here becomes known."""
        given = list(events)
        first: dict[str, int] = {}
        for event in given:
            first[event.customer_id] = min(event.occurred_at, first.get(event.customer_id, event.occurred_at))
        newcomers = [customer_row(Customer(customer_id, first[customer_id])) for customer_id in sorted(first)]
        with database.writing(self._engine) as connection:
            database.share_log(connection)
            accepted = database.insert_new(connection, t.events, [event_row(event) for event in given])
            database.insert_new(connection, t.customers, newcomers)
        return Appended(accepted, len(given) - accepted)

    def append_outcomes(self, outcomes: Iterable[Outcome], recorded_at: int) -> Appended:
        """Appends outcomes; an `outcome_id` already there changes nothing."""
        rows = [outcome_row(outcome, recorded_at) for outcome in outcomes]
        with database.writing(self._engine) as connection:
            database.share_log(connection)
            accepted = database.insert_new(connection, t.outcomes, rows)
        return Appended(accepted, len(rows) - accepted)

    def touched_after(self, position: int, limit: int) -> tuple[int, list[str]]:
        """(new position, customers with an event logged after `position`), at most `limit` events further."""
        e = t.events.c
        with database.settled(self._engine) as connection:
            rows = connection.execute(
                select(e.position, e.customer_id).where(e.position > position).order_by(e.position).limit(limit)
            ).all()
        return (rows[-1].position if rows else position), list(dict.fromkeys(r.customer_id for r in rows))

    def latest_event_at(self) -> int | None:
        """The time of the newest event."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.max(t.events.c.occurred_at)))
