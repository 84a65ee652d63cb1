"""Whether a log can say anything about a target policy; below these limits no number is given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.ope.evidence import Evidence, chunks

#: Fewest rows the weights must be worth; the intervals are proven from here on (`tests/coverage.py`).
LEAST_EFFECTIVE_SAMPLE = 100.0
#: Largest share of rows in which the target plays what the log could not: their reward is nowhere in the data.
MOST_UNSUPPORTED = 0.01
#: The mean weight is 1 when the probabilities are what they say, within so many standard errors.
MEAN_WEIGHT_ERRORS = 2.0
#: A target's probability on impossible arms counts from here; less is rounding.
_SOME = 1e-9


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Of the weights of one target on one log."""

    rows: int
    #: (Σ w)² / Σ w², in rows (Kish 1965).
    effective_sample_size: float
    largest_weight: float
    mean_weight: float
    mean_weight_error: float
    #: Share of rows in which the log could have played whatever the target plays, 0 .. 1.
    support: float

    def shortcoming(self) -> str | None:
        """Why no number is given, or None."""
        if 1.0 - self.support > MOST_UNSUPPORTED:
            return f"no support: in {1.0 - self.support:.1%} of rows the target plays arms that the log could not play"
        if self.effective_sample_size < LEAST_EFFECTIVE_SAMPLE:
            return (
                f"effective sample size {self.effective_sample_size:,.1f}, at least {LEAST_EFFECTIVE_SAMPLE:g} is "
                "needed: the log seldom did what the target does"
            )
        if abs(self.mean_weight - 1.0) > MEAN_WEIGHT_ERRORS * self.mean_weight_error + 1e-9:
            return (
                f"mean weight {self.mean_weight:.3f} ± {self.mean_weight_error:.3f} is not 1: "
                "the logged probabilities are not those the arms were drawn with"
            )
        return None


def diagnose(evidence: Evidence) -> Diagnostics:
    """In one pass over the weights; the standard error counts each customer once."""
    n, total, squares, largest, unsupported = len(evidence), 0.0, 0.0, 0.0, 0
    for rows in chunks(n):
        w = evidence.weight[rows]
        total += float(w.sum())
        squares += float(w @ w)
        largest = max(largest, float(w.max()))
        unsupported += int(np.count_nonzero(evidence.outside[rows] > _SOME))
    mean = total / n
    if evidence.unit is None:
        error = math.sqrt(max(squares / n - mean * mean, 0.0) / (n - 1))
    else:
        sums = np.bincount(evidence.unit, evidence.weight - mean)
        error = math.sqrt(float(sums @ sums)) / n
    effective = total * total / squares if squares > 0.0 else 0.0
    return Diagnostics(n, effective, largest, mean, error, 1.0 - unsupported / n)
