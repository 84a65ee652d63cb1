"""What a log says about one target policy: a few columns, computed in one pass, from which every estimate is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from experiments.ope import refusals
from experiments.ope.feedback import Floats, Integers, LoggedFeedback
from experiments.ope.payments import payments
from experiments.ope.target import Target
from features.errors import InvalidInput

#: Rows worked on at once: a column of them is 64 kB, so what a step needs stays in the processor's cache. From 128 kB
#: on each temporary is mapped and unmapped by the system too: all estimates of a million rows took 205 ms, not 8.
CHUNK = 8_192
#: Two weights an octave; below the first and above the last edge weights share a bin.
BINS = 160
_MIDDLE = 80
#: A float64 shifted right so far is its exponent and the first bit of its mantissa.
_SHIFT = 51
_OFFSET = (1023 << 1) - _MIDDLE


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """n rows of a log seen by a target policy π. Without a reward model `predicted` and `expected` are None."""

    #: (n,) w = π(a | x) / action_probability of the arm drawn.
    weight: Floats
    #: (n,) π(a | x) of the arm drawn.
    chosen: Floats
    #: (n,) r.
    reward: Floats
    #: (n,) π's probability on arms that the log could not have played.
    outside: Floats
    #: (n,) q̂(x, a), the reward the model predicts for the arm drawn.
    predicted: Floats | None = None
    #: (n,) v̂(x) = Σ_a π(a | x) q̂(x, a).
    expected: Floats | None = None
    #: (n,) number of the customer, 0 to how many there are less one; None: every row its own.
    unit: Integers | None = None
    #: Whether every row was drawn uniformly among its arms, so that agreement needs no weights.
    uniform_log: bool = False
    #: (n,) `experiments.ope.payments` of the log; None where rewards are a response or none.
    payment: Floats | None = None

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def residual(self) -> Floats:
        """(n,) r - q̂(x, a). Only with a reward model."""
        assert self.predicted is not None
        return self.reward - self.predicted


def evidence(log: LoggedFeedback, target: Target, q_hat: Floats | None = None) -> Evidence:
    """One pass over the log. `q_hat` is (n, k), `experiments.ope.reward_model.cross_fitted`, or None.

    Raises InvalidInput for a log that can tell nothing (`refusals.uninformative`) or predictions of another shape.
    """
    refusals.uninformative(log)
    n, k = len(log), len(log.arms)
    if q_hat is not None and q_hat.shape != (n, k):
        raise InvalidInput(f"predictions have shape {q_hat.shape}, the log {(n, k)}", field="q_hat", code="wrong_shape")
    weight, chosen, outside = np.empty(n), np.empty(n), np.zeros(n)
    predicted, expected = (None, None) if q_hat is None else (np.empty(n), np.empty(n))
    impossible = impossible_arms(log)
    for rows in chunks(n):
        chosen[rows] = target.chosen(log, rows)
        np.divide(chosen[rows], log.action_probability[rows], out=weight[rows])
        if impossible is not None:
            outside[rows] = target.average(log, impossible, rows)
        if q_hat is not None and predicted is not None and expected is not None:
            drawn = log.arm[rows]
            predicted[rows] = q_hat[rows].reshape(-1).take(drawn + np.arange(0, k * len(drawn), k))
            expected[rows] = target.average(log, q_hat, rows)
    unit, uniform = _numbered(log.unit), drawn_uniformly(log)
    return Evidence(weight, chosen, log.reward, outside, predicted, expected, unit, uniform, payments(log))


def _numbered(unit: Integers | None) -> Integers | None:
    """Whole numbers without gaps, found once for all that sums by customer; None where no customer has two rows."""
    if unit is None:
        return None
    found, place = np.unique(unit, return_inverse=True)
    return None if len(found) == len(unit) else place.astype(np.int64)


def chunks(n: int) -> Iterator[slice]:
    """Slices that cover n rows.

    >>> [s.stop - s.start for s in chunks(10_000)]
    [8192, 1808]
    """
    return (slice(at, min(at + CHUNK, n)) for at in range(0, n, CHUNK))


def bins_of(weight: Floats) -> Integers:
    """(n,) half an octave of each weight, 0 .. BINS - 1; weight 0 is in bin 0. The first bits of a float say which.

    >>> bins_of(np.array([0.0, 1.0, 1.4, 1.5, 2.0])).tolist()
    [0, 80, 80, 81, 82]
    """
    bins = weight.view(np.int64) >> _SHIFT
    bins -= _OFFSET
    return np.clip(bins, 0, BINS - 1, out=bins)


def impossible_arms(log: LoggedFeedback) -> Floats | None:
    """(n, k) 1 where the log could not have played an arm, else 0; None where it could play everything.

    Where a log says nothing about that, an arm that was never drawn is taken to be one that could not be.
    """
    playable = log.playable
    if playable is not None:
        return None if playable.all() else np.asarray(~playable, dtype=np.float64)
    seen = np.bincount(log.arm, minlength=len(log.arms)) > 0
    return None if seen.all() else np.broadcast_to((~seen).astype(np.float64), (len(log), len(log.arms)))


def drawn_uniformly(log: LoggedFeedback) -> bool:
    """Whether each arm drawn had the probability 1 / number of arms it was drawn from."""
    if log.allowed is None:
        low, high = log.action_probability.min(), log.action_probability.max()
        return bool(high - low <= refusals.SUM_TOLERANCE * high)
    return bool((np.abs(log.action_probability * log.allowed.sum(axis=1) - 1.0) <= refusals.SUM_TOLERANCE).all())
