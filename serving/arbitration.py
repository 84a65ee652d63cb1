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


def worth(action_value: np.ndarray, context_weight: np.ndarray | None, lever: np.ndarray) -> np.ndarray:
    """V x C x L, money for a response, shape (n,); NaN is a missing factor, which is 1, None says that all are.

    >>> worth(np.array([40.0, np.nan]), None, np.array([1.55, 1.55])).tolist()
    [62.0, 1.55]
    """
    product = _or_one(action_value) * _or_one(lever)
    return product if context_weight is None else product * _or_one(context_weight)


def priorities(p_accept: np.ndarray, worth: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """P x worth - cost, in money, shape (n,); NaN is a missing probability, which is 1.

    >>> priorities(np.array([0.1]), np.array([62.0]), np.array([0.2])).round(9).tolist()
    [6.0]
    """
    result: np.ndarray = _or_one(p_accept) * worth - cost
    return result


def _or_one(factors: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(factors), 1.0, factors)
