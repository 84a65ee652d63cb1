"""What every estimator must do; one joins by being in the registry."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from experiments.inference import Verdict
from experiments.ope.contributions import contributions, numbers, values
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evaluation import evaluate, evaluate_one
from experiments.ope.evidence import evidence
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.reward_model import cross_fitted, ridge
from experiments.ope.target import Distribution, Target, Uniform, constant, distribution
from features.errors import InvalidInput

ARMS = ("a", "b", "c")
EVERY = pytest.mark.parametrize("name", list(ESTIMATORS))
#: Response rates of two segments; what they answer to differs.
RATES = np.array([[0.1, 0.4, 0.2], [0.5, 0.1, 0.3]])
TARGET = np.array([[0.1, 0.7, 0.2], [0.7, 0.1, 0.2]])
TRUTH = float((0.5 * TARGET * RATES).sum())


def known_log(rows: int, logging: Floats, seed: int = 5) -> tuple[LoggedFeedback, Target, Floats]:
    """(log, target, cross-fitted predictions) of two segments of equal size, whose truth is TRUTH."""
    rng = np.random.default_rng(seed)
    segment = rng.integers(0, 2, rows)
    table = logging[segment]
    arm = (rng.random(rows)[:, None] > table.cumsum(axis=1)[:, :-1]).sum(axis=1)
    reward = (rng.random(rows) < RATES[segment, arm]).astype(float)
    log = LoggedFeedback(ARMS, arm, table[np.arange(rows), arm], reward, segment[:, None] * 1.0, ("segment",))
    return log, distribution(log, "target", TARGET[segment]), cross_fitted(log, fit=ridge)


UNIFORM = np.full((2, 3), 1 / 3)
SKEWED = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]])


def value_of(name: str, log: LoggedFeedback, target: Target, q_hat: Floats) -> float:
    return values(evidence(log, target, q_hat))[name]


@EVERY
def test_it_finds_the_truth_in_a_log_drawn_uniformly(name: str) -> None:
    log, target, q_hat = known_log(40_000, UNIFORM)
    # Five standard errors of IPS on 40,000 rows are 0.016; what tuning may add in bias is chosen to be less.
    assert value_of(name, log, target, q_hat) == pytest.approx(TRUTH, abs=0.016)


@EVERY
def test_it_finds_the_truth_in_a_log_of_unequal_probabilities(name: str) -> None:
    if ESTIMATORS[name].uniform_log:
        pytest.skip("fair only on uniform logs, and refused elsewhere")
    log, target, q_hat = known_log(40_000, SKEWED)
    assert value_of(name, log, target, q_hat) == pytest.approx(TRUTH, abs=0.03)


@EVERY
def test_of_the_logging_policy_itself_it_says_what_the_log_earned(name: str) -> None:
    log, _, _ = known_log(5_000, UNIFORM)
    # With an arm's mean as its prediction the model's average over the log is the log's own mean, too.
    means = np.array([log.reward[log.arm == arm].mean() for arm in range(3)])
    shares = np.bincount(log.arm, minlength=3) / len(log)
    seen = replace(log, action_probability=shares[log.arm])
    target = Distribution("itself", np.broadcast_to(shares, (len(log), 3)))
    if name == "replay":
        pytest.skip("agreement is counted by the target's probability: only the uniform policy is its own replay")
    assert value_of(name, seen, target, np.broadcast_to(means, (len(log), 3))) == pytest.approx(log.reward.mean())


def test_replay_of_the_uniform_policy_is_what_a_uniform_log_earned() -> None:
    log, _, q_hat = known_log(5_000, UNIFORM)
    assert value_of("replay", log, Uniform(), q_hat) == pytest.approx(log.reward.mean())


@EVERY
def test_the_order_of_rows_is_nothing(name: str) -> None:
    log, target, q_hat = known_log(3_000, SKEWED)
    order = np.random.default_rng(1).permutation(len(log))
    shuffled = value_of(name, log.take(order), target.take(order), q_hat[order])
    assert shuffled == pytest.approx(value_of(name, log, target, q_hat), rel=1e-12)


@EVERY
def test_rewards_in_another_currency_scale_the_estimate(name: str) -> None:
    log, target, q_hat = known_log(3_000, SKEWED)
    scaled = value_of(name, log.with_reward(7.0 * log.reward), target, 7.0 * q_hat)
    assert scaled == pytest.approx(7.0 * value_of(name, log, target, q_hat), rel=1e-12)


@pytest.mark.parametrize("name", [n for n, e in ESTIMATORS.items() if e.normalised or e.model])
def test_a_constant_added_to_rewards_just_moves_what_is_normalised_or_modelled(name: str) -> None:
    log, target, q_hat = known_log(3_000, SKEWED)
    moved = value_of(name, log.with_reward(log.reward + 5.0), target, q_hat + 5.0)
    assert moved == pytest.approx(5.0 + value_of(name, log, target, q_hat), rel=1e-12)


@EVERY
def test_one_pass_and_contributions_by_row_agree(name: str) -> None:
    log, target, q_hat = known_log(20_000, SKEWED)
    seen = evidence(log, target, q_hat)
    number = numbers(seen)[name]
    parts = contributions(ESTIMATORS[name], seen, number)
    assert parts.value == pytest.approx(values(seen)[name], rel=1e-12)
    assert parts.influences().mean() == pytest.approx(0.0, abs=1e-12)


@EVERY
def test_without_support_no_number_is_given(name: str) -> None:
    log, _, q_hat = known_log(3_000, np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]))
    found = evaluate_one(log, constant(log, "c"), q_hat)
    assert found.insufficient is not None
    assert "no support" in found.insufficient
    one = next(e for e in found.estimates if e.estimator.name == name)
    assert (one.value, one.interval, one.bootstrap, one.bernstein) == (None, None, None, None)
    assert found.verdict == Verdict.INSUFFICIENT


@EVERY
def test_a_worth_of_too_few_rows_gives_no_number(name: str) -> None:
    log, _, q_hat = known_log(240, UNIFORM)
    found = evaluate_one(log, constant(log, "a"), q_hat)
    assert found.diagnostics.effective_sample_size < 100
    one = next(e for e in found.estimates if e.estimator.name == name)
    assert one.value is None
    assert "effective sample size" in str(one.insufficient)


def spent(rows: int, share: float, seed: int = 8) -> tuple[LoggedFeedback, Target]:
    """A log drawn uniformly in which `share` of rows spend, log-normal amounts; and a target near it."""
    log, target, _ = known_log(rows, UNIFORM, seed)
    rng = np.random.default_rng(seed)
    paid = (rng.random(rows) < share) * rng.lognormal(0.0, 1.0, rows)
    return log.with_reward(paid), target


def test_money_needs_a_larger_sample_and_payments_enough_and_says_about_how_many_decisions_more() -> None:
    few, target = spent(500, 0.3)
    found = evaluate_one(few, target)
    assert 100 < found.diagnostics.effective_sample_size < 400
    assert "at least 400 is needed for money" in str(found.insufficient)
    assert re.search(r"about [\d,]+ more decisions like these would do", str(found.insufficient))
    rare, target = spent(5_000, 0.003)
    found = evaluate_one(rare, target)
    assert found.diagnostics.effective_sample_size > 400
    assert "at least 10 are needed: a few large ones decide; about" in str(found.insufficient)
    assert (found.headline.value, found.gain.value, found.verdict) == (None, None, Verdict.INSUFFICIENT)


def test_a_response_or_none_is_no_money_whatever_it_is_worth_or_the_contact_costs() -> None:
    log, target, _ = known_log(500, UNIFORM, seed=6)
    cost = np.array([0.0, 0.25, 0.1])[log.arm]
    for reward in (log.reward, 60.0 * log.reward, 60.0 * log.reward - cost):
        found = evaluate_one(log.with_reward(reward), target)
        assert found.diagnostics.effective_responses is None
        assert found.insufficient is None
    differing = np.where(np.arange(500) % 2, 60.0, 20.0) * log.reward - cost
    assert evaluate_one(log.with_reward(differing), target).diagnostics.effective_responses is not None


def test_what_one_customer_paid_in_many_rows_is_one_payment() -> None:
    log, target = spent(5_000, 0.02)
    alone = evaluate_one(log, target).diagnostics.effective_responses
    together = evaluate_one(replace(log, unit=np.where(log.reward > 0.0, 0, np.arange(5_000))), target)
    assert alone is not None
    assert alone > 20.0
    assert together.diagnostics.effective_responses == pytest.approx(1.0)


def test_the_gain_over_the_log_is_the_value_less_what_it_earned_and_nothing_for_the_same_policy() -> None:
    log, target, q_hat = known_log(3_000, SKEWED)
    for predictions in (None, q_hat):
        found = evaluate_one(log, target, predictions)
        assert found.headline.value is not None
        assert found.gain.value == pytest.approx(found.headline.value - found.logged_value, abs=1e-12)
    table = SKEWED[log.context[:, 0].astype(int)]
    itself = evaluate_one(log, distribution(log, "itself", table), q_hat)
    assert (itself.gain.value, itself.verdict) == (0.0, Verdict.INSUFFICIENT)


def test_probabilities_that_are_not_those_of_the_draw_show_in_the_mean_weight() -> None:
    log, target, q_hat = known_log(5_000, SKEWED)
    lying = replace(log, action_probability=np.full(5_000, 0.5))
    found = evaluate_one(lying, target, q_hat)
    assert "mean weight" in str(found.insufficient)


def test_replay_gives_no_number_on_a_log_that_was_not_drawn_uniformly() -> None:
    log, target, q_hat = known_log(5_000, SKEWED)
    found = {e.estimator.name: e for e in evaluate_one(log, target, q_hat).estimates}
    assert found["replay"].insufficient == "the log was not drawn uniformly"
    assert found["replay"].value is None
    assert found["ips"].value is not None


def test_without_a_reward_model_only_estimators_that_need_none_are_used() -> None:
    log, target, _ = known_log(2_000, UNIFORM)
    found = evaluate(log, [target], model=False)[0]
    assert [e.estimator.name for e in found.estimates] == ["replay", "ips", "clipped-ips", "snips"]
    assert found.headline.estimator.name == "snips"


def test_a_better_policy_is_called_better_and_a_worse_one_worse() -> None:
    log, target, q_hat = known_log(10_000, UNIFORM)
    assert evaluate_one(log, target, q_hat).verdict == Verdict.BETTER
    worse = distribution(log, "worse", np.where(log.context == 0.0, TARGET[1], TARGET[0]))
    assert evaluate_one(log, worse, q_hat).verdict == Verdict.WORSE
    assert evaluate_one(log, Uniform(), q_hat).verdict == Verdict.INSUFFICIENT


def test_a_constant_reward_and_one_row_are_refused_by_name() -> None:
    log, target, _ = known_log(500, UNIFORM)
    with pytest.raises(InvalidInput) as refusal:
        evaluate_one(log.with_reward(np.zeros(500)), target)
    assert refusal.value.code == "constant_reward"
    with pytest.raises(InvalidInput) as refusal:
        evaluate_one(log.take(np.array([3])), target.take(np.array([3])))
    assert refusal.value.code == "too_few_rows"


def test_a_target_that_is_no_distribution_is_refused_with_its_rows() -> None:
    log, _, _ = known_log(500, UNIFORM)
    table = np.tile(TARGET[0], (500, 1))
    table[7] = [0.5, 0.4, 0.0]
    with pytest.raises(InvalidInput, match="data row 8"):
        distribution(log, "wrong", table)
    allowed = np.ones((500, 3), dtype=bool)
    allowed[9] = [arm == log.arm[9] for arm in range(3)]
    with pytest.raises(InvalidInput, match="filtered out in data row 10") as refusal:
        distribution(replace(log, allowed=allowed), "outside", np.tile(TARGET[0], (500, 1)))
    assert refusal.value.code == "distribution_arm_not_allowed"


def test_a_constant_does_nothing_where_its_arm_was_filtered_out() -> None:
    rng = np.random.default_rng(2)
    allowed = np.ones((4_000, 2), dtype=bool)
    allowed[:2_000, 0] = False
    arm = np.where(allowed[:, 0], rng.integers(0, 2, 4_000), 1)
    reward = (rng.random(4_000) < np.where(arm == 0, 0.5, 0.1)).astype(float)
    probability = np.where(allowed[:, 0], 0.5, 1.0)
    log = LoggedFeedback(("offer@web", "do_nothing@none"), arm, probability, reward, allowed=allowed)
    found = evaluate_one(log, constant(log, "offer@web"))
    assert found.diagnostics.support == 1.0
    # Half of the rows may have the offer, worth 0.5; the others do nothing, worth 0.1.
    assert found.headline.value == pytest.approx(0.3, abs=0.03)


def test_a_slate_is_valued_place_by_place() -> None:
    rng = np.random.default_rng(3)
    place = np.tile([1, 2], 2_000)
    arm = rng.integers(0, 2, 4_000)
    rate = np.where(place == 1, 0.4, 0.1) + 0.2 * (arm == 1)
    log = LoggedFeedback(
        ("a", "b"),
        arm,
        np.full(4_000, 0.5),
        (rng.random(4_000) < rate).astype(float),
        decision_id=np.repeat([f"d{n}" for n in range(2_000)], 2),
        place=place,
        unit=np.repeat(np.arange(2_000), 2),
    )
    first, second = evaluate(log, [constant(log, "b")])
    assert (first.place, second.place) == (1, 2)
    assert first.headline.value == pytest.approx(0.6, abs=0.06)
    assert second.headline.value == pytest.approx(0.3, abs=0.06)


def test_predictions_of_a_customer_come_from_other_customers() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(200), 2)
    reward = np.repeat(rng.random(200), 2)
    log = LoggedFeedback(("a",), np.zeros(400, dtype=int), np.ones(400), reward, unit=unit)
    before = cross_fitted(log, fit=ridge)
    changed = reward.copy()
    changed[unit == 17] = 1e6
    after = cross_fitted(log.with_reward(changed), fit=ridge)
    assert (after[unit == 17] == before[unit == 17]).all()
    assert (after[unit != 17] != before[unit != 17]).any()
