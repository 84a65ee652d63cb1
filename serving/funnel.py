"""The filters, in order: on offer and asked for, consent, eligibility, contact policy. What is left may be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from features.domain import Removal
from serving import eligibility
from serving.contact_policy import ContactState, contact_state
from serving.expressions import Scope
from serving.quiet_hours import QuietClock
from serving.request import EDITION, REFUSED_INBOUND, Knowledge, Request
from serving.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Funnel:
    """For every arm of the strategy why it is out, None for a survivor, and what else is known of the limits."""

    removals: list[Removal | None]
    contacts: ContactState
    quiet: QuietClock


def funnel(
    strategy: Strategy, request: Request, knowledge: Knowledge, scope: Scope, now: int, edition: int | None = EDITION
) -> Funnel:
    """Filters every arm. DO_NOTHING always survives.

    Dates and conditions are looked at once for all actions that share them, and conditions only when a channel of
    theirs is still open.
    """
    customer, catalogue = knowledge.customer, strategy.catalogue
    assert customer is not None
    contacts = contact_state(strategy.contact_plan, knowledge.slots, knowledge.heard, customer.zone, now)
    quiet = QuietClock(catalogue.quiet_hours, customer.zone, now, knowledge.zones)
    gates, gate_of = strategy.gates.gates, strategy.gates.of_row
    inbound = edition is not None and edition >= REFUSED_INBOUND
    consent = [
        eligibility.not_asked(channel.id, request.channels)
        or eligibility.unconsented(action, channel, customer.consents, now, inbound=inbound)
        for action, channel in gates
    ]
    hours = [quiet.removal(c.id, a.action_class) if c.outbound else None for a, c in gates]
    any_out = any(consent)
    any_closed = any_out or any(hours)
    suppressed = eligibility.suppressed(customer)
    over = contacts.removal if contacts.removals else None
    removals: list[Removal | None] = [None] * len(strategy.arms)
    for offer in strategy.offers:
        gone = suppressed or eligibility.unavailable(offer.action, now, request.placement)
        if gone:
            for row in offer.rows:
                removals[row] = gone
            continue
        condition: Removal | None = None
        if not any_out or None in [consent[gate_of[row]] for row in offer.rows]:
            condition = eligibility.ineligible(eligibility.failing(offer.expressions, scope), scope)
        if condition is None and over is None and not any_closed:
            continue
        for row in offer.rows:
            gate = gate_of[row]
            removals[row] = consent[gate] or condition or (over(row) if over else None) or hours[gate]
    return Funnel(removals, contacts, quiet)


def defer_until(
    found: Funnel, strategy: Strategy, request: Request, knowledge: Knowledge, edition: int | None = EDITION
) -> int | None:
    """The earliest moment at which an arm that only time holds back would open; None where there is none.

    An arm counts that its limits and quiet hours alone removed, and that is still on offer and consented to by then.
    """
    consents = {} if knowledge.customer is None else knowledge.customer.consents
    inbound = edition is not None and edition >= REFUSED_INBOUND
    earliest: int | None = None
    for row, removal in enumerate(found.removals):
        if removal is None or removal.stage != "contact_policy":
            continue
        opens = _opens_at(found, strategy, row)
        if opens is None or (earliest is not None and opens >= earliest):
            continue
        arm = strategy.arms[row]
        action, channel = strategy.catalogue.actions[arm.action], strategy.catalogue.channels[arm.channel]
        if not eligibility.unavailable(action, opens, request.placement) and not eligibility.unconsented(
            action, channel, consents, opens, inbound=inbound
        ):
            earliest = opens
    return earliest


def _opens_at(found: Funnel, strategy: Strategy, row: int) -> int | None:
    """When the limits of one arm have opened and its channel is not quiet."""
    opens = found.contacts.opens_at(row)
    arm = strategy.arms[row]
    if opens is None or not strategy.catalogue.channels[arm.channel].outbound:
        return opens
    return found.quiet.opens_at(arm.channel, strategy.catalogue.actions[arm.action].action_class, opens)
