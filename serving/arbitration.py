"""Ranking by one number of money: priority = P x C x V x L - contact cost.

P response probability, C context weight, V action value, L lever; a factor that is missing or switched off is 1.
A lever and a context weight are given in percent and add up: factor = 1 + sum(percent) / 100.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def factor(percents: Iterable[float]) -> float:
    """1 + sum(percent) / 100, never below 0.

    >>> factor([55])
    1.55
    >>> factor([])
    1.0
    """
    return max(0.0, 1.0 + sum(percents) / 100.0)


def priorities(
    p_accept: np.ndarray, context_weight: np.ndarray, action_value: np.ndarray, lever: np.ndarray, cost: np.ndarray
) -> np.ndarray:
    """P x C x V x L - cost, in money, shape (n,); NaN is a missing factor, which is 1.

    >>> one = np.ones(1)
    >>> priorities(0.1 * one, np.nan * one, 40.0 * one, 1.55 * one, 0.2 * one).round(9).tolist()
    [6.0]
    """
    product = np.ones(len(cost))
    for column in (p_accept, context_weight, action_value, lever):
        product = product * np.where(np.isnan(column), 1.0, column)
    return product - cost
