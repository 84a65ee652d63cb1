"""How often we contact: each rule counts what happened in its window, and closes at its limit.

What a customer sees on a visit (a channel that is not outbound) is no contact, unless a rule names that channel or arm,
or counts what was seen or answered. A contact promised counts until it is made, fails or expires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.catalogue import Catalogue, ContactRule, covers
from features.clock import DAY, SECOND, format_time
from features.domain import ActionClass, Arm, OutcomeKind, Removal, Stage
from features.ledger import ContactSlot, Heard
from serving.contact_window import window_of

#: A contact may be made so long after it was decided, and then counts from that moment: look back further by it.
DELIVERY_MARGIN = 2 * DAY
#: An arm, its group, its class, and the kind of outcome, "" for a contact.
About = tuple[Arm, str, str, str]


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
    rules: tuple[ContactRule, ...]
    _counting: dict[About, tuple[int, ...]] = field(default_factory=dict)

    def counting(self, about: About) -> tuple[int, ...]:
        """The numbers of the rules that count this contact (no kind) or outcome; worked out once for each."""
        numbers = self._counting.get(about)
        if numbers is None:
            numbers = tuple(n for n, rule in enumerate(self.rules) if _counts(rule, about, self.catalogue))
            self._counting[about] = numbers
        return numbers


def contact_plan(catalogue: Catalogue, arms: Sequence[Arm]) -> ContactPlan:
    """The plan for these arms; DO_NOTHING, and any arm the catalogue does not have, falls under no rule."""
    rules = catalogue.contact_rules
    holding, taking = [], []
    for arm in arms:
        action = catalogue.actions.get(arm.action)
        held: list[int] = []
        if action is not None:
            held = [n for n, r in enumerate(rules) if _concerns(r, arm, action.group, action.action_class, catalogue)]
        holding.append(tuple(held))
        taking.append(tuple(n for n in held if rules[n].limit and _is_contact(rules[n], arm.channel, catalogue)))
    heard = [_reach(rule) for rule in rules if rule.counts in ("seen", "outcome")]
    contacts = [_reach(rule) for rule in rules if rule.counts != "outcome"]
    return ContactPlan(
        catalogue, tuple(holding), tuple(taking), max(contacts, default=0), max(heard) if heard else None, rules
    )


@dataclass(frozen=True, slots=True)
class ContactState:
    """Where every rule stands for one customer at one moment. `removals` has the closed rules by their numbers."""

    plan: ContactPlan
    zone: str | None
    now: int
    #: For each rule when what it counts happened, in order of time.
    moments: tuple[Sequence[int], ...]
    removals: Mapping[int, Removal]

    def removal(self, row: int) -> Removal | None:
        """The first closed rule that holds back the arm in this row."""
        if self.removals:
            for number in self.plan.holding[row]:
                if number in self.removals:
                    return self.removals[number]
        return None

    def opens_at(self, row: int) -> int | None:
        """When the last rule that holds back this arm opens, now where none does, None where one never does."""
        opens = self.now
        for number in self.plan.holding[row]:
            removal = self.removals.get(number)
            if removal is not None:
                if removal.opens_at is None:
                    return None
                opens = max(opens, removal.opens_at)
        return opens

    def room_after(self, taken: Sequence[int], rows: np.ndarray) -> np.ndarray:
        """(len(rows),) whether each arm may still follow in a slate after those in the rows `taken`."""
        room: dict[int, int] = {}
        for row in taken:
            for number in self.plan.taking[row]:
                room[number] = room.get(number, self._room(number)) - 1
        full = {number for number, left in room.items() if left <= 0}
        return np.array([full.isdisjoint(self.plan.holding[row]) for row in rows], dtype=bool)

    def _room(self, number: int) -> int:
        """How many more a rule that is open has room for."""
        rule = self.plan.rules[number]
        return rule.limit - window_of(rule, self.zone, self.now).count(self.moments[number])


def contact_state(
    plan: ContactPlan, slots: Sequence[ContactSlot], heard: Sequence[Heard], customer_zone: str | None, now: int
) -> ContactState:
    """Where every rule stands, given the customer's contacts and outcomes as far back as the plan says."""
    moments = counted_moments(plan, slots, heard, now)
    removals = {}
    for number, rule in enumerate(plan.rules):
        # With fewer than its limit a rule is open whatever the window; so most cost nothing.
        if len(moments[number]) >= rule.limit:
            removal = _closed(rule, moments[number], customer_zone, now)
            if removal is not None:
                removals[number] = removal
    return ContactState(plan, customer_zone, now, moments, removals)


