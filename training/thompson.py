"""Thompson sampling with exact shares: how likely each arm is to be the best, by one sum over a common grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from training.policies import best_share, checked
from training.portable import exp, gauss_legendre, normal

#: An arm that does not reach the edge with this many deviations in its favour is out: 1e-8 of cases.
_REACH = 5.61201
#: Where k arms lie this many deviations above a point, their maximum is below it in 1e-8 of cases: Phi(-a)^k.
_ABOVE = {1: 5.61201, 2: 3.71902, 4: 2.32635, 8: 1.28156, 16: 0.47829, 32: -0.1569, 64: -0.67414}
#: A deviation under this share of the widest counts as 0: it keeps the grid finite.
_SMALLEST = 1e-12
#: Panels of this many nodes, each so wide in t, where x = edge + stretch x narrowest deviation x sinh(t). Against 32
#: nodes for every third of a deviation the largest error is 5e-8, at 2 to 100 arms and deviations from 1e-10 to 1.
_NODES = 24
_PANEL = 1.4
_STRETCH = 5.0


@dataclass(frozen=True, slots=True)
class Thompson:
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
        known = deviations <= deviations.max() * _SMALLEST
        if known.all():
            return best_share(values)
        if known.any():
            deviations = np.where(known, 0.0, deviations)
        reach = _REACH * deviations
        edge = _edge(values, deviations)
        open_ = np.flatnonzero((values + reach > edge) & ~known)
        if not len(open_):
            return best_share(np.where(known, values, -np.inf))
        mean, deviation = values[open_] - edge, deviations[open_]
        shares = np.zeros(len(values))
        shares[open_] = _shares_above(mean, deviation)
        tied = known & (values == edge)
        if tied.any():
            shares[tied] = normal(-mean / deviation)[0].prod() / np.count_nonzero(tied)
        return shares / shares.sum()


def _edge(values: np.ndarray, deviations: np.ndarray) -> float:
    """A point the maximum of all exceeds or, where it is the best known value, reaches, but for 1e-8 of cases."""
    ranks, above = _ranks(len(values))
    lowest = np.sort(values - above * deviations, axis=1)
    return float(lowest[np.arange(len(ranks)), ranks].max())


@cache
def _ranks(arms: int) -> tuple[np.ndarray, np.ndarray]:
    """(places of the k-th largest of so many, (k, 1) what to take off), for each k there are arms for."""
    known = [(arms - k, above) for k, above in _ABOVE.items() if k <= arms]
    ranks, above = zip(*known, strict=True)
    return np.array(ranks), np.array(above)[:, None]


def _shares_above(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(n,) probability that each of n normals is the largest and above 0.

    At most _REACH deviations lie between 0 and the mean of any arm, so the narrow arms are near 0 and the grid may
    grow coarser with the distance from it: sinh does that smoothly, and Gauss-Legendre panels bear the hard edge.
    """
    stretch = _STRETCH * float(deviation.min())
    length = math.asinh(float((mean + _REACH * deviation).max()) / stretch)
    points, weights = _grid(math.ceil(length / _PANEL))
    scale = stretch / deviation
    z = points * scale[:, None]
    z -= (mean / deviation)[:, None]
    below, hazard = normal(z)
    hazard /= below
    # Not a matrix product: a BLAS adds in an order of its own on each machine, and replay is to give the same bits.
    hazard *= np.multiply.reduce(below, axis=0) * weights
    return np.add.reduce(hazard, axis=1) * scale


@cache
def _grid(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """(points sinh(t), weights) of so many Gauss-Legendre panels from t = 0 on."""
    nodes, weights = gauss_legendre(_NODES)
    up = exp(((np.arange(panels)[:, None] + nodes) * _PANEL).ravel())
    return (up - 1.0 / up) / 2.0, np.tile(weights * _PANEL, panels) * (up + 1.0 / up) / 2.0
