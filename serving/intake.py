"""What channels report back: displays, outcomes and events, checked against the ledger and appended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.catalogue import EMPTY_CATALOGUE, Catalogue
from features.clock import CLOCK_SKEW, format_time
from features.consent import EVERY_CHANNEL
from features.domain import Event, Outcome, OutcomeKind
from features.errors import Conflict, InvalidInput, NotFound, SegueError
from features.ledger import Appended, DecidedItem, Ledger, no_decision
from features.rewards import RewardRules
from serving.attribution import attribute
from serving.schema import EventMessage, OutcomeMessage, ShownRequest, time_of

#: (decision_id, rank) -> the item.
_Decided = Mapping[tuple[str, int], DecidedItem]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One entry of a batch that was not taken, and why."""

    id: str
    error: SegueError


@dataclass(frozen=True, slots=True)
class Unattributed:
    """An outcome that is kept but belongs to no decision."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch. `unattributed` are taken too; each has the reason why it belongs to no decision."""

    appended: Appended
    rejected: tuple[Rejection, ...]
    unattributed: tuple[Unattributed, ...] = ()


class Intake:
    """Takes reports into the ledger. Safe to call from several threads."""

    def __init__(self, ledger: Ledger, catalogue: Callable[[], Catalogue] = lambda: EMPTY_CATALOGUE) -> None:
        """`catalogue` gives the one in force; without one, items keep the windows they were decided with."""
        self._ledger = ledger
        self._catalogue = catalogue

    def shown(self, message: ShownRequest, now: int) -> None:
        """The item was displayed or delivered. Raises NotFound, InvalidInput."""
        at = now if message.shown_at is None else _not_ahead(time_of(message.shown_at, "shown_at"), now, "shown_at")
        item = _item_of(message, self._ledger.decided_items([message.decision_id]))
        self._ledger.mark_shown(item.decision_id, item.rank, _not_before(at, item, "shown_at"))

    def outcomes(self, messages: Sequence[OutcomeMessage], now: int) -> Taken:
        """Appends what names a decision, or a customer and an action; the rest is named with its reason and stops
        nothing."""
        decided = self._ledger.decided_items(m.decision_id for m in messages if m.decision_id is not None)
        catalogue = self._catalogue()
        rules = RewardRules(catalogue)
        good: list[Outcome] = []
        bad: list[Rejection] = []
        alone: list[Unattributed] = []
        refused: dict[str, str] = {}
        for message in messages:
            try:
                at = _not_ahead(time_of(message.occurred_at, "occurred_at"), now, "occurred_at")
                if message.decision_id is not None:
                    good.append(_named(message, at, decided))
                    continue
                outcome, reason = self._found(message, at, rules, catalogue)
            except SegueError as error:
                bad.append(Rejection(message.outcome_id, error))
                continue
            good.append(outcome)
            if message.kind == OutcomeKind.OPTED_OUT:
                refused[message.outcome_id] = message.channel or EVERY_CHANNEL
            alone += [] if reason is None else [Unattributed(message.outcome_id, reason)]
        appended = self._ledger.append_outcomes(good, now, refused)
        bad += [Rejection(good[place].outcome_id, _other_outcome()) for place in appended.conflicts]
        return Taken(appended, tuple(bad), tuple(alone))

    def _found(
        self, message: OutcomeMessage, at: int, rules: RewardRules, catalogue: Catalogue
    ) -> tuple[Outcome, str | None]:
        """(the outcome with its decision, None), or (the outcome with none, why)."""
        customer_id, action = message.customer_id, message.action
        opted_out = message.kind == OutcomeKind.OPTED_OUT
        if customer_id is None or (action is None and not opted_out):
            raise InvalidInput("give decision_id, or customer_id and action", field="decision_id")
        item: DecidedItem | str = "it names no action"
        if action is not None:
            item = attribute(self._ledger, rules, customer_id, action, message.channel, at)
        if not isinstance(item, str):
            at = max(at, item.decided_at)
            return _made(message, item.decision_id, item.rank, item.customer_id, item.arm.action, at), None
        _refuse_unknown_channel(message.channel, catalogue)
        if action is not None and catalogue.actions and action not in catalogue.actions:
            item += ", and the catalogue has no action of this name"
        if opted_out:
            item += f"; the customer gets nothing more by {message.channel or 'any outbound channel'}"
        return _made(message, no_decision(message.outcome_id), 0, customer_id, action or "", at), item

    def events(self, messages: Sequence[EventMessage], now: int) -> Taken:
        """Appends events; a customer first heard of here becomes known."""
        good, bad = [], []
        for message in messages:
            try:
                good.append(_event(message, now))
            except SegueError as error:
                bad.append(Rejection(message.event_id, error))
        appended = self._ledger.append_events(good)
        bad += [Rejection(good[place].event_id, _other_event()) for place in appended.conflicts]
        return Taken(appended, tuple(bad))


def _not_ahead(at: int, now: int, field: str) -> int:
    if at > now + CLOCK_SKEW:
        raise InvalidInput(
            f"lies in the future: more than 5 minutes after {format_time(now)}, when it came in",
            field=field,
            code="in_the_future",
        )
    return at


def _refuse_unknown_channel(channel: str | None, catalogue: Catalogue) -> None:
    """Raises InvalidInput: what is said of a channel that nobody has would be without effect."""
    if channel is not None and catalogue.channels and channel not in catalogue.channels:
        known = ", ".join(catalogue.channels)
        raise InvalidInput(f"no channel of this name; there are {known}", field="channel", code="unknown_channel")


def _other_outcome() -> Conflict:
    return Conflict(
        "this id is taken by an outcome of another kind, value, customer, action or decision; give each its own id",
        field="outcome_id",
        code="outcome_id_taken",
    )


def _other_event() -> Conflict:
    return Conflict(
        "this id is taken by an event of another customer, type, source, channel, value or properties; "
        "give each its own id",
        field="event_id",
        code="event_id_taken",
    )


def _named(message: OutcomeMessage, at: int, decided: _Decided) -> Outcome:
    """The outcome of the decision it names."""
    item = _item_of(message, decided)
    customer_id, action, channel = item.customer_id, item.arm.action, item.arm.channel
    for name, known in (("customer_id", customer_id), ("action", action), ("channel", channel)):
        if getattr(message, name) not in (None, known):
            raise InvalidInput("is not the one of this decision", field=name)
    return _made(message, item.decision_id, item.rank, customer_id, action, _not_before(at, item, "occurred_at"))


def _item_of(message: OutcomeMessage | ShownRequest, decided: _Decided) -> DecidedItem:
    """The item that a report names. Raises NotFound."""
    item = decided.get((message.decision_id or "", message.rank))
    if item is None:
        raise NotFound("no decision has this id and rank", field="decision_id", code="unknown_decision")
    return item


def _not_before(at: int, item: DecidedItem, field: str) -> int:
    """When it happened to the item: not before the decision, whatever clocks say. Raises InvalidInput."""
    if at < item.decided_at - CLOCK_SKEW:
        raise InvalidInput("lies before the decision", field=field, code="before_the_decision")
    return max(at, item.decided_at)


def _made(message: OutcomeMessage, decision_id: str, rank: int, customer_id: str, action: str, at: int) -> Outcome:
    return Outcome(message.outcome_id, decision_id, customer_id, action, message.kind.value, at, rank, message.value)


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
