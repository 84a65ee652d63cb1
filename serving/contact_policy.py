"""How often we contact: a rule counts the customer's contacts within its scope and window, and closes at its limit.

What a customer sees on a visit (a channel that is not outbound) is no contact, unless a rule names that channel or arm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from features.catalogue import Catalogue, ContactRule
from features.clock import SECOND
from features.domain import ActionClass, Arm, Removal, Stage
from features.ledger import ContactSlot


@dataclass(frozen=True, slots=True)
class ClosedRule:
    """A rule whose limit is reached, with the count seen."""

    rule: ContactRule
    count: int


def longest_window(rules: Iterable[ContactRule]) -> int:
    """How far back contacts matter, in microseconds."""
    return max((rule.window_seconds for rule in rules), default=0) * SECOND


def closed_rules(catalogue: Catalogue, slots: Sequence[ContactSlot], now: int) -> list[ClosedRule]:
    """The rules whose limit is reached. A slot promised but never shown stops counting when it expires."""
    closed = []
    for rule in catalogue.contact_rules:
        since = now - rule.window_seconds * SECOND
        count = sum(
            1
            for slot in slots
            if slot.reserved_at > since
            and (slot.state == "committed" or slot.expires_at > now)
            and (rule.action_class != ActionClass.MARKETING or slot.action_class == ActionClass.MARKETING)
            and _in_scope(rule, slot.arm, slot.action_group, catalogue)
        )
        if count >= rule.limit:
            closed.append(ClosedRule(rule, count))
    return closed


def over_limit(arm: Arm, catalogue: Catalogue, closed: Sequence[ClosedRule]) -> Removal | None:
    """The first closed rule that this arm falls under."""
    action = catalogue.actions[arm.action]
    for one in closed:
        rule = one.rule
        if rule.action_class == ActionClass.MARKETING and action.action_class != ActionClass.MARKETING:
            continue
        if _in_scope(rule, arm, action.group, catalogue):
            return Removal(Stage.CONTACT_POLICY, rule.id, one.count, rule.limit)
    return None


def _in_scope(rule: ContactRule, arm: Arm, group: str, catalogue: Catalogue) -> bool:
    if rule.scope == "channel":
        return arm.channel == rule.of
    if rule.scope == "arm":
        return arm.key == rule.of
    channel = catalogue.channels.get(arm.channel)
    if channel is not None and not channel.outbound:
        return False
    if rule.scope == "group":
        return group == rule.of
    if rule.scope == "action":
        return arm.action == rule.of
    return True
