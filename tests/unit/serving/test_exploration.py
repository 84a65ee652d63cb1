"""What is drawn is drawn with the probability that is stated, whatever the order of the arms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.domain import DO_NOTHING, Arm
from serving.exploration import distribution, draw_slate, pick
from training.bandit import EpsilonGreedy

ARMS = [Arm("a", "email"), Arm("b", "email"), Arm("b", "web"), Arm("c", "sms"), DO_NOTHING]
values = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(values, st.floats(0.01, 1.0))
def test_probabilities_sum_to_one_and_keep_the_floor(given_values: list[float], epsilon: float) -> None:
    shares = EpsilonGreedy(epsilon).probabilities(np.array(given_values))
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= epsilon / len(given_values) - 1e-15


@given(st.permutations(range(5)), st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=5, max_size=5), st.integers())
def test_the_order_of_the_arms_does_not_matter(order: list[int], worth: list[float], key: int) -> None:
    policy = EpsilonGreedy(0.3)
    straight, first = draw_slate(policy, ARMS, worth, 3, ("d", key))
    mixed, other = draw_slate(policy, [ARMS[i] for i in order], [worth[i] for i in order], 3, ("d", key))
    assert straight == mixed
    assert [first[i] for i in order] == list(other)


def test_arms_are_drawn_as_often_as_stated() -> None:
    worth = [1.0, 3.0, 0.5, -1.0, 0.0]
    stated = distribution(EpsilonGreedy(0.4), ARMS, worth)
    rounds = 40_000
    seen = np.zeros(len(ARMS))
    for i in range(rounds):
        draws, _ = draw_slate(EpsilonGreedy(0.4), ARMS, worth, 1, ("key", i))
        seen[ARMS.index(draws[0].arm)] += 1
        assert draws[0].probability == stated[ARMS.index(draws[0].arm)]
    z = (seen - rounds * stated) / np.sqrt(rounds * stated * (1 - stated))
    assert np.abs(z).max() < 4.5


def test_a_slate_never_repeats_an_action_and_stops_at_doing_nothing() -> None:
    for i in range(300):
        draws, _ = draw_slate(EpsilonGreedy(0.9), ARMS, [1.0, 2.0, 3.0, 4.0, 0.0], 4, ("s", i))
        actions = [d.arm.action for d in draws]
        assert len(actions) == len(set(actions))
        if DO_NOTHING.action in actions:
            assert actions == [DO_NOTHING.action]


def test_each_place_states_its_probability_given_the_places_before() -> None:
    worth = [4.0, 3.0, 2.0, 1.0, 0.0]
    for i in range(50):
        draws, _ = draw_slate(EpsilonGreedy(0.5), ARMS, worth, 2, ("p", i))
        if len(draws) == 2:
            left = [a for a in ARMS if a.action != draws[0].arm.action]
            again = distribution(EpsilonGreedy(0.5), left, [worth[ARMS.index(a)] for a in left])
            assert draws[1].probability == again[left.index(draws[1].arm)]


def test_a_draw_lost_to_rounding_goes_to_the_last_arm_that_can_be_drawn() -> None:
    assert pick(ARMS[:3], np.array([0.5, 0.5 - 1e-16, 0.0]), 1.0 - 1e-17) == 1
