"""Every policy passes the same checks: one that is named in `training.explorer.policies` joins by existing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from features.errors import InvalidInput
from features.settings import Settings
from serving.assignment import uniform
from serving.exploration import pick
from training.explorer import Explorer, make_explorer, policies
from training.policies import EpsilonGreedy, Policy, Softmax, SquareCB, Uniform
from training.thompson import Thompson

DRAWS = 100_000
RNG = np.random.default_rng(7)
WORTH = RNG.gamma(1.0, 1.0, 79)

#: name -> (values, deviations), as a decision may bring them. The first of "shop" is DO_NOTHING: 0, for certain.
CASES: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "shop": (np.array([0.0, 1.2, 0.9, 0.3, -0.2]), np.array([0.0, 0.8, 0.1, 0.2, 0.1])),
    "one arm": (np.array([-3.0]), np.array([0.5])),
    "known ties": (np.array([1.0, 2.0, 2.0, 0.5]), np.zeros(4)),
    "nothing but zeros": (np.zeros(6), np.zeros(6)),
    "equal": (np.full(7, 2.5), np.full(7, 0.4)),
    "tied for certain above the rest": (np.array([1.0, 1.0, -5.0, 0.9]), np.array([0.0, 0.0, 0.1, 0.2])),
    "all negative": (np.array([-1.0, -2.0, -40.0]), np.array([0.5, 0.5, 10.0])),
    "huge": (np.array([1.0, 2.0, 1.5]) * 1e150, np.array([1.0, 0.5, 0.0]) * 1e150),
    "tiny": (np.array([1.0, 2.0, 1.5]) * 1e-150, np.array([1.0, 0.5, 0.0]) * 1e-150),
    "far apart": (np.array([0.0, 1e-9, 1.0, 1e9]), np.array([0.0, 1e-9, 1.0, 1e3])),
    "80 arms": (np.concatenate([[0.0], WORTH]), np.concatenate([[0.0], 0.5 * WORTH])),
    "100 arms alike": (np.ones(100), np.ones(100)),
}


def subjects() -> Iterator[tuple[str, Policy]]:
    """Every policy as shipped, at the ends of its settings, and within an explorer's limits."""
    gentle = replace(Settings(), epsilon=1.0, temperature=1e3, gamma=0.0)
    greedy = replace(Settings(), epsilon=0.0, temperature=1e-3, gamma=1e9)
    for kind, settings in (("shipped", Settings()), ("gentle", gentle), ("greedy", greedy)):
        for name, policy in policies(settings).items():
            yield f"{name} {kind}", policy
    for name, policy in policies(Settings()).items():
        yield f"{name} explorer", Explorer(policy, probability_floor=0.002, exploration_share=0.7)


def checks() -> Iterator[Callable[[Policy, np.ndarray, np.ndarray], None]]:
    """What holds for every policy on every case."""
    yield sums_to_one_and_is_never_negative
    yield one_arm_gets_all
    yield the_order_of_arms_does_not_matter
    yield equal_arms_share_alike
    yield a_better_value_never_has_less
    yield another_currency_changes_nothing
    yield customers_together_get_what_each_gets_alone
    yield what_is_no_number_is_refused
    yield arms_are_drawn_as_often_as_stated
    yield arguments_are_left_as_they_are


