"""The number an estimator needs besides the log, chosen by the least estimated squared error, bias included.

For ω(w; number) with residual e and base b, over n rows:

    variance of b + ω e over n   +   (mean of (ω − w) e)²

which is the direct bias estimate of Su et al. (2020), section 5, for all three families. Both terms are computed from
sums by half octaves of w, with the mean weight of each, so all numbers are tried in one pass over the log. Numbers
tried: thresholds at every octave of w above 1 (λ at their squares), and no threshold at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.ope.estimators import Estimator
from experiments.ope.evidence import BINS, Evidence, bins_of, chunks
from experiments.ope.feedback import Floats


@dataclass(frozen=True, slots=True, eq=False)
class WeightBins:
    """Sums over the rows of each half octave of w, shape (BINS,): how many, Σ w, Σ e, Σ e², Σ b e; and Σ b, Σ b²."""

    count: Floats
    weight: Floats
    residual: Floats
    squared: Floats
    crossed: Floats
    base: float = 0.0
    base_squared: float = 0.0


def weight_bins(evidence: Evidence, model: bool) -> WeightBins:
    """One pass: e is r, or r - q̂ with b = v̂ where `model`."""
    sums = np.zeros((5, BINS))
    base = base_squared = 0.0
    for rows in chunks(len(evidence)):
        w, e = evidence.weight[rows], evidence.reward[rows]
        places = bins_of(w)
        columns = [None, w, e, e * e]
        if model and evidence.predicted is not None and evidence.expected is not None:
            e, b = e - evidence.predicted[rows], evidence.expected[rows]
            columns = [None, w, e, e * e, b * e]
            base, base_squared = base + float(b.sum()), base_squared + float(b @ b)
        for at, column in enumerate(columns):
            sums[at] += np.bincount(places, column, BINS)
    return WeightBins(sums[0], sums[1], sums[2], sums[3], sums[4], base, base_squared)


def tuned(estimator: Estimator, bins: WeightBins) -> float:
    """The number with the least estimated squared error; of equals the largest, which changes least."""
    used = np.flatnonzero(bins.count)
    n = float(bins.count.sum())
    w = bins.weight[used] / bins.count[used]
    highest = max(float(w.max()), 1.0)
    thresholds = [np.inf, *(2.0 ** np.arange(np.ceil(np.log2(highest)), -1, -1))]
    numbers = [t * t for t in thresholds] if estimator.tuned == "λ" else thresholds
    errors = []
    for number in numbers:
        omega = estimator.reweigh(w, w, number)
        first = bins.base + omega @ bins.residual[used]
        second = bins.base_squared + 2.0 * (omega @ bins.crossed[used]) + omega**2 @ bins.squared[used]
        bias = (omega - w) @ bins.residual[used] / n
        errors.append((second - first * first / n) / n / n + bias * bias)
    return float(numbers[int(np.argmin(errors))])
