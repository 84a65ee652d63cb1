"""Drawing from the survivors: the explorer's distribution, and a keyed draw that anyone can repeat.

Survivors come sorted by key, so the order of a catalogue cannot matter. Nothing re-ranks after the draw: the
probability stated is the probability with which the arm was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.assignment import uniform
from training.explorer import Explorer


@dataclass(frozen=True, slots=True)
class Survivors:
    """The arms that may be drawn, one number each in every column, shape (n,)."""

    #: Priority in money, and one standard deviation of it.
    values: np.ndarray
    deviations: np.ndarray
    #: Arms with the same number exclude each other: those of one action, or of one exclusive group.
    exclusion: np.ndarray
    #: The row of DO_NOTHING.
    nothing: int
    #: Most that each may hold; None where nothing is limited.
    caps: np.ndarray | None = None
    #: (survivors already drawn) -> (n,) which of all may still follow; None where anything may.
    room_after: Callable[[Sequence[int]], np.ndarray] | None = None

    def shares_left(self, explorer: Explorer, left: np.ndarray) -> np.ndarray:
        """(len(left),) probability of each of the rows left to be drawn next."""
        caps = None if self.caps is None else self.caps[left]
        return explorer.probabilities(self.values[left], self.deviations[left], caps)


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


def first_shares(explorer: Explorer, customers: Sequence[Survivors]) -> list[np.ndarray]:
    """(n,) probability of each of a customer's survivors to be drawn first, for several customers at once."""
    values, deviations, caps = zip(*[(one.values, one.deviations, one.caps) for one in customers], strict=True)
    return explorer.probabilities_of_each(values, deviations, caps)


def draw_slate(
    explorer: Explorer, survivors: Survivors, shares: np.ndarray, limit: int, key: tuple[object, ...]
) -> list[Draw]:
    """The draws for up to `limit` places; `shares`, (n,), is the first place's distribution.

    Places are filled one after another without the arms that those before exclude, each with its probability given
    the places before. DO_NOTHING ends the slate: in first place it is the answer, later it means no more places.
    """
    draws: list[Draw] = []
    left = np.arange(len(shares))
    for rank in range(1, limit + 1):
        place = pick(shares, uniform(*key, rank))
        index = int(left[place])
        if index == survivors.nothing and draws:
            break
        draws.append(Draw(index, float(shares[place])))
        if index == survivors.nothing or rank == limit:
            break
        left = left[survivors.exclusion[left] != survivors.exclusion[index]]
        if survivors.room_after is not None:
            left = left[survivors.room_after([draw.index for draw in draws])[left]]
        shares = survivors.shares_left(explorer, left)
    return draws