def sums_to_one_and_is_never_negative(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    shares = policy.probabilities(values, deviations)
    assert shares.shape == values.shape
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= 0.0


def one_arm_gets_all(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    assert policy.probabilities(values[:1], deviations[:1]).tolist() == [1.0]


def the_order_of_arms_does_not_matter(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    shares = policy.probabilities(values, deviations)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(values))
        again = policy.probabilities(values[order], deviations[order])
        assert np.abs(again - shares[order]).max() <= 1e-12


def equal_arms_share_alike(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    shares = policy.probabilities(np.tile(values, 2), np.tile(deviations, 2))
    assert np.abs(shares[: len(values)] - shares[len(values) :]).max() <= 1e-12


def a_better_value_never_has_less(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    order = np.argsort(values)
    for deviation in (0.0, float(deviations.max())):
        shares = policy.probabilities(values, np.full(len(values), deviation))[order]
        assert (np.diff(shares) >= -1e-12).all()


def another_currency_changes_nothing(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    shares = policy.probabilities(values, deviations)
    for rate in (1e-3, 7.45, 160.0):
        assert np.abs(policy.probabilities(values * rate, deviations * rate) - shares).max() <= 1e-8


def customers_together_get_what_each_gets_alone(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    """To the last bit: a replay looks at one decision of a batch."""
    parts = [slice(None), slice(None, None, -1), slice(0, 1), slice(None, None, 2), slice(len(values) // 2, None)] * 9
    columns = [values[part] for part in parts], [deviations[part] for part in parts]
    alone = [policy.probabilities(*one) for one in zip(*columns, strict=True)]
    together = policy.probabilities_of_each(*columns)
    assert [one.tobytes() for one in together] == [one.tobytes() for one in alone]


def what_is_no_number_is_refused(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    for column in (0, 1):
        for wrong in (np.nan, np.inf, -np.inf):
            arguments = [values.copy(), deviations.copy()]
            arguments[column][-1] = wrong
            with pytest.raises(InvalidInput, match="finite"):
                policy.probabilities(*arguments)
    with pytest.raises(InvalidInput, match="at least 0"):
        policy.probabilities(values, deviations - 1e300)
    with pytest.raises(InvalidInput, match="at least one"):
        policy.probabilities(values[:0], deviations[:0])
    with pytest.raises(InvalidInput, match="one deviation for each"):
        policy.probabilities(values, np.zeros(len(values) + 1))
    with pytest.raises(InvalidInput, match="one deviation for each"):
        policy.probabilities_of_each([values, values], [np.zeros(len(values) - 1), np.zeros(len(values) + 1)])


def arms_are_drawn_as_often_as_stated(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    shares = policy.probabilities(values, deviations)
    drawn = np.searchsorted(np.cumsum(shares), POINTS, side="right")  # what `pick` does, for all at once
    assert [pick(shares, point) for point in POINTS[:50]] == np.minimum(drawn[:50], len(shares) - 1).tolist()
    seen = np.bincount(np.minimum(drawn, len(shares) - 1), minlength=len(shares))
    # The normal approximation needs about ten expected draws; what is rarer is counted together.
    rare = DRAWS * shares < 10
    if rare.any():
        seen, shares = np.append(seen[~rare], seen[rare].sum()), np.append(shares[~rare], shares[rare].sum())
    often = (DRAWS * shares >= 10) & (shares < 1.0)
    z = (seen - DRAWS * shares)[often] / np.sqrt(DRAWS * shares * (1 - shares))[often]
    assert np.abs(z).max(initial=0.0) < 4.5


def arguments_are_left_as_they_are(policy: Policy, values: np.ndarray, deviations: np.ndarray) -> None:
    before = values.copy(), deviations.copy()
    policy.probabilities(values, deviations)
    assert (values == before[0]).all()
    assert (deviations == before[1]).all()


#: Points of [0, 1) that are a function of their key alone: as deterministic as a decision's draw.
POINTS = np.array([uniform("policy", number) for number in range(DRAWS)])


@pytest.mark.parametrize("check", list(checks()), ids=lambda check: check.__name__)
@pytest.mark.parametrize("policy", [pytest.param(policy, id=name) for name, policy in subjects()])
def test_conformance(policy: Policy, check: Callable[[Policy, np.ndarray, np.ndarray], None]) -> None:
    for name, (values, deviations) in CASES.items():
        with naming(name):
            check(policy, values, deviations)


@contextmanager
def naming(case: str) -> Iterator[None]:
    """Notes the case on an error that leaves it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"case: {case}")
        raise


def test_the_names_tell_every_policy_and_setting_apart() -> None:
    names = [policy.name for _, policy in subjects()]
    assert len(set(names)) == len(names) - 4  # uniform and Thompson have no number to set


def test_uniform_gives_every_arm_the_same() -> None:
    assert Uniform().probabilities(np.array([5.0, 1.0]), np.zeros(2)).tolist() == [0.5, 0.5]


def test_epsilon_greedy_shares_a_tie_among_the_best() -> None:
    shares = EpsilonGreedy(0.3).probabilities(np.array([1.0, 2.0, 2.0]), np.zeros(3))
    assert shares.round(12).tolist() == [0.1, 0.45, 0.45]


def test_softmax_halves_as_often_as_its_temperature_says() -> None:
    shares = Softmax(0.1 / np.log(2.0)).probabilities(np.array([1.0, 0.9, 0.8]), np.zeros(3))
    assert (shares / shares[0]).round(12).tolist() == [1.0, 0.5, 0.25]


def test_squarecb_is_inverse_gap_weighting() -> None:
    shares = SquareCB(100.0).probabilities(np.array([4.0, 3.0, 0.0, -4.0]), np.zeros(4))
    assert shares[1:].tolist() == [1 / (4 + 25), 1 / (4 + 100), 1 / (4 + 200)]
    assert shares[0] == 1.0 - shares[1:].sum()


def test_thompson_on_two_arms_is_the_known_formula() -> None:
    for mean, one, two in ((0.3, 1.0, 2.0), (4.0, 1e-6, 1.0), (1e-9, 1e-9, 2e-9), (30.0, 1.0, 1.0), (2.0, 1e-3, 1e3)):
        shares = Thompson().probabilities(np.array([mean, 0.0]), np.array([one, two]))
        assert shares[0] == pytest.approx(ndtr(mean / np.hypot(one, two)), abs=1e-7)


def test_thompson_takes_a_value_known_for_certain_as_a_threshold() -> None:
    shares = Thompson().probabilities(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, 1.0]))
    assert shares[0] == pytest.approx(ndtr(-0.5) * ndtr(1.0), abs=1e-7)
    assert Thompson().probabilities(np.array([9.0, 1.0]), np.array([0.0, 0.1])).tolist() == [1.0, 0.0]


def brute_force(values: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """The same integral with 16 nodes in every interval between the half deviations of all arms: slow and sure."""
    unknown = deviations > 0
    floor = values[~unknown].max() if (~unknown).any() else -np.inf
    mean, deviation = values[unknown][:, None], deviations[unknown][:, None]
    cuts = np.unique(np.append((mean + deviation * np.linspace(-9, 9, 37)).ravel(), max(floor, values.min() - 1e-300)))
    cuts = cuts[cuts >= floor]
    nodes, weights = np.polynomial.legendre.leggauss(16)
    shares = np.zeros(len(values))
    for start in range(0, len(cuts) - 1, 400):
        low, high = cuts[start : start + 401][:-1, None], cuts[start : start + 401][1:, None]
        z = (((low + high) / 2 + (high - low) / 2 * nodes).ravel() - mean) / deviation
        below = np.maximum(ndtr(z), 1e-300)
        others = np.exp(np.log(below).sum(axis=0) - np.log(below))
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / deviation
        shares[unknown] += (density * others * ((high - low) / 2 * weights).ravel()).sum(axis=1)
    tied = ~unknown & (values == floor)
    shares[tied] = ndtr((floor - mean) / deviation).prod() / max(1, tied.sum())
    return shares


@pytest.mark.parametrize("arms", [2, 3, 10, 30, 100])
@pytest.mark.parametrize("decades", [0, 1, 3, 6, 9])
def test_thompson_agrees_with_brute_force(arms: int, decades: int) -> None:
    rng = np.random.default_rng(100 * arms + decades)
    for known in (0, 1, 2):
        deviations = 10.0 ** rng.uniform(-decades, 0, arms)
        values = rng.normal(size=arms) * deviations * 2
        deviations[:known], values[:known] = 0.0, 0.0
        truth = brute_force(values, deviations)
        assert truth.sum() == pytest.approx(1.0, abs=1e-9)
        assert np.abs(Thompson().probabilities(values, deviations) - truth).max() < 1e-7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 1.5),
        ("temperature", 0.0),
        ("gamma", float("nan")),
        ("probability_floor", -0.1),
        ("exploration_share", 2.0),
        ("new_arm_ramp", -1),
        ("new_arm_share", float("inf")),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=f"{name} must be between") as caught:
        make_explorer(replace(Settings(), **{name: value}))
    assert caught.value.field == name


def test_an_unknown_policy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidInput, match="unknown policy 'greedy'; one of uniform, epsilon-greedy"):
        make_explorer(replace(Settings(), policy="greedy"))


@pytest.mark.parametrize("name", policies(Settings()))
def test_every_policy_can_be_set_by_name(name: str) -> None:
    assert make_explorer(replace(Settings(), policy=name)).policy == policies(Settings())[name]
