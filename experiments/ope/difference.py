"""The difference between two policies on one log, as one estimate: what they have in common cancels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.formulas import formula
from experiments.ope.contributions import Contributions
from experiments.ope.diagnostics import too_little
from experiments.ope.feedback import Floats
from experiments.ope.intervals import Bounds, skewed
from experiments.ope.payments import effective_responses

#: Weights closer than this are the same: what is left is rounding.
_ALIKE = 1e-9


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
def difference(one: Contributions, other: Contributions, versus: str, payment: Floats | None = None) -> Difference:
    """Both are estimates on the same rows with the same reward model; `payment` is (n,) `payments` of the log."""
    parts = apart(one, other)
    weight = np.abs(parts.omega)
    if not (weight > _ALIKE).any():
        return Difference(versus, "they are the same policy", 0.0, Bounds(0.0, 0.0))
    effective = float(weight.sum()) ** 2 / float(weight @ weight)
    responses = None if payment is None else effective_responses(weight, payment, one.unit)
    little = too_little(len(weight), effective, responses, "they seldom differ")
    return Difference(versus, little) if little else Difference(versus, None, parts.value, skewed(parts))


def apart(one: Contributions, other: Contributions) -> Contributions:
    """`one` less `other` in the form of an estimate: ω is how much more each row counts for `one`, of either sign.

    So a response not yet seen where they differ widens the interval, to the side it would speak for. Its value is the
    difference of both values, and its influences are the difference of both influences.
    """
    mine, others = one.omega / one.scale, other.omega / other.scale
    # The residual is measured from the centre of `one`; what that changes for `other` goes into the base.
    base = one.base - other.base + (other.centre - one.centre) * (others - 1.0)
    return Contributions(base, mine - others, one.residual - one.centre, False, one.unit, one.money)
