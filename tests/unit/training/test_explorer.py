"""The explorer keeps its limits whatever the policy wants: share, ramp of new arms, floor, in this order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from features.settings import Settings
from training.bandit import ArmStatistics, PolicySnapshot
from training.explorer import Explorer, capped, floored, make_explorer, policies
from training.policies import EpsilonGreedy, Uniform
from training.residual import PRIOR_SCALES
from training.thompson import Thompson

VALUES = np.array([0.0, 1.0, 2.0, 3.0])
SURE = np.zeros(4)
GREEDY = EpsilonGreedy(0.0)
arms = st.lists(st.tuples(st.floats(-50, 50), st.floats(0, 20), st.floats(0, 1)), min_size=1, max_size=12)


@example([(0.0, 0.0, 1.0), (40.0, 1.0, 0.2), (2.0, 1.0, 1.0)], "thompson", 0.0, 1.0)
@trials(derandomize=True, deadline=None, max_examples=300)
@given(arms, st.sampled_from(sorted(policies(Settings()))), st.floats(0, 1), st.floats(0, 1))
def test_every_limit_holds_for_every_policy(
    rows: list[tuple[float, float, float]], name: str, floor: float, share: float
) -> None:
    values, deviations, caps = (np.array(column) for column in zip(*rows, strict=True))
    caps[0] = 1.0  # doing nothing
    settings = replace(Settings(), policy=name, probability_floor=floor, exploration_share=share)
    shares = make_explorer(settings).probabilities(values, deviations, caps)
    floor = min(floor, 1.0 / len(values))
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= floor - (1e-15 if floor * len(values) > 1 - 1e-9 else 0.0)
    assert (shares <= np.maximum(caps, floor) + 1e-12).all()


def test_without_limits_the_policy_has_its_way() -> None:
    for policy in policies(Settings()).values():
        deviations = np.array([0.0, 1.0, 1.0, 1.0])
        assert (
            Explorer(policy).probabilities(VALUES, deviations).tolist()
            == policy.probabilities(VALUES, deviations).tolist()
        )


def test_only_a_share_of_decisions_may_explore() -> None:
    shares = Explorer(Uniform(), exploration_share=0.2).probabilities(VALUES, SURE)
    assert shares.round(12).tolist() == [0.05, 0.05, 0.05, 0.85]


def test_the_floor_is_held_exactly_and_paid_for_in_proportion() -> None:
    shares = Explorer(GREEDY, probability_floor=0.01).probabilities(VALUES, SURE)
    assert shares.tolist() == [0.01, 0.01, 0.01, 0.97]
    # 0.3 pays too; neither falls below the floor in turn.
    assert floored(np.array([0.0, 0.3, 0.7]), 0.1) == pytest.approx([0.1, 0.27, 0.63])
    assert floored(np.array([0.0, 0.105, 0.895]), 0.1) == pytest.approx([0.1, 0.1, 0.8])


def test_a_floor_above_the_even_share_is_the_even_share() -> None:
    assert Explorer(GREEDY, probability_floor=0.5).probabilities(VALUES, SURE).tolist() == [0.25] * 4


def test_enough_for_everyone_is_left_as_it_is() -> None:
    shares = np.array([0.1, 0.2, 0.7])
    assert floored(shares, 0.1) is shares


def test_a_new_arm_grows_in_line_with_what_was_learned() -> None:
    explorer = Explorer(GREEDY, new_arm_ramp=200, new_arm_share=0.1)
    grown = [
        explorer.probabilities(VALUES, SURE, explorer.caps(np.array([0, 900, 900, n]), 0))[3]
        for n in (0, 100, 200, 500)
    ]
    assert grown == pytest.approx([0.1, 0.55, 1.0, 1.0])


def test_what_is_cut_off_goes_to_the_others_in_proportion() -> None:
    shares = np.array([0.1, 0.2, 0.1, 0.6])
    assert capped(shares, np.array([1.0, 1.0, 1.0, 0.2]), VALUES) == pytest.approx([0.2, 0.4, 0.2, 0.2])
    # The second would grow to 0.4 and may hold 0.3: the rest is for the first and third.
    assert capped(shares, np.array([1.0, 0.3, 1.0, 0.2]), VALUES) == pytest.approx([0.25, 0.3, 0.25, 0.2])


def test_where_the_others_hold_nothing_the_best_of_them_takes_it() -> None:
    shares = np.array([0.0, 0.0, 0.0, 1.0])
    assert capped(shares, np.array([1.0, 1.0, 0.3, 0.2]), VALUES) == pytest.approx([0.0, 0.5, 0.3, 0.2])
    shares = np.array([3e-310, 1e-310, 2e-320, 1.0])
    assert capped(shares, np.array([1.0, 1.0, 0.3, 0.2]), VALUES) == pytest.approx([0.0, 0.5, 0.3, 0.2])


def test_caps_without_room_rise_alike() -> None:
    assert capped(np.array([0.5, 0.5]), np.array([0.1, 0.3]), np.zeros(2)) == pytest.approx([0.25, 0.75])
    assert capped(np.array([0.5, 0.5]), np.zeros(2), np.zeros(2)).tolist() == [0.5, 0.5]


def test_doing_nothing_is_never_capped() -> None:
    explorer = Explorer(Thompson(), new_arm_ramp=50, new_arm_share=0.01)
    shares = explorer.probabilities(VALUES, np.array([0.0, 1, 1, 1]), explorer.caps(np.zeros(4), 0))
    assert shares == pytest.approx([0.97, 0.01, 0.01, 0.01])


def test_no_ramp_means_no_caps() -> None:
    assert Explorer(GREEDY).caps(np.zeros(4)) is None


def test_the_name_says_every_limit_that_changes_the_distribution() -> None:
    assert Explorer(EpsilonGreedy(0.1)).name == "epsilon-greedy-0.1"
    assert Explorer(Thompson(), 0.01, 0.5, 200, 0.05).name == "thompson,share-0.5,ramp-200-0.05,floor-0.01"


def test_what_was_learned_narrows_the_deviation() -> None:
    known = PolicySnapshot(1, None, {"a@web": ArmStatistics(500, 7_000_000, 7_000_000, (0, 0, 100_000_000))})
    apart = np.array([0, 1])
    _, variance = known.correction(("a@web", "b@web"), (apart, apart), 1).shifts((), apart)
    # All of the prior, and what 100 units of information leave of it.
    prior = sum(constant**2 for constant, _ in PRIOR_SCALES)
    assert variance[0] == pytest.approx(1.0 / (100.0 + 1.0 / prior), rel=1e-6)
    assert prior - 0.5**2 < variance[1] < prior
    assert (known.count("a@web"), known.count("b@web")) == (500, 0)
