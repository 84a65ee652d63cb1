"""Thompson sampling with exact shares: how likely each arm is to be the best, by one sum over a common grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr

from training.policies import best_share, checked

#: The maximum of all is above the best arm's value less this many deviations, but for 1e-7 of cases.
_SAFE = 5.2
#: An arm that does not reach the edge with this many deviations in its favour is out: 1e-9 of cases.
_REACH = 6.0
#: The edge of the grid: the maximum lies below it in fewer cases than this. Raising it so halves the work.
_NEGLIGIBLE = 1e-8
_LOOKS = 24
#: A deviation under this share of the widest counts as 0: it keeps the grid finite.
_SMALLEST = 1e-12
#: Panels of this many nodes, each at most this wide in t, where x = edge + stretch x narrowest deviation x sinh(t).
#: Against 16 nodes for every half deviation of every arm the largest error is 3e-8, at 2 to 100 arms and deviations
#: from 1e-10 to 1.
_NODES = 24
_PANEL = 1.4
_STRETCH = 5.0
_ROOT_TWO_PI = 2.5066282746310002


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
        deviations = np.where(known, 0.0, deviations)
        edge = _edge(values, deviations)
        open_ = ~known & (values + _REACH * deviations > edge)
        if not open_.any():
            return best_share(np.where(known, values, -np.inf))
        mean, deviation = values[open_] - edge, deviations[open_]
        shares = np.zeros(len(values))
        shares[open_] = _shares_above(mean, deviation)
        tied = known & (values == edge)
        if tied.any():
            shares[tied] = ndtr(-mean / deviation).prod() / np.count_nonzero(tied)
        return shares / shares.sum()


def _edge(values: np.ndarray, deviations: np.ndarray) -> float:
    """A point the maximum of all exceeds or, where it is the best known value, reaches, but for 1e-7 of cases."""
    edge = float((values - _SAFE * deviations).max())
    open_ = (deviations > 0.0) & (values + _REACH * deviations > edge)
    if not open_.any():
        return edge
    mean, deviation = values[open_] - edge, deviations[open_]
    stretch, length = _reach(mean, deviation)
    x = stretch * np.sinh(np.linspace(0.0, length, _LOOKS))
    below = ndtr((x - mean[:, None]) / deviation[:, None]).prod(axis=0)
    return edge + float(x[max(0, int(np.searchsorted(below, _NEGLIGIBLE)) - 1)])


def _shares_above(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(n,) probability that each of n normals is the largest and above 0.

    At most _REACH deviations lie between 0 and the mean of any arm, so the narrow arms are near 0 and the grid may
    grow coarser with the distance from it: sinh does that smoothly, and Gauss-Legendre panels bear the hard edge.
    """
    stretch, length = _reach(mean, deviation)
    nodes, weights = _grid(length)
    z = (stretch * np.sinh(nodes) - mean[:, None]) / deviation[:, None]
    below = ndtr(z)
    hazard = np.exp(-0.5 * z * z) / (_ROOT_TWO_PI * deviation[:, None] * below)
    # Not a matrix product: a BLAS adds in an order of its own on each machine, and replay is to give the same bits.
    return np.sum(hazard * (below.prod(axis=0) * weights * stretch * np.cosh(nodes)), axis=1)


def _reach(mean: np.ndarray, deviation: np.ndarray) -> tuple[float, float]:
    """(stretch, length in t) of a grid from 0 to where the last arm ends."""
    stretch = _STRETCH * float(deviation.min())
    return stretch, float(np.arcsinh((mean + _REACH * deviation).max() / stretch))


def _grid(length: float) -> tuple[np.ndarray, np.ndarray]:
    """(nodes, weights) of equal Gauss-Legendre panels that cover (0, length)."""
    nodes, weights = _panel()
    count = max(1, int(np.ceil(length / _PANEL)))
    width = length / count
    starts = np.arange(count)[:, None] * width
    return (starts + width * nodes).ravel(), np.tile(width * weights, count)


@cache
def _panel() -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1.0) / 2.0, weights / 2.0
