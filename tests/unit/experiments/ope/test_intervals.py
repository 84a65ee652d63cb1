"""Intervals hold the truth as often as they say; checked against known distributions and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gamma, norm, poisson

from experiments.ope.contributions import Contributions
from experiments.ope.intervals import Bounds, bernstein, bootstrap, cumulants, skewed
from experiments.ope.reward_model import trees
from tests.coverage import coverage, world


def mean_of(values: np.ndarray, unit: np.ndarray | None = None) -> Contributions:
    """The plain mean as an estimate: base 0, every weight 1."""
    return Contributions(np.zeros(len(values)), np.ones(len(values)), values, False, unit)


def test_of_a_mean_of_many_it_is_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(10.0, 2.0, 50_000)
    reach = norm.ppf(0.975) * values.std(ddof=1) / np.sqrt(50_000)
    found = skewed(mean_of(values))
    assert found.low == pytest.approx(values.mean() - reach, abs=reach * 0.01)
    assert found.high == pytest.approx(values.mean() + reach, abs=reach * 0.01)


def counted(responses: int) -> Bounds:
    """The interval of the number of responses, seen so many among many rows of one weight."""
    values = np.zeros(100_000)
    values[:responses] = 1.0
    found = skewed(mean_of(values))
    return Bounds(found.low * len(values), found.high * len(values))


def test_of_rare_responses_it_is_the_jeffreys_interval_of_their_number() -> None:
    # Half a response more, which a single size of weight does not change: Γ⁻¹(q; responses + ½).
    found, expected = counted(40), gamma.ppf([0.025, 0.975], 40.5)
    assert [found.low, found.high] == pytest.approx(expected, rel=1e-3)


def test_of_very_few_responses_it_reckons_that_logs_without_any_are_refused() -> None:
    # With few expected, none below the upper end is told: 5 % of the told may lie above the lower end, not 2.5.
    for responses in (2, 4):
        low = counted(responses).low
        assert gamma.cdf(low, responses + 0.5) == pytest.approx(0.05 * -np.expm1(-low), rel=2e-3)
    assert counted(1).low == pytest.approx(0.0, abs=0.01)
    assert counted(1).high == pytest.approx(gamma.ppf(0.975, 1.5), rel=1e-3)


def test_of_the_logs_with_a_response_95_in_100_hold_the_truth_on_average_however_few_they_expect() -> None:
    ends = [counted(n) for n in range(1, 41)]
    count = np.arange(1, 41)
    expected = np.geomspace(0.3, 15.0, 200)
    held = np.array([[one.low <= mean <= one.high for one in ends] for mean in expected])
    told = poisson.pmf(count, expected[:, None]) / -np.expm1(-expected[:, None])
    covered = (held * told).sum(axis=1)
    # Responses of one weight come in whole numbers, so coverage jumps about 0.95 (to 0.85 where intervals of two begin
    # above what is expected); weights of several sizes smooth it.
    for fewest, most in ((0.3, 1.0), (1.0, 3.0), (3.0, 6.0), (6.0, 15.0)):
        part = covered[(expected >= fewest) & (expected <= most)]
        assert 0.94 <= part.mean() <= 0.965, (fewest, most)
    assert covered.min() >= 0.85


@pytest.mark.parametrize("interval", [skewed, bootstrap, bernstein])
def test_costs_mirror_gains(interval) -> None:  # type: ignore[no-untyped-def]
    values = (np.random.default_rng(2).random(2_000) < 0.02).astype(float)
    gains, costs = interval(mean_of(values)), interval(mean_of(-values))
    # The bootstrap draws the same resamples, so it mirrors up to the interpolation of quantiles.
    assert (costs.low, costs.high) == pytest.approx((-gains.high, -gains.low), abs=1e-4)


def test_rows_of_one_customer_count_as_one() -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 2_000)
    alone = mean_of(values)
    fourfold = mean_of(np.repeat(values, 4), np.repeat(np.arange(2_000), 4))
    taken_apart = replace(fourfold, unit=None)
    for interval in (skewed, bootstrap, bernstein):
        once, together, apart = (interval(c).high - interval(c).low for c in (alone, fourfold, taken_apart))
        assert together == pytest.approx(once, rel=0.05)
        assert apart == pytest.approx(once / 2.0, rel=0.1) or interval is bernstein


def test_a_response_that_a_heavy_weight_has_yet_to_see_raises_the_upper_end() -> None:
    rng = np.random.default_rng(4)
    omega = np.where(rng.random(5_000) < 0.01, 50.0, 0.5)
    values = ((rng.random(5_000) < 0.01) & (omega < 1.0)).astype(float)
    parts = Contributions(np.zeros(5_000), omega, values, False)
    plain, careful = cumulants(parts)
    assert careful.variance > 2.0 * plain.variance
    assert skewed(parts).high > 0.5 * 0.01 + 50.0 * 0.01 * 0.01


def test_weights_of_a_difference_have_a_sign_that_may_as_well_be_the_residuals() -> None:
    rng = np.random.default_rng(7)
    omega, values = rng.normal(0.0, 1.0, 3_000), (rng.random(3_000) < 0.01).astype(float)
    parts = Contributions(np.zeros(3_000), omega, values, False)
    turned = replace(parts, omega=-omega, residual=-values)
    one, two = skewed(parts), skewed(turned)
    assert (two.low, two.high) == pytest.approx((one.low, one.high), rel=1e-9)
    # Weights of both signs have yet to see responses: the wider interval reaches further to both sides.
    seen, careful = cumulants(replace(parts, residual=values * (omega > 0.0)))
    assert careful.variance > seen.variance
    assert careful.third < seen.third


def test_of_money_half_a_payment_more_like_the_largest_widens_the_interval_to_its_side() -> None:
    rng = np.random.default_rng(8)
    values = (rng.random(4_000) < 0.02) * rng.lognormal(0.0, 1.0, 4_000)
    plain, money = mean_of(values), replace(mean_of(values), money=True)
    assert skewed(money).high > skewed(plain).high + 0.03 * (skewed(plain).high - skewed(plain).low)
    assert skewed(money).low >= skewed(plain).low - 0.05 * (skewed(plain).high - skewed(plain).low)
    turned = skewed(replace(money, residual=-values))
    assert (turned.low, turned.high) == pytest.approx((-skewed(money).high, -skewed(money).low), rel=1e-9)
    # Where everybody pays alike nothing is missing.
    even = mean_of(rng.normal(10.0, 1.0, 20_000))
    assert skewed(replace(even, money=True)).high == pytest.approx(skewed(even).high, rel=1e-4)


def test_the_bootstrap_is_repeatable_and_agrees_where_responses_are_many() -> None:
    rng = np.random.default_rng(5)
    omega, values = rng.gamma(2.0, 0.5, 20_000), (rng.random(20_000) < 0.3).astype(float)
    parts = Contributions(np.zeros(20_000), omega, values, True)
    one, two, analytic = bootstrap(parts), bootstrap(parts), skewed(parts)
    assert one == two
    assert one != bootstrap(parts, seed=1)
    assert (one.low, one.high) == pytest.approx((analytic.low, analytic.high), abs=0.1 * (analytic.high - analytic.low))


def test_bernstein_is_wider() -> None:
    values = (np.random.default_rng(6).random(3_000) < 0.2).astype(float)
    wide, usual = bernstein(mean_of(values)), skewed(mean_of(values))
    assert wide.low < usual.low < usual.high < wide.high


# Of 1,000 logs a coverage of 0.95 has a standard error of 0.007, so 0.93 to 0.97 is what is promised and also three
# errors each way; the seeds are fixed, so that a test that passed will pass. `python -m tests.coverage` has the rest.
@pytest.mark.slow
@pytest.mark.parametrize(("rate", "sharpness", "effective"), [(0.1, 0.0, 400), (0.3, 0.0, 400), (0.02, 2.0, 1_500)])
def test_intervals_of_money_that_is_told_hold_the_truth_as_often(rate: float, sharpness: float, effective: int) -> None:
    for one in coverage(world(rate, sharpness, 3, money=True), effective, 1_000, 11):
        assert one.told > 0.5
        assert 0.93 <= one.covered <= 0.97, one


@pytest.mark.slow
def test_money_from_a_few_payments_is_seldom_told() -> None:
    assert all(one.told < 0.1 for one in coverage(world(0.02, 0.0, 3, money=True), 400, 200, 11))


@pytest.mark.slow
def test_intervals_with_reward_models_of_trees_hold_the_truth_as_often() -> None:
    # Of 300 logs two standard errors are 0.025.
    for one in coverage(world(0.1, 0.0, 3), 1_500, 300, 11, fit=trees):
        assert one.told == 1.0
        assert 0.925 <= one.covered <= 0.975, one


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "sharpness", "effective"),
    [(0.005, 0.0, 100), (0.02, 2.0, 100), (0.3, 2.0, 100), (0.005, 0.0, 1_500), (0.005, 2.0, 400), (0.1, 0.0, 400)],
)
def test_reported_intervals_hold_the_truth_in_93_to_97_of_100_logs(
    rate: float, sharpness: float, effective: int
) -> None:
    found = coverage(world(rate, sharpness, 3), effective, 1_000, 11)
    for one in found:
        assert one.told > 0.5
        assert 0.93 <= one.covered <= 0.97, one
