"""What channels report back: displays, outcomes and events, checked against the ledger and appended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.clock import CLOCK_SKEW, format_time
from features.domain import Event, Outcome
from features.errors import Conflict, InvalidInput, NotFound, SegueError
from features.ledger import Appended, Ledger
from serving.schema import EventMessage, OutcomeMessage, ShownRequest, time_of


@dataclass(frozen=True, slots=True)
class Rejection:
    """One entry of a batch that was not taken, and why."""

    id: str
    error: SegueError


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    appended: Appended
    rejected: tuple[Rejection, ...]


class Intake:
    """Takes reports into the ledger. Safe to call from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def shown(self, message: ShownRequest, now: int) -> None:
        """The item was displayed or delivered. Raises NotFound, InvalidInput."""
        at = now if message.shown_at is None else _not_ahead(time_of(message.shown_at, "shown_at"), now, "shown_at")
        self._ledger.mark_shown(message.decision_id, message.rank, at)

    def outcomes(self, messages: Sequence[OutcomeMessage], now: int) -> Taken:
        """Appends what can be joined to a decision; the rest is named with its reason and stops nothing."""
        decided = self._ledger.decided_items(m.decision_id for m in messages if m.decision_id is not None)
        pairs = {(m.customer_id, m.action) for m in messages if m.decision_id is None}
        latest = self._ledger.latest_decisions((c, a) for c, a in sorted(pairs, key=str) if c and a)
        good, bad = [], []
        for message in messages:
            try:
                good.append(_outcome(message, decided, latest, now))
            except SegueError as error:
                bad.append(Rejection(message.outcome_id, error))
        appended = self._ledger.append_outcomes(good, now)
        bad += [Rejection(good[place].outcome_id, _other_content()) for place in appended.conflicts]
        return Taken(appended, tuple(bad))

    def events(self, messages: Sequence[EventMessage], now: int) -> Taken:
        """Appends events; a customer first heard of here becomes known."""
        good, bad = [], []
        for message in messages:
            try:
                good.append(_event(message, now))
            except SegueError as error:
                bad.append(Rejection(message.event_id, error))
        return Taken(self._ledger.append_events(good), tuple(bad))


def _not_ahead(at: int, now: int, field: str) -> int:
    if at > now + CLOCK_SKEW:
        raise InvalidInput(
            f"lies in the future: more than 5 minutes after {format_time(now)}, when it came in",
            field=field,
            code="in_the_future",
        )
    return at


def _other_content() -> Conflict:
    return Conflict(
        "this id is taken by an outcome of another kind, value, customer, action or decision; give each its own id",
        field="outcome_id",
        code="outcome_id_taken",
    )


def _outcome(
    message: OutcomeMessage,
    decided: dict[tuple[str, int], tuple[str, str, int]],
    latest: dict[tuple[str, str], tuple[str, int, int]],
    now: int,
) -> Outcome:
    at = _not_ahead(time_of(message.occurred_at, "occurred_at"), now, "occurred_at")
    if message.decision_id is not None:
        found = decided.get((message.decision_id, message.rank))
        if found is None:
            raise NotFound("no decision has this id and rank", field="decision_id", code="unknown_decision")
        decision_id, rank, (customer_id, action, decided_at) = message.decision_id, message.rank, found
        for name, given, known in (
            ("customer_id", message.customer_id, customer_id),
            ("action", message.action, action),
        ):
            if given is not None and given != known:
                raise InvalidInput("is not the one of this decision", field=name)
    elif message.customer_id is not None and message.action is not None:
        newest = latest.get((message.customer_id, message.action))
        if newest is None:
            raise NotFound("no decision gave this action to this customer", field="action", code="unknown_decision")
        (decision_id, rank, decided_at), customer_id, action = newest, message.customer_id, message.action
    else:
        raise InvalidInput("give decision_id, or customer_id and action", field="decision_id")
    if at < decided_at - CLOCK_SKEW:
        raise InvalidInput("lies before the decision", field="occurred_at", code="before_the_decision")
    return Outcome(
        message.outcome_id,
        decision_id,
        customer_id,
        action,
        message.kind.value,
        max(at, decided_at),
        rank,
        message.value,
    )


def _event(message: EventMessage, now: int) -> Event:
    customer_id = message.customer_id or message.anonymous_id
    if customer_id is None:
        raise InvalidInput("give customer_id or anonymous_id", field="customer_id")
    at = _not_ahead(time_of(message.occurred_at, "occurred_at"), now, "occurred_at")
    given = message.properties.get("value") if message.value is None else message.value
    value = float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None
    return Event(
        message.event_id, customer_id, message.type, at, message.source, message.channel, value, message.properties
    )
