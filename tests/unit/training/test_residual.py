"""The online correction: exact sums, the exact posterior of a tree, and a step of the right length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.rewards import UNIT
from training.residual import (
    MOST_DIMENSIONS,
    ONE,
    PRIOR_SCALES,
    Correction,
    corrected,
    length,
    posterior,
    step_scale,
    taught,
    taught_all,
)
from training.statistics import add

#: Six arms of three actions in two groups.
PARENTS = (np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1]))
ARMS = np.arange(6)

probabilities = st.floats(1e-6, 1.0 - 1e-6)
answers = st.tuples(
    st.sampled_from([0, UNIT]), probabilities, probabilities, st.tuples(*[st.integers(-3 * ONE, 3 * ONE)] * 2)
)


def learned(counts: np.ndarray, accepts: np.ndarray, sums: np.ndarray) -> Correction:
    return posterior(counts, accepts, sums, PARENTS)


def random_sums(seed: int, dimensions: int, arms: int) -> np.ndarray:
    """(length, arms) of sums that keep every mean where it was stated, so that no step is stretched."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(arms, 40, dimensions))
    x[:, :, 0] = 1.0
    information = np.einsum("mni,mnj->ijm", x, x) * 0.1
    sums = np.concatenate((np.zeros((dimensions, arms)), rng.normal(size=(dimensions, arms))))
    return np.concatenate((sums, information[np.triu_indices(dimensions)]))


# -- sums --------------------------------------------------------------------------------------------------------------


