"""What is drawn is drawn with the probability that is stated."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from features.settings import Settings
from serving.exploration import Draw, Survivors, draw_slate, first_shares, pick
from training.explorer import Explorer, policies
from training.policies import EpsilonGreedy

NOTHING = 4
SURVIVORS = Survivors(
    values=np.array([1.0, 3.0, 0.5, -1.0, 0.0]),
    deviations=np.array([0.5, 2.0, 0.3, 0.5, 0.0]),
    exclusion=np.array([0, 1, 1, 2, 3]),
    nothing=NOTHING,
)
EXPLORERS = [
    *(Explorer(policy, probability_floor=0.02) for policy in policies(Settings()).values()),
    Explorer(EpsilonGreedy(0.4)),
    Explorer(EpsilonGreedy(0.9), exploration_share=0.5),
]


def drawn(
    explorer: Explorer, survivors: Survivors, limit: int, key: tuple[object, ...]
) -> tuple[list[Draw], np.ndarray]:
    """(draws for the places, the first place's distribution)."""
    (shares,) = first_shares(explorer, [survivors])
    return draw_slate(explorer, survivors, shares, limit, key), shares


every_explorer = pytest.mark.parametrize("explorer", EXPLORERS, ids=lambda e: e.name)


@every_explorer
def test_arms_are_drawn_as_often_as_stated(explorer: Explorer) -> None:
    rounds = 5_000
    seen = np.zeros(5)
    for i in range(rounds):
        draws, stated = drawn(explorer, SURVIVORS, 1, ("key", i))
        seen[draws[0].index] += 1
        assert draws[0].probability == stated[draws[0].index]
    z = (seen - rounds * stated) / np.sqrt(rounds * stated * (1 - stated))
    assert np.abs(z).max() < 4.5


@every_explorer
def test_the_same_key_draws_the_same_slate(explorer: Explorer) -> None:
    for i in range(20):
        one, two = (drawn(explorer, SURVIVORS, 3, ("same", i)) for _ in range(2))
        assert one[0] == two[0]
        assert one[1].tolist() == two[1].tolist()


def test_a_slate_never_repeats_an_action_and_stops_at_doing_nothing() -> None:
    lengths = set()
    for i in range(300):
        draws, _ = drawn(Explorer(EpsilonGreedy(0.9)), SURVIVORS, 4, ("s", i))
        actions = [int(SURVIVORS.exclusion[d.index]) for d in draws]
        lengths.add(len(actions))
        assert len(actions) == len(set(actions))
        if 3 in actions:
            assert actions == [3]
    assert lengths == {1, 2, 3}


@every_explorer
def test_each_place_states_its_probability_given_the_places_before(explorer: Explorer) -> None:
    seen = 0
    for i in range(60):
        draws, _ = drawn(explorer, SURVIVORS, 2, ("p", i))
        if len(draws) == 2:
            left = [k for k in range(5) if SURVIVORS.exclusion[k] != SURVIVORS.exclusion[draws[0].index]]
            again = explorer.probabilities(SURVIVORS.values[left], SURVIVORS.deviations[left])
            assert draws[1].probability == again[left.index(draws[1].index)]
            seen += 1
    assert seen > 10


def test_whole_slates_come_as_often_as_the_product_of_their_places() -> None:
    explorer, rounds = Explorer(EpsilonGreedy(0.9)), 20_000
    seen: Counter[tuple[int, ...]] = Counter()
    stated: dict[tuple[int, ...], float] = {}
    for i in range(rounds):
        draws, _ = drawn(explorer, SURVIVORS, 2, ("slate", i))
        if len(draws) == 2:
            arms = tuple(d.index for d in draws)
            seen[arms] += 1
            stated[arms] = draws[0].probability * draws[1].probability
    assert len(seen) == 10
    z = [(seen[a] - rounds * p) / np.sqrt(rounds * p * (1 - p)) for a, p in stated.items()]
    assert np.abs(z).max() < 4.5


def test_arms_of_one_exclusive_group_never_meet_in_a_slate() -> None:
    grouped = Survivors(SURVIVORS.values, SURVIVORS.deviations, np.array([7, 1, 1, 7, 3]), NOTHING)
    met = set()
    for i in range(300):
        draws, _ = drawn(Explorer(EpsilonGreedy(1.0)), grouped, 4, ("g", i))
        met.add(frozenset(d.index for d in draws))
    assert any(0 in arms for arms in met)
    assert any(3 in arms for arms in met)
    assert not any({0, 3} <= arms for arms in met)


def test_a_new_arm_is_held_back_in_every_place() -> None:
    caps = np.array([0.05, 0.05, 0.05, 1.0, 1.0])
    held = Survivors(SURVIVORS.values, SURVIVORS.deviations, SURVIVORS.exclusion, NOTHING, caps)
    for i in range(100):
        draws, first = drawn(Explorer(EpsilonGreedy(0.1)), held, 2, ("n", i))
        assert (first <= caps + 1e-15).all()
        assert all(d.probability <= caps[d.index] for d in draws)


def test_a_draw_lost_to_rounding_goes_to_the_last_arm_that_can_be_drawn() -> None:
    assert pick(np.array([0.5, 0.5 - 1e-16, 0.0]), 1.0 - 1e-17) == 1
    assert pick(np.array([0.0, 1.0]), 0.0) == 1
