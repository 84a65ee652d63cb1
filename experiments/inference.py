"""From sufficient statistics to an effect with its interval, and a verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scipy.stats import t as student

from experiments.aggregates import Aggregates
from experiments.formulas import formula
from experiments.metrics import Mean

CONFIDENCE = 0.95
#: Fewest units in each group. Below, a mean of money is too skewed for its interval to be believed.
MINIMUM_UNITS = 50
#: Fewest successes, and failures, in each group for a share.
MINIMUM_EVENTS = 5
#: A covariate is used when it explains at least this part of the variance; less is not worth a second formula.
_WORTH_ADJUSTING = 0.01


class Verdict(StrEnum):
    """Better and worse only when the whole interval says so; insufficient is neither."""

    BETTER = "better"
    WORSE = "worse"
    INSUFFICIENT = "insufficient"
    STOP = "do not read further"


@dataclass(frozen=True, slots=True)
class Sample:
    """One group: `mean` of its units, their `variance`, and how many there are."""

    mean: float
    variance: float
    count: int

    @property
    def squared_error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.count


@dataclass(frozen=True, slots=True)
class Interval:
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EffectEstimate:
    """The effect of treatment on one metric, or the reason why none is given (then the numbers are None).

    Means are as observed; `effect` (same unit as the metric) and `relative_effect` (0.1 is +10 %) are treatment against
    control with 95 % intervals, adjusted by the covariate when `variance_reduction` is above 0.
    """

    metric: Mean
    verdict: Verdict
    reason: str | None
    treatment_units: int
    control_units: int
    treatment_mean: float | None = None
    control_mean: float | None = None
    effect: Interval | None = None
    relative_effect: Interval | None = None
    variance_reduction: float = 0.0


def estimate(metric: Mean, treatment: Aggregates, control: Aggregates) -> EffectEstimate:
    """The effect on `metric`; insufficient with a reason where the groups are too small to say anything."""
    reason = _too_small(metric, treatment) or _too_small(metric, control)
    if reason is not None:
        return EffectEstimate(metric, Verdict.INSUFFICIENT, reason, treatment.count, control.count)
    one, other, reduction = adjusted(metric, treatment, control)
    effect = difference(one, other)
    verdict = Verdict.BETTER if effect.low > 0 else Verdict.WORSE if effect.high < 0 else Verdict.INSUFFICIENT
    return EffectEstimate(
        metric,
        verdict,
        None if verdict != Verdict.INSUFFICIENT else "the interval includes no effect",
        treatment.count,
        control.count,
        treatment.mean(metric.column),
        control.mean(metric.column),
        effect,
        ratio(one, other),
        reduction,
    )


def _too_small(metric: Mean, group: Aggregates) -> str | None:
    if group.count < MINIMUM_UNITS:
        return f"fewer than {MINIMUM_UNITS} customers in a group"
    happened = group.mean(metric.column) * group.count
    if metric.share and min(happened, group.count - happened) < MINIMUM_EVENTS - 1e-6:
        return f"fewer than {MINIMUM_EVENTS} customers in a group did, or did not"
    if group.variance(metric.column) <= 0.0:
        return "every customer of a group has the same value"
    return None


@formula(
    "Variance reduction (CUPED)",
    "y′ = y − θ (x − mean x),  θ = cov(y, x) / var(x) within groups;  used when it removes 1 % of the variance or more",
    "Deng, Xu, Kohavi, Walker (2013), Improving the Sensitivity of Online Controlled Experiments, WSDM",
)
def adjusted(metric: Mean, treatment: Aggregates, control: Aggregates) -> tuple[Sample, Sample, float]:
    """Both groups with what the covariate explains taken out, and the share of variance that removed (0: not used).

    θ comes from within both groups, so it does not depend on the effect; x is from before exposure, so the adjustment
    does not bias it. Both samples are centred on the mean x of all units.
    """
    y, x = metric.column, metric.covariate
    plain = [Sample(g.mean(y), g.variance(y), g.count) for g in (treatment, control)]
    if x is None:
        return plain[0], plain[1], 0.0
    free = treatment.count + control.count - 2
    weights = [(g, (g.count - 1) / free) for g in (treatment, control)]
    xx = sum(w * g.variance(x) for g, w in weights)
    xy = sum(w * g.covariance(y, x) for g, w in weights)
    yy = sum(w * g.variance(y) for g, w in weights)
    reduction = 0.0 if xx <= 0.0 or yy <= 0.0 else xy * xy / (xx * yy)
    if reduction < _WORTH_ADJUSTING:
        return plain[0], plain[1], 0.0
    theta, centre = xy / xx, (treatment + control).mean(x)
    one, other = (
        Sample(
            g.mean(y) - theta * (g.mean(x) - centre),
            max(0.0, g.variance(y) - 2 * theta * g.covariance(y, x) + theta * theta * g.variance(x)),
            g.count,
        )
        for g in (treatment, control)
    )
    return one, other, reduction


@formula(
    "Effect",
    "mean₁ − mean₀ ± t · √(s₁²/n₁ + s₀²/n₀), t with Welch's degrees of freedom, 95 %",
    "Welch (1947), The generalization of Student's problem when several different population variances are involved",
)
def difference(treatment: Sample, control: Sample) -> Interval:
    """Mean of treatment - mean of control, with Welch's interval, which lets the groups differ in size and spread."""
    gap = treatment.mean - control.mean
    reach = _quantile(treatment, control) * math.sqrt(treatment.squared_error + control.squared_error)
    return Interval(gap, gap - reach, gap + reach)


@formula(
    "Relative effect",
    "mean₁ / mean₀ − 1, interval by the delta method on the logarithm: "
    "variance of log(mean₁ / mean₀) ≈ s₁²/(n₁ mean₁²) + s₀²/(n₀ mean₀²)",
    "Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics, KDD",
)
def ratio(treatment: Sample, control: Sample) -> Interval | None:
    """Relative effect; None where a mean is not above 0. On the logarithm, so that it never falls below -100 %."""
    if treatment.mean <= 0.0 or control.mean <= 0.0:
        return None
    log_variance = treatment.squared_error / treatment.mean**2 + control.squared_error / control.mean**2
    reach = _quantile(treatment, control) * math.sqrt(log_variance)
    log_ratio = math.log(treatment.mean / control.mean)
    return Interval(math.expm1(log_ratio), math.expm1(log_ratio - reach), math.expm1(log_ratio + reach))


def _quantile(treatment: Sample, control: Sample) -> float:
    """Student's quantile with the Welch-Satterthwaite degrees of freedom."""
    a, b = treatment.squared_error, control.squared_error
    if a + b <= 0.0:
        return 0.0
    freedom = (a + b) ** 2 / (a * a / (treatment.count - 1) + b * b / (control.count - 1))
    return float(student.ppf(0.5 + CONFIDENCE / 2, freedom))


def overall(estimates: tuple[EffectEstimate, ...]) -> Verdict:
    """Worse if any metric is; else what the goal metric says."""
    if any(e.verdict == Verdict.WORSE for e in estimates):
        return Verdict.WORSE
    return next(e.verdict for e in estimates if e.metric.goal)
