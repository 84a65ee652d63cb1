"""Drawing from the survivors: the policy's distribution, and a keyed draw that anyone can repeat.

Survivors come sorted by key, so the order of a catalogue cannot matter. Nothing re-ranks after the draw: the
probability stated is the probability with which the arm was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serving.assignment import uniform


class Policy(Protocol):
    """From values to probabilities; see `training.bandit`."""

    @property
    def name(self) -> str: ...

    def probabilities(self, values: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Draw:
    """The survivor drawn for a place (its index), and its probability among those that were left for it."""

    index: int
    probability: float


def pick(probabilities: np.ndarray, point: float) -> int:
    """The index whose share of [0, 1) holds `point`."""
    reached = np.cumsum(probabilities)
    index = int(np.searchsorted(reached, point, side="right"))
    # Rounding may leave the sum a hair under 1: the last that can be drawn takes the rest.
    return index if index < len(probabilities) else int(np.flatnonzero(probabilities)[-1])


def draw_slate(
    policy: Policy, values: np.ndarray, actions: np.ndarray, nothing: int, limit: int, key: tuple[object, ...]
) -> tuple[list[Draw], np.ndarray]:
    """(draws for up to `limit` places, first place's distribution, shape (n,)).

    `values` (n,) in money; `actions` (n,) numbers the action of each survivor; `nothing` is the index of DO_NOTHING.
    Places are filled one after another without the actions already taken, each with its probability given the places
    before. DO_NOTHING ends the slate: in first place it is the answer, later it means no more places.
    """
    left = np.arange(len(values))
    draws: list[Draw] = []
    first = np.empty(0)
    for rank in range(1, limit + 1):
        shares = policy.probabilities(values[left])
        if rank == 1:
            first = shares
        place = pick(shares, uniform(*key, rank))
        index = int(left[place])
        if index == nothing and draws:
            break
        draws.append(Draw(index, float(shares[place])))
        if index == nothing:
            break
        left = left[actions[left] != actions[index]]
    return draws, first
