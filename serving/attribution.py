"""To which decided item an outcome belongs that names no decision, only a customer and an action.

To the latest item of that customer and action, on the channel where one is named, that was decided by the time the
outcome occurred and whose attribution window can still have been open then. (Decided, not displayed: displays may be
reported later than outcomes, and the answer must not depend on what came first.) Where nothing was decided by then,
an item decided within the five minutes that clocks may differ by. One that belongs to none is kept in the ledger, for
reports and features, but earns and teaches nothing.
"""

from __future__ import annotations

from features.clock import CLOCK_SKEW
from features.ledger import DecidedItem, Ledger
from features.rewards import RewardRules, last_moment

#: Items looked at: a customer who got the same action more often than that within one window is not worth more reads.
_LOOKED_AT = 50


def attribute(
    ledger: Ledger, rules: RewardRules, customer_id: str, action: str, channel: str | None, occurred_at: int
) -> DecidedItem | str:
    """The item, or why there is none."""
    there = ledger.decided_before(customer_id, action, channel, occurred_at + CLOCK_SKEW, _LOOKED_AT)
    on = "" if channel is None else f" on {channel}"
    if not there:
        return f"no decision before it gave this action to this customer{on}"
    before = [one for one in there if one.decided_at <= occurred_at]
    if not before:
        return there[-1]
    for one in before:
        if occurred_at <= last_moment(one, rules.of(one)):
            return one
    return f"it came after the attribution window of every decision for this action and customer{on}"
