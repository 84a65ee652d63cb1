"""Differences between the groups of a ramp, with intervals that hold at every look at once.

Confidence sequence of Robbins' normal mixture: with n the decisions the comparison is worth and s the deviation of one,

    difference ± s sqrt((n + r) log((n + r) / (r a²))) / n

holds for all n at once with probability 1 - a; r is chosen so that it is tightest at `TIGHTEST` decisions. Robbins
1970, Statistical Methods Related to the Law of the Iterated Logarithm; Howard, Ramdas, McAuliffe, Sekhon 2021,
Time-uniform, Nonparametric, Nonasymptotic Confidence Sequences, section 3; with s estimated it holds as n grows
(Waudby-Smith et al. 2024, Time-uniform Central Limit Theory and Asymptotic Confidence Sequences).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Chance that any of the three guardrails is ever wrong; each gets a third.
ALPHA = 0.05 / 3
TIGHTEST = 5_000.0
_R = TIGHTEST / (2.0 * math.log(1.0 / ALPHA) + math.log(1.0 + 2.0 * math.log(1.0 / ALPHA)))


@dataclass(frozen=True, slots=True)
class Group:
    """One group of customers in one step: how many, their decisions, what those came to in all, and the sum over
    customers of (their sum - their decisions x the group's mean)²."""

    customers: int
    decisions: int
    total: float
    squares: float

    @staticmethod
    def of(decisions: Floats, sums: Floats) -> Group:
        """(customers,) decisions and (customers,) sums of what they came to."""
        made, total = float(decisions.sum()), float(sums.sum())
        rest = sums - decisions * (total / made if made else 0.0)
        return Group(len(sums), int(made), total, float(rest @ rest))

    @property
    def mean(self) -> float:
        return self.total / self.decisions if self.decisions else 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """Challenger less champion, a decision, with an interval that holds at every look at once."""

    name: str
    difference: float
    low: float
    high: float
    champion: float
    customers: int


def look(name: str, steps: Sequence[tuple[Group, Group]]) -> Look:
    """The steps' (challenger, champion) groups together.

    Each step is compared within itself, because time passes between them and shares differ, and weighs as much as it
    knows. Customers are independent, their decisions are not. Both groups' spread is taken together: a group of few in
    which nobody responded yet would else look certain.
    """
    weight = gained = spread = 0.0
    for tried, rest in steps:
        made = tried.decisions + rest.decisions
        if not tried.decisions or not rest.decisions:
            continue
        # Half a response more than was seen: that nothing ever happened is no certainty.
        deviation2 = (tried.squares + rest.squares + 0.5 * _unit(tried, rest) ** 2) / made
        if deviation2 <= 0.0:
            continue
        information = 1.0 / (1.0 / tried.decisions + 1.0 / rest.decisions)
        weight += information
        gained += information * (tried.mean - rest.mean)
        spread += information * deviation2
    customers = sum(tried.customers for tried, _ in steps)
    made = sum(rest.decisions for _, rest in steps)
    champion = sum(rest.total for _, rest in steps) / made if made else 0.0
    if not weight:
        return Look(name, 0.0, -math.inf, math.inf, champion, customers)
    reach = math.sqrt(spread / weight) * half_width(weight)
    return Look(name, gained / weight, gained / weight - reach, gained / weight + reach, champion, customers)


def _unit(tried: Group, rest: Group) -> float:
    """The size of one response, 1 where there was none: sum of squares over sum.

    The squares about 0, not those about the mean: where all of a group respond and nobody of the other does, there is
    no spread in either, and that is no reason to know nothing.
    """
    total = abs(tried.total + rest.total)
    squares = sum(group.squares + group.mean * group.total for group in (tried, rest))
    return squares / total if total else 1.0


def half_width(n: float, alpha: float = ALPHA, r: float = _R) -> float:
    """Of the interval, in standard deviations of one decision, at n decisions.

    >>> half_width(5_000) < half_width(4_000) < half_width(100)
    True
    """
    return math.sqrt((n + r) * math.log((n + r) / (r * alpha * alpha))) / n
