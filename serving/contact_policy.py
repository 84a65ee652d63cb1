"""How often we contact: each rule counts what happened in its window, and closes at its limit.

What a customer sees on a visit (a channel that is not outbound) is no contact, unless a rule names that channel or arm,
or counts what was seen or answered. A contact promised counts until it is made, fails or expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.catalogue import Catalogue, ContactRule, covers
from features.clock import DAY, SECOND, format_time
from features.domain import ActionClass, Arm, OutcomeKind, Removal, Stage
from features.ledger import ContactSlot, Heard
from serving.contact_window import Window, window_of

#: A contact may be made so long after it was decided, and then counts from that moment: look back further by it.
DELIVERY_MARGIN = 2 * DAY


@dataclass(frozen=True, slots=True)
class ContactPlan:
    """The rules of a catalogue, with what they concern worked out once."""

    catalogue: Catalogue
    #: For each arm the numbers of the rules that can hold it back, and of those that it would count for when drawn.
    holding: tuple[tuple[int, ...], ...]
    taking: tuple[tuple[int, ...], ...]
    #: How far back contacts matter, and outcomes: microseconds, None where no rule counts them.
    contacts_back: int
    heard_back: int | None

    @property
    def rules(self) -> tuple[ContactRule, ...]:
        return self.catalogue.contact_rules


def contact_plan(catalogue: Catalogue, arms: Sequence[Arm]) -> ContactPlan:
    """The plan for these arms; DO_NOTHING, and any arm the catalogue does not have, falls under no rule."""
    rules = catalogue.contact_rules
    holding, taking = [], []
    for arm in arms:
        action = catalogue.actions.get(arm.action)
        held: list[int] = []
        if action is not None:
            about = (arm, action.group, action.action_class)
            held = [n for n, rule in enumerate(rules) if _concerns(rule, *about, catalogue)]
        holding.append(tuple(held))
        taking.append(tuple(n for n in held if rules[n].limit and _is_contact(rules[n], arm.channel, catalogue)))
    heard = [_reach(rule) for rule in rules if rule.counts in ("seen", "outcome")]
    contacts = [_reach(rule) for rule in rules if rule.counts != "outcome"]
    return ContactPlan(
        catalogue, tuple(holding), tuple(taking), max(contacts, default=0), max(heard) if heard else None
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rule stands: what it counted, how many more it has room for, and if closed until when."""

    count: int
    room: int
    closed: bool
    opens_at: int | None = None


@dataclass(frozen=True, slots=True)
class ContactState:
    """Where every rule stands for one customer at one moment. `removals` has the closed rules by their numbers."""

    plan: ContactPlan
    standings: tuple[Standing, ...]
    removals: dict[int, Removal]

    def removal(self, row: int) -> Removal | None:
        """The first closed rule that holds back the arm in this row."""
        if self.removals:
            for number in self.plan.holding[row]:
                if number in self.removals:
                    return self.removals[number]
        return None

    def opens_at(self, row: int, now: int) -> int | None:
        """When the last rule that holds back this arm opens, `now` where none does, None where one never does."""
        moments = [self.standings[n].opens_at for n in self.plan.holding[row] if self.standings[n].closed]
        known = [moment for moment in moments if moment is not None]
        return None if len(known) < len(moments) else max(known, default=now)

    def room_after(self, taken: Sequence[int], rows: np.ndarray) -> np.ndarray:
        """(len(rows),) whether each arm may still follow in a slate after those in the rows `taken`."""
        room = [standing.room for standing in self.standings]
        for row in taken:
            for number in self.plan.taking[row]:
                room[number] -= 1
        full = {number for number, left in enumerate(room) if left <= 0 and not self.standings[number].closed}
        return np.array([full.isdisjoint(self.plan.taking[row]) for row in rows], dtype=bool)


def contact_state(
    plan: ContactPlan, slots: Sequence[ContactSlot], heard: Sequence[Heard], customer_zone: str | None, now: int
) -> ContactState:
    """Where every rule stands, given the customer's contacts and outcomes as far back as the plan says."""
    standings, removals = [], {}
    for number, rule in enumerate(plan.rules):
        if rule.forbids:
            standing = Standing(0, 0, True)
        else:
            moments = _moments(rule, plan.catalogue, slots, heard, now)
            standing = _standing(rule, moments, window_of(rule, customer_zone, now), now)
        standings.append(standing)
        if standing.closed:
            removals[number] = _removal(rule, standing)
    return ContactState(plan, tuple(standings), removals)


