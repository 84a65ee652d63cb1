"""What each row contributes to an estimate: the one form from which the value and every interval are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.ope.estimators import ESTIMATORS, Estimator
from experiments.ope.evidence import Evidence, chunks
from experiments.ope.feedback import Floats, Integers
from experiments.ope.tuning import tuned, weight_bins


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """mean(base) + Σ ω e / Σ ω where `normalised`, else mean(base) + mean(ω e). Columns (n,)."""

    base: Floats
    omega: Floats
    residual: Floats
    normalised: bool
    #: (n,) number of the customer, without gaps from 0; None: every row its own.
    unit: Integers | None = None
    #: Whether rewards are money, of which a larger payment than any may come (`experiments.ope.payments`).
    money: bool = False

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.base.mean()) + float(self.omega @ self.residual) / self.denominator

    @property
    def denominator(self) -> float:
        return float(self.omega.sum()) if self.normalised else float(len(self.omega))

    @property
    def scale(self) -> float:
        """What ω is divided by, so that a weighted mean becomes a plain one: mean ω where normalised, else 1."""
        return self.denominator / len(self.omega)

    @property
    def centre(self) -> float:
        """What the residual is measured from: its weighted mean where normalised, else 0."""
        return float(self.omega @ self.residual) / self.denominator if self.normalised else 0.0

    def influences(self) -> Floats:
        """(n,) contributions around the estimate, mean 0: base − mean(base) + (ω (e − centre)) / scale − rest.

        Linear where the estimate is a mean; the delta method where it is a ratio.
        """
        each = self.base + self.omega * (self.residual - self.centre) / self.scale
        return each - each.mean()


def contributions(estimator: Estimator, evidence: Evidence, number: float) -> Contributions:
    """The (n,) columns of an estimator on this evidence; `number` is its own (`tuning`), anything where it has none."""
    omega = estimator.reweigh(evidence.weight, evidence.chosen, number)
    base, residual = np.zeros(len(omega)), evidence.reward
    if estimator.model:
        assert evidence.expected is not None
        base, residual = evidence.expected, evidence.residual
    money = evidence.payment is not None
    return Contributions(base, omega, residual, estimator.normalised, evidence.unit, money)


def numbers(evidence: Evidence) -> dict[str, float]:
    """Name of every estimator that can be used on this evidence -> the number it needs besides (0 where none)."""
    model = evidence.predicted is not None
    bins = {False: weight_bins(evidence, False)}
    if model:
        bins[True] = weight_bins(evidence, True)
    used = (e for e in ESTIMATORS.values() if model or not e.model)
    return {e.name: 0.0 if e.tuned is None else tuned(e, bins[e.model]) for e in used}


def values(evidence: Evidence, number_of: dict[str, float] | None = None) -> dict[str, float]:
    """Every estimate that can be made, by name, in one pass over the evidence. NaN where weights sum to nothing."""
    number_of = numbers(evidence) if number_of is None else number_of
    used = [(ESTIMATORS[name], number) for name, number in number_of.items()]
    base, total, weighed = 0.0, dict.fromkeys(number_of, 0.0), dict.fromkeys(number_of, 0.0)
    for rows in chunks(len(evidence)):
        w, chosen, reward = evidence.weight[rows], evidence.chosen[rows], evidence.reward[rows]
        residual = reward
        if evidence.predicted is not None and evidence.expected is not None:
            residual = reward - evidence.predicted[rows]
            base += float(evidence.expected[rows].sum())
        for estimator, number in used:
            omega = estimator.reweigh(w, chosen, number)
            weighed[estimator.name] += float(omega @ (residual if estimator.model else reward))
            if estimator.normalised:
                total[estimator.name] += float(omega.sum())
    n = len(evidence)
    return {
        e.name: (base / n if e.model else 0.0) + _over(weighed[e.name], total[e.name] if e.normalised else n)
        for e, _ in used
    }


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else float("nan")
