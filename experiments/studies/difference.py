"""The difference between two policies on one log, as one estimate: what they have in common cancels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.formulas import formula
from experiments.ope.contributions import Contributions
from experiments.ope.diagnostics import LEAST_EFFECTIVE_SAMPLE
from experiments.ope.intervals import Bounds, skewed


@dataclass(frozen=True, slots=True)
class Difference:
    """Value of a policy less that of `versus`, in the unit of the reward; or `insufficient` and why."""

    versus: str
    insufficient: str | None
    value: float | None = None
    interval: Bounds | None = None


@formula(
    "Difference of two policies",
    "value₁ − value₀, with the interval of the mean of (ψ₁ − ψ₀), ψ what each row contributes to an estimate; rows of "
    "one customer count once",
    "Chernozhukov et al. (2018), Double/debiased machine learning, The Econometrics Journal, for ψ of cross-fitted "
    "models; rows in which both policies do the same contribute nothing",
)
def difference(one: Contributions, other: Contributions, versus: str) -> Difference:
    """Both are estimates on the same rows with the same reward model."""
    parts = paired(one, other)
    weight = parts.omega
    if not weight.any():
        return Difference(versus, "they are the same policy", 0.0, Bounds(0.0, 0.0))
    effective = float(weight.sum()) ** 2 / float(weight @ weight)
    if effective < LEAST_EFFECTIVE_SAMPLE:
        return Difference(
            versus, f"they differ in rows worth {effective:,.0f}, at least {LEAST_EFFECTIVE_SAMPLE:g} are needed"
        )
    return Difference(versus, None, parts.value, skewed(parts))


def paired(one: Contributions, other: Contributions) -> Contributions:
    """The difference in the form of an estimate: ω is how far the weights lie apart, and the residual carries the sign.

    Its value is the difference of both values, and its influences are the difference of both influences.
    """
    halves = [(c.omega / c.scale, c) for c in (one, other)]
    apart = halves[0][0] - halves[1][0]
    moved = [weight * (c.residual - c.centre) for weight, c in halves]
    weighed, omega = moved[0] - moved[1], np.abs(apart)
    differs = omega > 0.0
    residual = one.residual - one.centre
    residual = np.where(differs, weighed / np.where(differs, omega, 1.0), residual)
    base = one.base - other.base + one.centre - other.centre + np.where(differs, 0.0, weighed)
    return Contributions(base, omega, residual, False, one.unit)