def _closed(rule: ContactRule, moments: Sequence[int], zone: str | None, now: int) -> Removal | None:
    """Why the rule is closed, with what it saw and when it opens; None where it is open."""
    if rule.forbids:
        return Removal(Stage.CONTACT_POLICY, rule.id, "any contact", "forbidden")
    window = window_of(rule, zone, now)
    opens, count = None, window.count(moments)
    if rule.pause_days:
        reached = window.last_reached(moments, rule.limit)
        opens = None if reached is None else reached + round(rule.pause_days * DAY)
        count = max(count, rule.limit)
    elif count >= rule.limit:
        opens = window.opens_at(moments, rule.limit)
    if opens is None or opens <= now:
        return None
    counted = rule.outcome if rule.counts == "outcome" else rule.counts
    most = f"{rule.limit} {counted} {_span(rule)}"
    limit = f"{most}, then a pause of {rule.pause_days:g} days" if rule.pause_days else f"at most {most}"
    seen = f"{count} {counted}"
    return Removal(Stage.CONTACT_POLICY, rule.id, seen, f"{limit}; open again {format_time(opens)}", opens)


def counted_moments(
    plan: ContactPlan, slots: Sequence[ContactSlot], heard: Sequence[Heard], now: int
) -> tuple[Sequence[int], ...]:
    """For each rule when what it counts happened, in order of time. A promise that expired unkept counts no more."""
    found: list[dict[tuple[object, int], int]] = [{} for _ in plan.rules]
    for place, slot in enumerate(slots):
        promised = slot.state == "reserved"
        if promised and slot.expires_at <= now:
            continue
        about = (slot.arm, slot.action_group, slot.action_class, "")
        for number in plan.counting(about):
            decided = plan.rules[number].counts == "decided"
            at = slot.reserved_at if decided else _made_at(slot, promised, now)
            found[number][slot.decision_id or place, slot.rank] = at
    for place, one in enumerate(heard):
        action = plan.catalogue.actions.get(one.arm.action)
        action_class = ActionClass.MARKETING if action is None else action.action_class
        for number in plan.counting((one.arm, one.action_group, action_class, one.kind)):
            # Seen is seen, however often it is told, and counts from the last time; outcomes count one by one.
            seen = plan.rules[number].counts == "seen"
            key = ((seen and one.decision_id) or -1 - place, one.rank)
            found[number][key] = max(one.occurred_at, found[number].get(key, one.occurred_at))
    return tuple(sorted(moments.values()) for moments in found)


def _counts(rule: ContactRule, about: About, catalogue: Catalogue) -> bool:
    arm, group, action_class, kind = about
    if kind and kind != (
        rule.outcome if rule.counts == "outcome" else OutcomeKind.SEEN if rule.counts == "seen" else ""
    ):
        return False
    if not kind and not _is_contact(rule, arm.channel, catalogue):
        return False
    return _concerns(rule, arm, group, action_class, catalogue)


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


def _span(rule: ContactRule) -> str:
    if rule.calendar:
        return f"in a calendar {rule.calendar}"
    days = rule.window_seconds / 86_400
    return "in a day" if days == 1 else f"in {days:g} days" if days >= 1 else f"in {rule.window_seconds} seconds"
