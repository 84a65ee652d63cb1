"""What is a purchase and what was paid back, as SQL for every place that asks, so that none answers otherwise.

A refund is an event of the type refund, whatever the sign of its value, or a purchase with a value below 0. It is
neither a purchase nor an activity, and it is taken off what the customer has spent.

Each function takes the names of two columns, the type of event and the amount, and gives an expression over them.
"""

from __future__ import annotations

PURCHASE, REFUND = "purchase", "refund"
#: The types of event that move money.
MONEY_TYPES = (PURCHASE, REFUND)


def is_purchase(kind: str, amount: str) -> str:
    """True for a purchase, also one without an amount or for nothing."""
    return f"({kind} = '{PURCHASE}' AND coalesce({amount}, 0) >= 0)"


def is_refund(kind: str, amount: str) -> str:
    """True for money paid back."""
    return f"({kind} = '{REFUND}' OR ({kind} = '{PURCHASE}' AND coalesce({amount}, 0) < 0))"


def is_money(kind: str) -> str:
    """True for either."""
    return f"{kind} IN ('{PURCHASE}', '{REFUND}')"


def spent(kind: str, amount: str) -> str:
    """What the event adds to the money spent, below 0 for a refund; NULL for any other event or without an amount."""
    return f"CASE {kind} WHEN '{PURCHASE}' THEN {amount} WHEN '{REFUND}' THEN -abs({amount}) END"
