"""The paired difference of two policies: its value, its interval, and when there is none."""

from __future__ import annotations

import numpy as np

from experiments.ope.contributions import Contributions, contributions
from experiments.ope.difference import apart, difference
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import evidence
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.intervals import skewed
from experiments.ope.payments import payments
from experiments.ope.target import Target, constant, distribution


def log(seed: int, rows: int = 2_000, rate: float = 0.03) -> tuple[LoggedFeedback, Floats]:
    """Rare responses: `rate` with arm b, 1.5 times that with arm c; and (n,) a trait that changes nothing."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 3, rows)
    reward = (rng.random(rows) < rate * np.array([1.0, 1.0, 1.5])[arm]).astype(float)
    return LoggedFeedback(("a", "b", "c"), arm, np.full(rows, 1 / 3), reward), rng.random(rows)


def parts(feedback: LoggedFeedback, target: Target, q_hat: Floats | None = None) -> Contributions:
    name = "snips" if q_hat is None else "sndr"
    return contributions(ESTIMATORS[name], evidence(feedback, target, q_hat), 0.0)


def mixed(feedback: LoggedFeedback, trait: Floats) -> Target:
    """Arm c for three in ten, else arm b."""
    chosen = np.where(trait < 0.3, 2, 1)
    return distribution(feedback, "mixed", np.eye(3)[chosen])


def test_the_difference_is_that_of_both_values_and_of_both_influences() -> None:
    feedback, trait = log(1)
    q_hat = np.random.default_rng(2).random((len(feedback), 3))
    one, other = parts(feedback, mixed(feedback, trait), q_hat), parts(feedback, constant(feedback, "b"), q_hat)
    both = apart(one, other)
    assert np.isclose(both.value, one.value - other.value, atol=1e-12)
    assert np.allclose(both.influences(), one.influences() - other.influences(), atol=1e-12)


def test_its_interval_is_narrower_than_if_both_were_measured_apart() -> None:
    feedback, trait = log(3)
    one, other = parts(feedback, mixed(feedback, trait)), parts(feedback, constant(feedback, "b"))
    found = difference(one, other, "b").interval
    assert found is not None
    apart = np.hypot(*((b.high - b.low) for b in (skewed(one), skewed(other))))
    assert found.high - found.low < 0.85 * apart


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    # 95 of 100 are to be expected; of 600, 0.93 to 0.985 is within 2.3 standard deviations below and 4 above.
    held = 0
    for seed in range(600):
        feedback, trait = log(seed)
        found = difference(parts(feedback, mixed(feedback, trait)), parts(feedback, constant(feedback, "b")), "b")
        assert found.interval is not None
        held += found.interval.low <= 0.3 * 0.5 * 0.03 <= found.interval.high
    assert 0.93 <= held / 600 <= 0.985


def test_the_same_policy_twice_is_no_difference_and_no_claim() -> None:
    feedback, _ = log(4)
    found = difference(parts(feedback, constant(feedback, "a")), parts(feedback, constant(feedback, "a")), "a")
    assert (found.value, found.insufficient) == (0.0, "they are the same policy")


def test_policies_that_differ_in_a_few_rows_only_get_no_number() -> None:
    feedback, trait = log(5)
    chosen = np.where(trait < 0.03, 2, 1)
    rare = distribution(feedback, "rare", np.eye(3)[chosen])
    found = difference(parts(feedback, rare), parts(feedback, constant(feedback, "b")), "b")
    assert found.value is None
    assert "at least 100" in str(found.insufficient)


def test_of_money_the_rows_in_which_policies_differ_must_be_worth_more_and_pay_often_enough() -> None:
    feedback, trait = log(6, rows=6_000)
    money = feedback.with_reward(feedback.reward * (1.0 + trait))
    payment = payments(money)
    assert payment is not None
    both = parts(money, mixed(money, trait)), parts(money, constant(money, "b"))
    assert difference(*both, "b", payment).insufficient is None
    few = parts(money, distribution(money, "few", np.eye(3)[np.where(trait < 0.05, 2, 1)]))
    assert "at least 400 is needed for money: they seldom differ" in str(difference(few, both[1], "b", payment))
    rare = np.where(np.cumsum(payment > 0.0) <= 12, payment, 0.0)
    assert "at least 10 are needed" in str(difference(*both, "b", rare).insufficient)
