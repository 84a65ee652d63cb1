from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from experiments.aggregates import aggregate
from experiments.inference import EffectEstimate, Sample, Verdict, adjusted, difference, estimate, overall, ratio
from experiments.metrics import HOLDOUT_METRICS, Mean

REVENUE = Mean("revenue", "y", "revenue", covariate="x")
PLAIN = Mean("revenue", "y", "revenue")
SHARE = Mean("conversion", "y", "customers who bought", goal=True, share=True)


def sample(values: np.ndarray) -> Sample:
    return Sample(float(values.mean()), float(values.var(ddof=1)), len(values))


def test_the_interval_of_a_difference_is_that_of_scipy_and_statsmodels() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.lognormal(1.0, 1.0, 700), rng.lognormal(0.8, 0.5, 60)
    found = difference(sample(one), sample(other))
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    compared = CompareMeans(DescrStatsW(one), DescrStatsW(other)).tconfint_diff(usevar="unequal")
    assert (found.low, found.high) == pytest.approx(compared, rel=1e-12)


def test_the_relative_interval_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.gamma(2.0, 3.0, 3000), rng.gamma(2.0, 2.5, 400)
    found = ratio(sample(one), sample(other))
    assert found is not None
    draws = [
        rng.choice(one, len(one)).mean() / rng.choice(other, len(other)).mean() - 1 for _ in range(2000)
    ]  # fmt: skip
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_a_ratio_to_nothing_is_not_given() -> None:
    assert ratio(Sample(1.0, 1.0, 100), Sample(0.0, 1.0, 100)) is None


def test_cuped_is_a_regression_on_treatment_and_covariate() -> None:
    rng = np.random.default_rng(3)
    x = rng.gamma(2.0, 10.0, 4000)
    treated = rng.random(4000) < 0.9
    y = 5 + 0.8 * x + 1.5 * treated + rng.normal(0, 5, 4000)
    groups = [aggregate({"y": y[g], "x": x[g]}) for g in (treated, ~treated)]
    one, other, reduction = adjusted(REVENUE, *groups)
    found = difference(one, other)
    fit = OLS(y, np.column_stack([np.ones(4000), treated, x])).fit()
    assert found.estimate == pytest.approx(fit.params[1], abs=1e-9)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * fit.bse[1], rel=0.05)
    assert reduction == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=0.01)
    unadjusted = difference(*(sample(y[g]) for g in (treated, ~treated)))
    assert found.high - found.low < 0.6 * (unadjusted.high - unadjusted.low)


def test_a_covariate_that_explains_nothing_is_not_used() -> None:
    rng = np.random.default_rng(4)
    groups = [aggregate({"y": rng.normal(size=500), "x": rng.normal(size=500)}) for _ in range(2)]
    assert adjusted(REVENUE, *groups)[2] == 0.0


def worlds(count: int, effect: float) -> Iterator[tuple[EffectEstimate, float]]:
    """Skewed revenue, partly known beforehand, in groups of 1,900 and 100, as a holdout of 5 % has."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        before = rng.gamma(1.0, 20.0, 2000)
        y = np.where(rng.random(2000) < 0.5, rng.gamma(2.0, 10.0, 2000) + 0.5 * before, 0.0)
        treated = np.arange(2000) >= 100
        y = y + effect * treated
        yield (
            estimate(
                REVENUE, *(aggregate({"y": y[g], "x": before[g]}) for g in (treated, ~treated))
            ),
            effect,
        )  # fmt: skip


def test_in_worlds_without_effect_95_intervals_of_100_hold_zero() -> None:
    found = [e.effect for e, _ in worlds(1000, 0.0)]
    share = np.mean([i is not None and i.low <= 0.0 <= i.high for i in found])
    # 1,000 worlds: standard error 0.7 points.
    assert 0.935 <= share <= 0.965


def test_in_worlds_without_effect_95_relative_intervals_of_100_hold_zero() -> None:
    found = [e.relative_effect for e, _ in worlds(1000, 0.0)]
    share = np.mean([i is not None and i.low <= 0.0 <= i.high for i in found])
    assert 0.935 <= share <= 0.965


def test_a_known_effect_is_held_by_95_intervals_of_100_too() -> None:
    found = [(e.effect, truth) for e, truth in worlds(600, 4.0)]
    share = np.mean([i is not None and i.low <= truth <= i.high for i, truth in found])
    assert 0.93 <= share <= 0.97


def test_verdicts_follow_the_interval() -> None:
    rng = np.random.default_rng(6)
    low, high = aggregate({"y": rng.normal(1.0, 1.0, 400)}), aggregate({"y": rng.normal(2.0, 1.0, 400)})
    assert estimate(PLAIN, high, low).verdict == Verdict.BETTER
    assert estimate(PLAIN, low, high).verdict == Verdict.WORSE
    assert estimate(PLAIN, low, low).verdict == Verdict.INSUFFICIENT


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0] * 20 + [0.0] * 20, "fewer than 50 customers"),
        ([1.0] * 4 + [0.0] * 200, "fewer than 5 customers in a group did"),
        ([1.0] * 200 + [0.0] * 4, "fewer than 5 customers in a group did"),
        ([], "fewer than 50 customers"),
    ],
)
def test_too_few_is_a_reason_and_never_a_number(values: list[float], reason: str) -> None:
    plenty = aggregate({"y": [0.0, 1.0] * 500})
    found = estimate(SHARE, plenty, aggregate({"y": values}))
    assert found.verdict == Verdict.INSUFFICIENT
    assert reason in (found.reason or "")
    assert found.effect is None
    assert found.relative_effect is None


def test_a_metric_that_got_worse_overrules_the_goal() -> None:
    goal, guard = HOLDOUT_METRICS
    better = EffectEstimate(goal, Verdict.BETTER, None, 100, 100)
    worse = EffectEstimate(guard, Verdict.WORSE, None, 100, 100)
    unsure = EffectEstimate(guard, Verdict.INSUFFICIENT, "", 100, 100)
    assert overall((better, worse)) == Verdict.WORSE
    assert overall((better, unsure)) == Verdict.BETTER
    assert math.isclose(sum(m.goal for m in HOLDOUT_METRICS), 1)