@given(st.lists(answers, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(0, 12))
def test_any_order_and_any_partition_add_up_to_the_same_numbers(rows: list, rng, cut: int) -> None:
    def total(some: list) -> tuple[int, ...]:
        found: tuple[int, ...] = ()
        for row in some:
            found = add(found, taught(*row))
        return found

    mixed = rng.sample(rows, len(rows))
    assert add(total(mixed[:cut]), total(mixed[cut:])) == total(rows)


@given(st.lists(answers, min_size=1, max_size=12))
def test_many_at_once_teach_what_each_does(rows: list) -> None:
    together = taught_all([row[:3] for row in rows], np.array([row[3] for row in rows], dtype=np.int64))
    assert [tuple(one) for one in together.tolist()] == [taught(*row) for row in rows]


@given(answers, answers)
def test_what_is_taken_back_is_gone_to_the_last_unit(one: tuple, other: tuple) -> None:
    assert add(add(taught(*one), taught(*other)), tuple(-a for a in taught(*other))) == taught(*one)


@given(st.sampled_from([0, UNIT]), probabilities, probabilities)
def test_ten_million_answers_of_the_oddest_customer_stay_within_eight_bytes(success: int, p: float, q: float) -> None:
    sums = taught(success, p, q, [3 * ONE] * (MOST_DIMENSIONS - 1))
    assert len(sums) == length(MOST_DIMENSIONS)
    assert max(map(abs, sums)) * 10**7 < 2**63


def test_an_answer_teaches_the_gradient_the_step_taken_and_the_information() -> None:
    sums = taught(UNIT, 0.2, 0.5, (ONE, -2 * ONE))
    step = round(250_000 * float(logit(0.5) - logit(0.2)))
    assert sums[:3] == (500_000, 500_000, -1_000_000)
    assert sums[3:6] == pytest.approx((step, step, -2 * step), abs=2)
    assert sums[6:] == (250_000, 250_000, -500_000, 250_000, -500_000, 1_000_000)


# -- the posterior -----------------------------------------------------------------------------------------------------


def test_the_tree_gives_the_posterior_of_all_arms_together() -> None:
    sums = random_sums(3, 3, 6)
    sums[:, 5] = 0.0  # never tried
    found = learned(np.zeros(6), np.zeros(6), sums)
    kinship = [np.ones((6, 6)), np.kron(np.diag([1, 0]), np.ones((4, 4)))[:6, :6], None, np.eye(6)]
    group, action = PARENTS[1][PARENTS[0]], PARENTS[0]
    kinship[1], kinship[2] = group[:, None] == group, action[:, None] == action
    prior = sum(np.kron(k, np.diag([c**2, s**2, s**2])) for k, (c, s) in zip(kinship, PRIOR_SCALES, strict=True))
    precision, gradient = np.linalg.inv(prior), sums[3:6].T.ravel()
    first, second = np.triu_indices(3)
    for arm in range(6):
        information = np.zeros((3, 3))
        information[first, second] = information[second, first] = sums[6:, arm]
        precision[3 * arm : 3 * arm + 3, 3 * arm : 3 * arm + 3] += information
    covariance = np.linalg.inv(precision)
    mean = (covariance @ gradient).reshape(6, 3)
    x = np.array([1.0, 0.5, -2.0])
    shift, variance = found.shifts((ONE // 2, -2 * ONE), ARMS)
    np.testing.assert_allclose(shift, mean @ x, rtol=1e-9)
    blocks = [covariance[3 * arm : 3 * arm + 3, 3 * arm : 3 * arm + 3] for arm in range(6)]
    np.testing.assert_allclose(variance, [x @ block @ x for block in blocks], rtol=1e-9)


@pytest.mark.parametrize("dimensions", [1, 4, MOST_DIMENSIONS])
def test_where_nothing_was_learned_every_prediction_is_the_models_to_the_last_bit(dimensions: int) -> None:
    found = learned(np.zeros(6), np.zeros(6), np.zeros((length(dimensions), 6)))
    shift, variance = found.shifts([700] * (dimensions - 1), ARMS)
    p_model = np.array([1e-6, 0.02, 1.0 / 3.0, 0.5, 0.9, 1.0 - 1e-6])
    assert corrected(p_model, shift).tolist() == p_model.tolist()
    assert (variance > 0.0).all()


def test_some_arms_are_corrected_to_the_same_bits_as_all() -> None:
    found = learned(np.zeros(6), np.zeros(6), random_sums(4, 5, 6))
    covariates = (11, -700, 3, 256)
    shift, variance = found.shifts(covariates, ARMS)
    for rows in ([2], [0, 5], [5, 1, 3]):
        some, deviations = found.shifts(covariates, np.array(rows))
        assert some.tolist() == shift[rows].tolist()
        assert deviations.tolist() == variance[rows].tolist()


def test_an_arm_leans_on_its_action_more_than_on_its_group_and_least_on_strangers() -> None:
    sums = np.zeros((length(1), 6))
    sums[:, 0] = 20.0, 0.0, 40.0
    shift, _ = learned(np.array([250.0, 0, 0, 0, 0, 0]), np.array([70.0, 0, 0, 0, 0, 0]), sums).shifts((), ARMS)
    assert shift[0] > shift[1] > shift[2] == shift[3] > shift[4] == shift[5] > 0.0


# -- the step ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stated", "true"), [(0.02, 0.15), (0.3, 0.02), (0.001, 0.2), (0.1, 0.1), (0.5, 0.9)])
def test_thousands_of_answers_at_a_wrong_probability_lead_to_the_right_one_in_one_step(
    stated: float, true: float
) -> None:
    count, accepts = 5_000, round(5_000 * true)
    yes, no = (np.array(taught(success, stated, stated, ())) for success in (UNIT, 0))
    sums = (accepts * yes + (count - accepts) * no)[:, None] / UNIT
    alone = (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    found = posterior(np.array([float(count)]), np.array([float(accepts)]), sums, alone)
    shift, _ = found.shifts((), np.zeros(1, dtype=np.int64))
    assert corrected(np.array([stated]), shift)[0] == pytest.approx(true, rel=0.15)


def test_few_answers_leave_the_step_as_it_is() -> None:
    # One accept of two, where 2 % were expected.
    assert step_scale(np.array([2.0]), np.array([1.0]), np.array([1.0 - 0.04]), 1.0)[0] < 1.6
    assert step_scale(np.zeros(1), np.zeros(1), np.zeros(1), 1.0)[0] == 1.0


def exact_mode(arms: np.ndarray, x: np.ndarray, success: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(6, 2) the mode of the posterior of all arms together, by Newton's method on every answer."""
    design = np.zeros((len(x), 12))
    for arm in range(6):
        design[arms == arm, 2 * arm : 2 * arm + 2] = x[arms == arm]
    tightness, delta = np.linalg.inv(prior), np.zeros(12)
    for _ in range(30):
        p = expit(logit(0.1) + design @ delta)
        information = (design * (p * (1.0 - p))[:, None]).T @ design + tightness
        delta += np.linalg.solve(information, design.T @ (success - p) - tightness @ delta)
    return delta.reshape(6, 2)


def test_answers_asked_for_at_better_and_better_probabilities_lead_to_the_exact_posterior() -> None:
    """A model says 10 % to all; in truth one covariate drives acceptance, the other way round for the second action."""
    rng = np.random.default_rng(7)
    truth = np.array([[0.3, 0.7], [0.3, 0.7], [-0.5, -0.7], [-0.5, -0.7], [0.0, 0.0], [0.0, 0.0]])
    counts, accepts, sums = np.zeros(6), np.zeros(6), np.zeros((length(2), 6))
    rows = []
    for _ in range(60):
        found = learned(counts, accepts, sums / UNIT)
        for _ in range(100):
            arm, z = int(rng.integers(6)), int(np.clip(rng.normal(), -3, 3) * ONE)
            shift, _ = found.shifts((z,), np.array([arm]))
            stated = float(corrected(np.array([0.1]), shift)[0])
            success = rng.random() < expit(logit(0.1) + truth[arm] @ (1.0, z / ONE))
            sums[:, arm] += taught(UNIT * int(success), 0.1, stated, (z,))
            counts[arm] += 1
            accepts[arm] += success
            rows.append((arm, z / ONE, success))
    arms, z, success = (np.array(column) for column in zip(*rows, strict=True))
    group, action = PARENTS[1][PARENTS[0]], PARENTS[0]
    kinship = (np.ones((6, 6)), group[:, None] == group, action[:, None] == action, np.eye(6))
    prior = sum(np.kron(k, np.diag([c**2, s**2])) for k, (c, s) in zip(kinship, PRIOR_SCALES, strict=True))
    mode = exact_mode(arms.astype(int), np.column_stack([np.ones(len(z)), z]), success, prior)
    found = learned(counts, accepts, sums / UNIT)
    for one in (-1.5, 0.0, 1.5):
        shift, variance = found.shifts((round(one * ONE),), ARMS)
        assert (np.abs(shift - mode @ (1.0, one)) < np.sqrt(variance)).all()
        assert (np.sqrt(variance) < 0.35).all()


# -- known truth -------------------------------------------------------------------------------------------------------


def excess(truth: np.ndarray, stated: np.ndarray) -> float:
    """Mean log loss above that of the truth, in thousandths of a nat."""
    loss = truth * np.log(truth / stated) + (1.0 - truth) * np.log((1.0 - truth) / (1.0 - stated))
    return float(loss.mean() * 1e3)


def play(wrong: np.ndarray, seed: int, rounds: int = 60) -> tuple[float, float, float]:
    """Excess log loss of (model, one ratio for each arm, this correction) over the last half of 6,000 answers.

    The model knows each arm and how the first covariate matters; in truth each arm's logit differs by `wrong`, (6, 3).
    """
    rng = np.random.default_rng(seed)
    base = logit(np.array([0.05, 0.1, 0.2, 0.05, 0.1, 0.2]))
    counts, accepts, sums, expected = np.zeros(6), np.zeros(6), np.zeros((length(3), 6)), np.zeros(6)
    losses: list[tuple[float, ...]] = []
    for turn in range(rounds):
        found = learned(counts, accepts, sums / UNIT)
        x = np.round(np.clip(rng.normal(size=(100, 2)), -3.0, 3.0) * ONE).astype(int)
        arms = rng.integers(6, size=100)
        p_model = expit(base + 0.8 * x[:, :1] / ONE)
        truth = expit(logit(p_model) + np.column_stack([np.ones(100), x / ONE]) @ wrong.T)
        stated = np.array([corrected(p, found.shifts(z, ARMS)[0]) for p, z in zip(p_model, x.tolist(), strict=True)])
        ratios = np.clip(p_model * (2.0 + accepts) / (2.0 + expected), 1e-6, 1.0 - 1e-6)
        if turn >= rounds // 2:
            losses.append((excess(truth, p_model), excess(truth, ratios), excess(truth, stated)))
        success = rng.random(100) < truth[np.arange(100), arms]
        for n, arm in enumerate(arms.tolist()):
            p, said = float(p_model[n, arm]), float(stated[n, arm])
            sums[:, arm] += taught(UNIT * int(success[n]), p, said, x[n].tolist())
        counts += np.bincount(arms, minlength=6)
        accepts += np.bincount(arms, weights=success, minlength=6)
        expected += np.bincount(arms, weights=p_model[np.arange(100), arms], minlength=6)
    model, ratio, mine = np.mean(losses, axis=0).tolist()
    return model, ratio, mine


def test_segments_that_respond_contrary_to_the_model_are_found_and_a_ratio_for_each_arm_does_not() -> None:
    # Half of the arms please those whom the second covariate is high of, the other half those of whom it is low.
    wrong = np.zeros((6, 3))
    wrong[:, 2] = (0.8, 0.8, 0.8, -0.8, -0.8, -0.8)
    for seed in (1, 2, 3):
        model, ratio, mine = play(wrong, seed)
        assert ratio > 0.8 * model
        assert mine < 0.25 * ratio


def test_where_the_model_is_right_the_correction_costs_less_than_a_thousandth_of_a_nat_or_two() -> None:
    for seed in (1, 2, 3):
        model, _, mine = play(np.zeros((6, 3)), seed)
        assert model < 1e-9
        # 18 numbers learned from 3,000 to 6,000 answers would cost 18 / (2 x 4,500) = 2 thousandths without a prior.
        assert mine < 2.0
