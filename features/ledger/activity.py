"""The part of the ledger that knows customers and what they did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Engine, func, select

from features.domain import Customer, Event, Outcome
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.contacts import not_heard_yet, take_effect
from features.ledger.items import Said, contradicting
from features.ledger.people import take_statements
from features.ledger.records import Appended, customer_of, customer_row, event_of, event_row, outcome_of, outcome_row
from features.statements import Statement, statement_of

#: What customers did and what was done for them, each in the order it was written.
_LOGS = {"events": t.events, "decisions": t.decisions, "outcomes": t.outcomes}


class Activity:
    """Customers and what was said of them, events, outcomes."""

    _engine: Engine

    def take_statements(self, said: Mapping[str, Sequence[Statement]]) -> Appended:
        """Takes in what was said of customers, by their ids; see `features.statements` for what then holds.

        `accepted` are those unknown so far, `duplicates` the others.
        """
        with database.writing(self._engine) as connection:
            accepted = take_statements(connection, said)
        return Appended(accepted, len(said) - accepted)

    def put_customers(self, customers: Iterable[Customer], *, source: str = "", at: int = 0) -> Appended:
        """Takes in all that is given of customers as undated statements of one source, first heard `at`.

        `duplicates` counts those already known, or given before.
        """
        said: dict[str, list[Statement]] = {}
        for customer in customers:
            said.setdefault(customer.customer_id, []).append(statement_of(customer, source, at))
        taken = self.take_statements(said)
        return Appended(taken.accepted, sum(map(len, said.values())) - taken.accepted)

    def customer(self, customer_id: str) -> Customer | None:
        with database.reading(self._engine) as connection:
            row = connection.execute(
                select(t.customers, t.suppressions.c.reason.label("suppressed"))
                .outerjoin(t.suppressions, t.suppressions.c.customer_id == t.customers.c.customer_id)
                .where(t.customers.c.customer_id == customer_id)
            ).first()
        return None if row is None else customer_of(row)

    def customer_ids(self, limit: int | None = None) -> list[str]:
        """Known customers in order of their ids."""
        with database.reading(self._engine) as connection:
            return list(
                connection.scalars(select(t.customers.c.customer_id).order_by(t.customers.c.customer_id).limit(limit))
            )

    def append_events(self, events: Iterable[Event]) -> Appended:
        """Appends events; one already there changes nothing, an id there for something else is a conflict.

        A customer first seen here becomes known.
        """
        given = list(events)
        with database.writing(self._engine) as connection:
            database.share_log(connection)
            accepted = database.insert_new(connection, t.events, [event_row(event) for event in given])
            again = accepted < len(given)
            conflicts = contradicting(connection, t.events.c.event_id, given, event_of) if again else ()
            first: dict[str, int] = {}
            for event in _without(given, conflicts):
                first[event.customer_id] = min(event.occurred_at, first.get(event.customer_id, event.occurred_at))
            newcomers = [customer_row(Customer(customer_id, first[customer_id])) for customer_id in sorted(first)]
            database.insert_new(connection, t.customers, newcomers)
        return Appended(accepted, len(given) - accepted - len(conflicts), conflicts)

    def append_outcomes(
        self, outcomes: Iterable[Outcome], recorded_at: int, refused: Mapping[str, str] | None = None
    ) -> Appended:
        """Appends outcomes; one already there changes nothing, an id there for something else is a conflict.

        What they mean for contacts takes effect with them: see `contacts.take_effect`. `refused` is the channel that an
        opt-out names itself, by outcome id, `*` for all; without it an opt-out is about the channel of its decision.
        """
        given = list(outcomes)
        rows = [outcome_row(outcome, recorded_at) for outcome in given]
        with database.writing(self._engine) as connection:
            database.share_log(connection)
            opted_out = not_heard_yet(connection, given)
            accepted = database.insert_new(connection, t.outcomes, rows)
            again = accepted < len(given)
            conflicts = contradicting(connection, t.outcomes.c.outcome_id, given, outcome_of) if again else ()
            good = _without(given, conflicts)
            new = [o for o in opted_out if o in good] if conflicts else opted_out
            take_effect(connection, good, new, refused or {})
        return Appended(accepted, len(rows) - accepted - len(conflicts), conflicts)

    def touched_after(self, positions: Mapping[str, int], limit: int) -> tuple[dict[str, int], list[str]]:
        """(new positions, customers named by a log after its position), at most `limit` entries further in each log.

        The logs are events, decisions and outcomes; one left out of `positions` is read from its start.
        """
        reached: dict[str, int] = {}
        touched: dict[str, None] = {}
        with database.settled(self._engine) as connection:
            for name, table in _LOGS.items():
                at = positions.get(name, 0)
                query = select(table.c.position, table.c.customer_id).where(table.c.position > at)
                rows = connection.execute(query.order_by(table.c.position).limit(limit)).all()
                reached[name] = rows[-1].position if rows else at
                touched.update(dict.fromkeys(row.customer_id for row in rows))
        return reached, list(touched)

    def log_ends(self) -> dict[str, int]:
        """The last position of each log, with nothing before it still to come."""
        with database.settled(self._engine) as connection:
            return {n: connection.scalar(select(func.max(log.c.position))) or 0 for n, log in _LOGS.items()}

    def latest_event_at(self) -> int | None:
        """The time of the newest event."""
        with database.reading(self._engine) as connection:
            return connection.scalar(select(func.max(t.events.c.occurred_at)))


def _without(given: Sequence[Said], places: Sequence[int]) -> list[Said]:
    """Those that do not stand at one of the places."""
    out = frozenset(places)
    return [one for place, one in enumerate(given) if place not in out]
