"""What is drawn is drawn with the probability that is stated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.exploration import draw_slate, pick
from training.bandit import EpsilonGreedy

VALUES = np.array([1.0, 3.0, 0.5, -1.0, 0.0])
ACTIONS = np.array([0, 1, 1, 2, 3])
NOTHING = 4


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0.01, 1.0))
def test_probabilities_sum_to_one_and_keep_the_floor(values: list[float], epsilon: float) -> None:
    shares = EpsilonGreedy(epsilon).probabilities(np.array(values))
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= epsilon / len(values) - 1e-15


def test_arms_are_drawn_as_often_as_stated() -> None:
    rounds = 40_000
    seen = np.zeros(5)
    for i in range(rounds):
        draws, stated = draw_slate(EpsilonGreedy(0.4), VALUES, ACTIONS, NOTHING, 1, ("key", i))
        seen[draws[0].index] += 1
        assert draws[0].probability == stated[draws[0].index]
    z = (seen - rounds * stated) / np.sqrt(rounds * stated * (1 - stated))
    assert np.abs(z).max() < 4.5


def test_a_slate_never_repeats_an_action_and_stops_at_doing_nothing() -> None:
    lengths = set()
    for i in range(300):
        draws, _ = draw_slate(EpsilonGreedy(0.9), VALUES, ACTIONS, NOTHING, 4, ("s", i))
        actions = [int(ACTIONS[d.index]) for d in draws]
        lengths.add(len(actions))
        assert len(actions) == len(set(actions))
        if 3 in actions:
            assert actions == [3]
    assert lengths == {1, 2, 3}


def test_each_place_states_its_probability_given_the_places_before() -> None:
    seen = 0
    for i in range(60):
        draws, _ = draw_slate(EpsilonGreedy(0.5), VALUES, ACTIONS, NOTHING, 2, ("p", i))
        if len(draws) == 2:
            left = [k for k in range(5) if ACTIONS[k] != ACTIONS[draws[0].index]]
            again = EpsilonGreedy(0.5).probabilities(VALUES[left])
            assert draws[1].probability == again[left.index(draws[1].index)]
            seen += 1
    assert seen > 20


def test_a_draw_lost_to_rounding_goes_to_the_last_arm_that_can_be_drawn() -> None:
    assert pick(np.array([0.5, 0.5 - 1e-16, 0.0]), 1.0 - 1e-17) == 1
    assert pick(np.array([0.0, 1.0]), 0.0) == 1
