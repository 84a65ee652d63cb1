"""Ranking by one number of money: priority = P x C x V x L - contact cost.

P response probability, C context weight, V action value, L lever; a factor that is missing or switched off is 1.
A lever and a context weight are given in percent and add up: factor = 1 + sum(percent) / 100.
"""

from __future__ import annotations

from collections.abc import Iterable


def factor(percents: Iterable[float]) -> float:
    """1 + sum(percent) / 100, never below 0.

    >>> factor([55])
    1.55
    >>> factor([])
    1.0
    """
    return max(0.0, 1.0 + sum(percents) / 100.0)


def priority(
    p_accept: float | None, context_weight: float | None, action_value: float | None, lever: float | None, cost: float
) -> float:
    """P x C x V x L - cost, in money.

    >>> priority(0.1, None, 40.0, 1.55, 0.2)
    6.0
    """
    product = 1.0
    for one in (p_accept, context_weight, action_value, lever):
        if one is not None:
            product *= one
    return product - cost
