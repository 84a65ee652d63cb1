"""Whether a log's probabilities are those its arms were drawn with: then the weights of any target are 1 on average.

A mean of n weights is never exactly 1. How far it may stray by luck the spread of the weights tells, but not all of it:
without heavy weights that were not drawn yet the mean is low and looks certain. Where the log has whole distributions
they foretell the spread; where it has the drawn arm's probability only, what is missing is taken to be as heavy as the
heaviest weight seen. Of 3,000 honest logs with weights up to 100 the spread alone called 38 false, so none.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.formulas import formula
from experiments.ope.evidence import chunks
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.target import Target

#: Of logs whose probabilities are right at most this share is refused, all targets that are looked at taken together.
FALSE_ALARMS = 0.001
#: A mean nearer than this is 1: what is left is rounding.
_ROUNDING = 1e-9


@formula(
    "Mean weight",
    "p = min(1, m erfc(|mean w − 1| / (√2 error))) for m targets; refused where p < 0.001. error²: of the weights, "
    "by customer; no less than Σ (E[w²|x] − 1) / n², E[w²|x] = Σ_a π(a|x)² / p(a|x), or, where only p of the arm "
    "drawn is known, than what is missing of the mean x the largest w / n more",
    "Bonferroni's correction; the mean of importance weights as a check: Li et al. (2015), Counterfactual Estimation "
    "and Optimization of Click Metrics in Search Engines, WWW",
)
def chance(mean: float, expected: float, error: float, targets: int = 1) -> float:
    """How often a log with right probabilities has one of so many targets' means as far from `expected`, 0 .. 1.

    >>> round(chance(1.10, 1.0, 0.05), 3), round(chance(1.10, 1.0, 0.05, targets=10), 2), chance(1.1, 1.0, 0.0)
    (0.046, 0.46, 0.0)
    """
    far = abs(mean - expected)
    if far <= _ROUNDING:
        return 1.0
    if error <= 0.0:
        return 0.0
    return min(1.0, targets * math.erfc(far / (math.sqrt(2.0) * error)))


def once_in(chance: float) -> str:
    """A small chance in words.

    >>> once_in(0.00024), once_in(1e-40)
    ('once in 4,200', 'less than once in a million')
    """
    if chance < 1e-6:
        return "less than once in a million"
    times = 1.0 / chance
    unit = 10 ** max(0, math.floor(math.log10(times)) - 1)
    return f"once in {round(times / unit) * unit:,}"


def error_unseen(error: float, missing: float, largest: float, rows: int) -> float:
    """The standard error of a mean weight with what is `missing` of it: so much of such `largest` weights would add
    missing x largest to the variance of a row.

    >>> error_unseen(0.03, -0.1, 4.0, 100), error_unseen(0.03, 0.04, 4.0, 100)
    (0.03, 0.05)
    """
    return math.sqrt(error * error + max(0.0, missing) * largest / rows)


def error_foretold(log: LoggedFeedback, target: Target) -> float:
    """Standard error of the mean weight by the logged probabilities: draws given what was known are independent.

    With the whole distribution of each row it is exact. With the drawn arm's only, what else the target plays is as if
    it were one arm, which is the least it can be (Cauchy, Schwarz).
    """
    total = 0.0
    for rows in chunks(len(log)):
        total += float(np.maximum(_squares(log, target, rows) - 1.0, 0.0).sum())
    return math.sqrt(total) / len(log)


def _squares(log: LoggedFeedback, target: Target, rows: slice) -> Floats:
    """(m,) E[w² | x]."""
    table = log.logging_probability
    if table is not None:
        plays, drawn = target.table(log, rows), table[rows]
        # What could not be drawn has no weight, whatever the target wants of it.
        return np.einsum("ij,ij->i", plays, np.divide(plays, drawn, out=np.zeros_like(plays), where=drawn > 0.0))
    chosen, p = target.chosen(log, rows), log.action_probability[rows]
    rest = 1.0 - p
    others = np.divide((1.0 - chosen) ** 2, rest, out=np.zeros_like(p), where=rest > 1e-12)
    squares: Floats = chosen**2 / p + others
    return squares
