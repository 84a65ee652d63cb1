"""The filters, in order: on offer and asked for, consent, eligibility, contact policy. What is left may be drawn."""

from __future__ import annotations

from collections.abc import Sequence

from features.domain import Customer, Removal
from features.ledger import ContactSlot
from serving import contact_policy, eligibility
from serving.expressions import Scope
from serving.request import Request
from serving.strategy import Strategy


def funnel(
    strategy: Strategy, request: Request, customer: Customer, slots: Sequence[ContactSlot], scope: Scope, now: int
) -> list[Removal | None]:
    """For every arm of the strategy why it is out, None for a survivor. DO_NOTHING always survives.

    Dates and conditions belong to the action: looked at once for all its channels, and conditions only when a channel
    is still open.
    """
    catalogue = strategy.catalogue
    closed = contact_policy.closed_rules(catalogue, slots, now)
    removals: list[Removal | None] = [None] * len(strategy.arms)
    for action_id, rows in strategy.rows_of_action.items():
        action = catalogue.actions[action_id]
        gone = eligibility.unavailable(action, now, request.placement)
        checked = False
        condition: Removal | None = None
        for row in rows:
            arm = strategy.arms[row]
            removal = (
                gone
                or eligibility.not_asked(arm.channel, request.channels)
                or eligibility.unconsented(action, catalogue.channels[arm.channel], customer.consents)
            )
            if removal is None:
                if not checked:
                    condition = eligibility.ineligible(strategy.compiled.expressions[action_id], scope)
                    checked = True
                removal = condition or (contact_policy.over_limit(arm, catalogue, closed) if closed else None)
            removals[row] = removal
    return removals
