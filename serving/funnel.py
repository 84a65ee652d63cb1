"""The filters, in order: on offer and asked for, consent, eligibility, contact policy. What is left may be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from features.catalogue import Action
from features.domain import Customer, Removal
from serving import eligibility
from serving.contact_policy import ContactState, contact_state
from serving.expressions import Scope
from serving.quiet_hours import QuietClock
from serving.request import Knowledge, Request
from serving.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Funnel:
    """For every arm of the strategy why it is out, None for a survivor, and what else is known of the limits."""

    removals: list[Removal | None]
    contacts: ContactState
    quiet: QuietClock


class _Gate:
    """Consent of one customer on a channel, looked at once for each channel, purpose and class."""

    def __init__(self, strategy: Strategy, request: Request, customer: Customer, now: int) -> None:
        self._channels = strategy.catalogue.channels
        self._request, self._customer, self._now = request, customer, now
        self._known: dict[tuple[str, str | None, str], Removal | None] = {}

    def removal(self, action: Action, channel: str) -> Removal | None:
        key = (channel, action.purpose, action.action_class)
        if key not in self._known:
            self._known[key] = eligibility.not_asked(channel, self._request.channels) or eligibility.unconsented(
                action, self._channels[channel], self._customer.consents, self._now
            )
        return self._known[key]


def funnel(strategy: Strategy, request: Request, knowledge: Knowledge, scope: Scope, now: int) -> Funnel:
    """Filters every arm. DO_NOTHING always survives.

    Dates and conditions belong to the action: looked at once for all its channels, and conditions only when a channel
    is still open.
    """
    customer, catalogue = knowledge.customer, strategy.catalogue
    assert customer is not None
    contacts = contact_state(strategy.contact_plan, knowledge.slots, knowledge.heard, customer.zone, now)
    quiet = QuietClock(catalogue.quiet_hours, customer.zone, now)
    gate = _Gate(strategy, request, customer, now)
    suppressed = eligibility.suppressed(customer)
    removals: list[Removal | None] = [None] * len(strategy.arms)
    for action_id, rows in strategy.rows_of_action.items():
        action = catalogue.actions[action_id]
        gone = suppressed or eligibility.unavailable(action, now, request.placement)
        checked = False
        condition: Removal | None = None
        for row in rows:
            channel = strategy.arms[row].channel
            removal = gone or gate.removal(action, channel)
            if removal is None:
                if not checked:
                    condition = eligibility.ineligible(strategy.compiled.expressions[action_id], scope)
                    checked = True
                removal = condition or contacts.removal(row)
                if removal is None and catalogue.channels[channel].outbound:
                    removal = quiet.removal(channel, action.action_class)
            removals[row] = removal
    return Funnel(removals, contacts, quiet)


def defer_until(found: Funnel, strategy: Strategy, request: Request, knowledge: Knowledge, now: int) -> int | None:
    """The earliest moment at which an arm that only time holds back would open; None where there is none.

    An arm counts that its limits and quiet hours alone removed, and that is still on offer and consented to by then.
    """
    consents = {} if knowledge.customer is None else knowledge.customer.consents
    earliest: int | None = None
    for row, removal in enumerate(found.removals):
        if removal is None or removal.stage != "contact_policy":
            continue
        opens = _opens_at(found, strategy, row, now)
        if opens is None or (earliest is not None and opens >= earliest):
            continue
        arm = strategy.arms[row]
        action, channel = strategy.catalogue.actions[arm.action], strategy.catalogue.channels[arm.channel]
        if not eligibility.unavailable(action, opens, request.placement) and not eligibility.unconsented(
            action, channel, consents, opens
        ):
            earliest = opens
    return earliest


def _opens_at(found: Funnel, strategy: Strategy, row: int, now: int) -> int | None:
    """When the limits of one arm have opened and its channel is not quiet."""
    opens = found.contacts.opens_at(row, now)
    arm = strategy.arms[row]
    if opens is None or not strategy.catalogue.channels[arm.channel].outbound:
        return opens
    return found.quiet.opens_at(arm.channel, strategy.catalogue.actions[arm.action].action_class, opens)
