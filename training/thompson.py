"""Thompson sampling with exact shares: how likely each arm is to be the best, by one sum over a common grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from training.policies import Policy, checked
from training.portable import END, STEPS, exp, gauss_legendre, normal

#: An arm that does not reach the edge with this many deviations in its favour is out: 1e-8 of cases.
_REACH = 5.61201
#: Where k arms lie this many deviations above a point, their maximum is below it in 1e-8 of cases: Phi(-a)^k.
_ABOVE = {1: 5.61201, 2: 3.71902, 4: 2.32635, 8: 1.28156, 16: 0.47829, 32: -0.1569, 64: -0.67414}
#: A deviation under this share of the widest counts as 0: it keeps the grid finite.
_SMALLEST = 1e-12
#: Panels of this many nodes, each so wide in t, where x = edge + stretch x narrowest deviation x sinh(t). Against 48
#: nodes for every third of a deviation the largest error is 4e-8, at 2 to 100 arms and deviations from 1e-9 to 1.
_NODES = 12
_PANEL = 0.9
_STRETCH = 3.0
#: As many as the widest arm can take: its reach is at most 4e12 stretches, below sinh(33 panels).
_PANELS = 40
#: Customers worked out together: what 32 take of memory, 0.5 MB for each number of a point, stays in a cache.
_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Thompson(Policy):
    """Each arm as often as it is the best of one draw from everybody's posterior, here independent normals.

    p_k = integral phi_k(x) prod_{i != k} Phi_i(x) dx (Thompson, Biometrika 1933; Russo et al., A Tutorial on Thompson
    Sampling, 2018), so that the probability stated is that of the draw, without drawing. Fails where deviations are
    too small: an arm wrongly believed bad for certain is never tried again; a probability floor is the remedy.
    """

    @property
    def name(self) -> str:
        return "thompson"

    def probabilities(self, values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """(n,) values and their standard deviations in money -> (n,) probabilities, each within 1e-6.

        Deviation 0 is a value known for certain. Raises InvalidInput for what is no number.

        >>> Thompson().probabilities(np.array([0.0, 1.0]), np.array([0.0, 1.0])).round(6)
        array([0.158655, 0.841345])
        """
        checked(values, deviations)
        return _shares(values, deviations, np.array([len(values)]))

    def probabilities_of_each(self, values: Sequence[np.ndarray], deviations: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`probabilities` of each customer, to the last bit: all their arms form one column, summed up piece by piece.

        A customer alone pays for some eighty calls of numpy, which 32 share.
        """
        shares = []
        for start in range(0, len(values), _TOGETHER):
            some, theirs = values[start : start + _TOGETHER], deviations[start : start + _TOGETHER]
            counts = [len(one) for one in some]
            if 0 in counts or counts != [len(one) for one in theirs]:
                for each in zip(some, theirs, strict=True):
                    checked(*each)
            column, widths = np.concatenate(some), np.concatenate(theirs)
            checked(column, widths)
            shares += np.split(_shares(column, widths, np.array(counts)), np.cumsum(counts)[:-1])
        return shares


def _shares(values: np.ndarray, deviations: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) probabilities; each customer has `counts` of the arms, (c,), one after another."""
    starts = counts.cumsum() - counts
    known = deviations <= np.repeat(np.maximum.reduceat(deviations, starts) * _SMALLEST, counts)
    deviations = np.where(known, 0.0, deviations)
    mean = values - np.repeat(_edges(values, deviations, counts), counts)
    top = mean + _REACH * deviations
    uncertain = (top > 0.0) & ~known
    # What is known and lies at the edge is the best where no other gets above it; what ties shares alike.
    shares = ((mean == 0.0) & known).astype(float)
    open_ = np.flatnonzero(uncertain)
    if len(open_):
        theirs = np.add.reduceat(uncertain, starts, dtype=np.intp)
        tied, some = np.add.reduceat(shares, starts), theirs > 0
        theirs = theirs[some]
        mean, deviations = mean[open_], deviations[open_]
        if tied.any():
            none_above = np.ones(len(counts))
            below = normal(STEPS * (END - mean / deviations))[0]
            none_above[some] = np.multiply.reduceat(below, theirs.cumsum() - theirs)
            shares *= np.repeat(none_above / np.maximum(tied, 1.0), counts)
        shares[open_] = _shares_above(mean, deviations, top[open_], theirs)
    shares /= np.repeat(np.add.reduceat(shares, starts), counts)
    return shares


def _edges(values: np.ndarray, deviations: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(c,) a point the maximum of all exceeds or, where it is the best known value, reaches, but for 1e-8 of cases."""
    most = int(counts.max())
    ranks, above = _ranks(most)
    lower = values - above * deviations
    if (counts == most).all():
        lowest = lower.reshape(len(ranks), len(counts), most)
    else:
        lowest = np.full((len(ranks), len(counts), most), -np.inf)
        lowest[:, np.arange(most) < counts[:, None]] = lower
    lowest = np.sort(lowest, axis=2)
    edges: np.ndarray = lowest[np.arange(len(ranks)), :, ranks].max(axis=0)
    return edges


@cache
def _ranks(arms: int) -> tuple[np.ndarray, np.ndarray]:
    """(places of the k-th largest of so many, (k, 1) what to take off), for each k there are arms for."""
    known = [(arms - k, above) for k, above in _ABOVE.items() if k <= arms]
    ranks, above = zip(*known, strict=True)
    return np.array(ranks), np.array(above)[:, None]


def _shares_above(mean: np.ndarray, deviation: np.ndarray, top: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) probability that each of a customer's normals is the largest of theirs and above 0, none being above `top`.

    At most _REACH deviations lie between 0 and the mean of any arm, so the narrow arms are near 0 and the grid may
    grow coarser with the distance from it: sinh does that smoothly, and Gauss-Legendre panels bear the hard edge.
    An arm has a row for each panel that it reaches: beyond, it is never the largest, and never in the way.
    """
    points, weights, ends = _grid()
    starts = counts.cumsum() - counts
    stretch = np.repeat(_STRETCH * np.minimum.reduceat(deviation, starts), counts)
    last = np.searchsorted(ends, top / stretch)
    reached = np.arange(last.max() + 1)[:, None] <= last
    panel, arm = np.nonzero(reached)
    scale = STEPS * stretch / deviation
    steps = points[panel]
    steps *= scale[arm][:, None]
    steps -= (STEPS * (mean / deviation - END))[arm][:, None]
    below, hazard = normal(steps)
    hazard /= below
    # The rows of a panel and a customer follow each other: in how many cases no arm of theirs is above.
    rows = np.add.reduceat(reached, starts, axis=1, dtype=np.intp)
    where = np.nonzero(rows)
    rows = rows[where]
    none_above = np.multiply.reduceat(below, rows.cumsum() - rows, axis=0)
    none_above *= weights[where[0]]
    hazard *= np.repeat(none_above, rows, axis=0)
    # Not a matrix product: a BLAS adds in an order of its own on each machine, and replay is to give the same bits.
    shares: np.ndarray = np.bincount(arm, np.add.reduce(hazard, axis=1), len(mean)) * scale
    return shares


@cache
def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points sinh(t), weights) of Gauss-Legendre panels from t = 0 on, (panels, nodes); where each panel ends."""
    nodes, weights = gauss_legendre(_NODES)
    up = exp((np.arange(_PANELS)[:, None] + nodes) * _PANEL)
    ends = exp(np.arange(1.0, _PANELS) * _PANEL)
    return (up - 1.0 / up) / 2.0, weights * _PANEL * (up + 1.0 / up) / 2.0, (ends - 1.0 / ends) / 2.0
