"""Drawing from the survivors: the policy's distribution, and a keyed draw that anyone can repeat.

Nothing re-ranks after the draw, so the probability stated is the probability with which the arm was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.domain import DO_NOTHING, Arm
from serving.assignment import uniform


class Policy(Protocol):
    """From values to probabilities; see `training.bandit`."""

    @property
    def name(self) -> str: ...

    def probabilities(self, values: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Draw:
    """The arm drawn for a place, and its probability among those that were left for it."""

    arm: Arm
    probability: float


def distribution(policy: Policy, arms: Sequence[Arm], values: Sequence[float]) -> np.ndarray:
    """(n,) probabilities in the order given. The policy sees arms sorted by key, so their order cannot matter."""
    order = sorted(range(len(arms)), key=lambda i: arms[i].key)
    share = np.empty(len(arms))
    share[order] = policy.probabilities(np.array([values[i] for i in order]))
    return share


def pick(arms: Sequence[Arm], probabilities: np.ndarray, point: float) -> int:
    """The index whose share of [0, 1) holds `point`, arms laid out in the order of their keys."""
    order = sorted(range(len(arms)), key=lambda i: arms[i].key)
    reached = 0.0
    for index in order:
        reached += float(probabilities[index])
        if point < reached:
            return index
    # Rounding left the sum a hair under 1: the last arm that can be drawn takes the rest.
    return next(i for i in reversed(order) if probabilities[i] > 0.0)


def draw_slate(
    policy: Policy, arms: Sequence[Arm], values: Sequence[float], limit: int, key: tuple[object, ...]
) -> tuple[list[Draw], np.ndarray]:
    """(draws for up to `limit` places, first place's distribution over `arms`).

    Places are filled one after another without the actions already taken, each with its probability given the places
    before. DO_NOTHING ends the slate: in first place it is the answer, later it means no more places.
    """
    left = list(range(len(arms)))
    draws: list[Draw] = []
    first: np.ndarray | None = None
    for rank in range(1, limit + 1):
        here = [arms[i] for i in left]
        shares = distribution(policy, here, [values[i] for i in left])
        first = shares if first is None else first
        chosen = pick(here, shares, uniform(*key, rank))
        if here[chosen] == DO_NOTHING and draws:
            break
        draws.append(Draw(here[chosen], float(shares[chosen])))
        if here[chosen] == DO_NOTHING:
            break
        left = [i for i in left if arms[i].action != here[chosen].action]
    assert first is not None
    return draws, first