def _standing(rule: ContactRule, moments: Sequence[int], window: Window, now: int) -> Standing:
    """`moments` in order of time. A rule with fewer of them than its limit is open whatever the window."""
    if len(moments) < rule.limit:
        return Standing(len(moments), rule.limit - len(moments), False)
    count = window.count(moments)
    if not rule.pause_days:
        opens = window.opens_at(moments, rule.limit)
        return Standing(count, rule.limit - count, opens is not None, opens)
    paused_from = window.last_reached(moments, rule.limit)
    opens = None if paused_from is None else paused_from + round(rule.pause_days * DAY)
    closed = opens is not None and opens > now
    return Standing(max(count, rule.limit) if closed else count, rule.limit - count, closed, opens if closed else None)


def _moments(
    rule: ContactRule, catalogue: Catalogue, slots: Sequence[ContactSlot], heard: Sequence[Heard], now: int
) -> list[int]:
    """When each thing happened that the rule counts, in order of time."""
    moments: dict[tuple[str, int, int], int] = {}
    if rule.counts != "outcome":
        for number, slot in enumerate(slots):
            promised = slot.state != "committed"
            if promised and slot.expires_at <= now:
                continue
            if not _is_contact(rule, slot.arm.channel, catalogue):
                continue
            if _concerns(rule, slot.arm, slot.action_group, slot.action_class, catalogue):
                at = slot.reserved_at if rule.counts == "decided" else _made_at(slot, promised, now)
                # A slot without its decision's id, as tests may have it, is one of its own.
                moments[slot.decision_id, slot.rank, 0 if slot.decision_id else number] = at
    if rule.counts in ("seen", "outcome"):
        wanted = rule.outcome if rule.counts == "outcome" else OutcomeKind.SEEN
        for number, one in enumerate(heard):
            action = catalogue.actions.get(one.arm.action)
            action_class = ActionClass.MARKETING if action is None else action.action_class
            if one.kind == wanted and _concerns(rule, one.arm, one.action_group, action_class, catalogue):
                # Seen is seen, however often it is told; outcomes count one by one.
                key = (one.decision_id, one.rank, 0 if rule.counts == "seen" and one.decision_id else number)
                moments[key] = min(one.occurred_at, moments.get(key, one.occurred_at))
    return sorted(moments.values())


def _made_at(slot: ContactSlot, promised: bool, now: int) -> int:
    """A contact promised may be made at any moment: it counts as made now."""
    return now if promised else slot.reserved_at if slot.shown_at is None else slot.shown_at


def _concerns(rule: ContactRule, arm: Arm, group: str, action_class: str, catalogue: Catalogue) -> bool:
    """Whether the rule is about this arm: its class, its scope, and that it contacts where only contacts are meant."""
    if not covers(rule.action_class, action_class):
        return False
    if rule.scope == "channel":
        return arm.channel == rule.of
    if rule.scope == "arm":
        return arm.key == rule.of
    if rule.counts in ("decided", "delivered") and not _outbound(arm.channel, catalogue):
        return False
    if rule.scope == "group":
        return group == rule.of
    return rule.scope == "all" or arm.action == rule.of


def _is_contact(rule: ContactRule, channel: str, catalogue: Catalogue) -> bool:
    """Whether a slot counts for the rule: what is shown on a visit is seen, a message only once its reader says so."""
    return rule.counts in ("decided", "delivered") or (rule.counts == "seen" and not _outbound(channel, catalogue))


def _outbound(channel: str, catalogue: Catalogue) -> bool:
    known = catalogue.channels.get(channel)
    return known is None or known.outbound


def _reach(rule: ContactRule) -> int:
    """How far back events matter to the rule, in microseconds; a day more than the longest calendar unit."""
    window = {"day": 2, "week": 9, "month": 33}[rule.calendar] * DAY if rule.calendar else rule.window_seconds * SECOND
    late = 0 if rule.counts in ("decided", "outcome") else DELIVERY_MARGIN
    return window + round(rule.pause_days * DAY) + late


def _removal(rule: ContactRule, standing: Standing) -> Removal:
    if rule.forbids:
        return Removal(Stage.CONTACT_POLICY, rule.id, "any contact", "forbidden")
    counted = rule.outcome if rule.counts == "outcome" else rule.counts
    most = f"{rule.limit} {counted} {_span(rule)}"
    limit = f"{most}, then a pause of {rule.pause_days:g} days" if rule.pause_days else f"at most {most}"
    if standing.opens_at is not None:
        limit += f"; open again {format_time(standing.opens_at)}"
    return Removal(Stage.CONTACT_POLICY, rule.id, f"{standing.count} {counted}", limit, standing.opens_at)


def _span(rule: ContactRule) -> str:
    if rule.calendar:
        return f"in a calendar {rule.calendar}"
    days = rule.window_seconds / 86_400
    return f"in {days:g} days" if days >= 1 else f"in {rule.window_seconds} seconds"
