"""Sums add exactly however they are split, and forgetting is a weight when they are read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.statistics import Statistics, add, rounded

keys = st.tuples(st.sampled_from(["a@web", "b@web", "b@email"]), st.integers(0, 400))
sums = st.tuples(st.integers(0, 5), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
rows = st.lists(st.tuples(keys, sums), max_size=30)
half_lives = st.sampled_from([0.0, 0.5, 7.0, 365.0])


def learned(rows: list) -> Statistics:
    found = Statistics()
    for key, one in rows:
        found += Statistics({key: one})
    return found


@given(rows, st.randoms(use_true_random=False), st.integers(0, 30), half_lives)
def test_partitions_learned_apart_in_any_order_add_up_to_one_pass(
    rows: list, rng, cut: int, forgetting_days: float
) -> None:
    mixed = rng.sample(rows, len(rows))
    merged = learned(mixed[:cut]) + learned(mixed[cut:])
    assert merged == learned(rows)
    assert merged.weighed(400, forgetting_days) == learned(rows).weighed(400, forgetting_days)


@given(rows, keys, sums)
def test_what_is_taken_back_leaves_no_trace_in_what_is_read(rows: list, key: tuple, one: tuple) -> None:
    before = learned(rows)
    assert before + Statistics({key: one}) + Statistics({key: (-one[0], -one[1], -one[2])}) == before


def test_a_half_life_halves_a_quarter_after_two_and_never_is_never() -> None:
    found = Statistics({("a@web", 100): (8, 800), ("a@web", 110): (4, 400), ("b@web", 90): (2, 8)})
    assert found.weighed(110, 10.0) == {"a@web": (8, 800), "b@web": (1, 2)}  # 2 x 1/4 is half, which goes up
    assert found.weighed(110, 0.0) == {"a@web": (12, 1200), "b@web": (2, 8)}


def test_days_to_come_weigh_no_more_than_today() -> None:
    assert Statistics({("a@web", 12): (3, 3)}).weighed(10, 1.0) == {"a@web": (3, 3)}


def test_centuries_ago_weighs_nothing_and_breaks_nothing() -> None:
    assert Statistics({("a@web", 0): (10**6, 10**12)}).weighed(200_000, 0.5) == {}


@given(rows, rows, half_lives)
def test_what_is_weighed_day_by_day_adds_up_too(rows: list, more: list, forgetting_days: float) -> None:
    one, other = learned(rows).raw(400, forgetting_days), learned(more).raw(400, forgetting_days)
    both = one | {arm: add(one.get(arm, ()), sums) for arm, sums in other.items()}
    assert rounded(both) == learned(rows + more).weighed(400, forgetting_days)


def test_sums_of_different_lengths_add() -> None:
    assert add((1, 2, 3), (1,)) == add((1,), (1, 2, 3)) == (2, 2, 3)
