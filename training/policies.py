"""Policies: from the values of the allowed arms to the probability of each. `training.explorer.policies` names all.

A policy is a frozen value with a `name` and `probabilities(values, deviations)`; both are (n,) in money, a deviation
being one posterior standard deviation of its value. `probabilities_of_each` gives many customers theirs, to the last
bit what each would get alone. Scaling all values by a currency changes nothing: whatever
compares values does so by the largest of them, in size. What values tie, share alike, so the order of arms is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.errors import InvalidInput
from features.figures import number
from training.portable import exp


class Policy(Protocol):
    """From values to probabilities."""

    @property
    def name(self) -> str: ...

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray: ...

    def probabilities_of_each(self, values: Sequence[np.ndarray], deviations: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One after another, where a policy knows no quicker way."""
        return [self.probabilities(*one) for one in zip(values, deviations, strict=True)]


def checked(values: np.ndarray, deviations: np.ndarray) -> None:
    """Raises InvalidInput unless there is an arm, every number is finite, and no deviation is negative."""
    if not len(values) or len(values) != len(deviations):
        raise InvalidInput(f"a policy needs one deviation for each of at least one value, not {len(deviations)}")
    if not (np.isfinite(values).all() and np.isfinite(deviations).all() and deviations.min() >= 0.0):
        raise InvalidInput("a policy needs finite values and deviations of at least 0; look at the actions' values")


def best_share(values: np.ndarray) -> np.ndarray:
    """(n,) 1 for the largest value, shared alike by those that tie.

    >>> best_share(np.array([1.0, 3.0, 3.0]))
    array([0. , 0.5, 0.5])
    """
    best = values == values.max()
    return best / np.count_nonzero(best)


def gaps(values: np.ndarray) -> np.ndarray:
    """(n,) how far each is from the best, as a share of the largest value in size: 0 .. 2, without unit.

    >>> gaps(np.array([4.0, 3.0, -4.0]))
    array([0.  , 0.25, 2.  ])
    """
    size = float(np.abs(values).max())
    if size == 0.0:
        return np.zeros(len(values))
    shares = values / size
    return shares.max() - shares


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises InvalidInput that names the setting unless low <= value <= high."""
    if not low <= value <= high:
        raise InvalidInput(f"{name} must be between {number(low)} and {number(high)}, not {value!r}", field=name)


def plain(number: float) -> str:
    """A number in a name: short where that says it exactly, else in full.

    >>> plain(1000.0), plain(0.1), plain(0.123456789)
    ('1000', '0.1', '0.123456789')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


@dataclass(frozen=True, slots=True)
class Uniform(Policy):
    """Every arm alike: the policy to collect data with. Fails at earning: it never uses what it knows."""

    @property
    def name(self) -> str:
        return "uniform"

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """(n,) 1 / n each.

        >>> Uniform().probabilities(np.array([1.0, 3.0]), np.zeros(2))
        array([0.5, 0.5])
        """
        checked(values, deviations)
        return np.full(len(values), 1.0 / len(values))


@dataclass(frozen=True, slots=True)
class EpsilonGreedy(Policy):
    """The best arm, except for a share `epsilon` of draws spread evenly over all (Sutton and Barto, section 2.2).

    p_k = epsilon / n + (1 - epsilon) [k is best]. Fails by trying the hopeless as often as the promising, for ever.
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        within("epsilon", self.epsilon, 0.0, 1.0)

    @property
    def name(self) -> str:
        return f"epsilon-greedy-{plain(self.epsilon)}"

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """(n,) each at least epsilon / n.

        >>> EpsilonGreedy(0.2).probabilities(np.array([1.0, 3.0]), np.zeros(2))
        array([0.1, 0.9])
        """
        checked(values, deviations)
        return self.epsilon / len(values) + (1.0 - self.epsilon) * best_share(values)


@dataclass(frozen=True, slots=True)
class Softmax(Policy):
    """Better arms more often, exponentially (Boltzmann; Sutton and Barto, section 2.8).

    p_k ~ exp(-gap_k / temperature), gap as a share of the largest value: at temperature 0.1 an arm worth a tenth less
    is drawn 2.7 times less often. Fails with many poor arms: together they take much, and it never cools by itself.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        within("temperature", self.temperature, 1e-3, 1e3)

    @property
    def name(self) -> str:
        return f"softmax-{plain(self.temperature)}"

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """(n,) in proportion to exp(-gap / temperature).

        >>> Softmax(0.5).probabilities(np.array([1.0, 2.0]), np.zeros(2)).round(3)
        array([0.269, 0.731])
        """
        checked(values, deviations)
        weights = exp(gaps(values) / -self.temperature)
        return weights / weights.sum()


@dataclass(frozen=True, slots=True)
class SquareCB(Policy):
    """Inverse gap weighting: the further below the best, the rarer (Foster and Rakhlin, Beyond UCB, 2020).

    p_k = 1 / (n + gamma x gap_k), the best takes the rest. The paper has rewards in [0, 1]; here gaps are shares of the
    largest value, the relative gap of FastCB (Foster and Krishnamurthy 2021), so that gamma means the same in every
    currency: at 80 arms and gamma 3,000 an arm worth half as much holds 1 / 1,580. Fails where all values are close
    beside their error: then it is nearly uniform, whatever is known.
    """

    gamma: float = 3_000.0

    def __post_init__(self) -> None:
        within("gamma", self.gamma, 0.0, 1e9)

    @property
    def name(self) -> str:
        return f"squarecb-{plain(self.gamma)}"

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """(n,) each at least 1 / (n + 2 gamma).

        >>> SquareCB(10.0).probabilities(np.array([1.0, 2.0]), np.zeros(2)).round(4)
        array([0.1429, 0.8571])
        """
        checked(values, deviations)
        gap = gaps(values)
        best = gap == 0.0
        shares = 1.0 / (len(values) + self.gamma * gap)
        shares[best] = (1.0 - shares[~best].sum()) / np.count_nonzero(best)
        return shares
