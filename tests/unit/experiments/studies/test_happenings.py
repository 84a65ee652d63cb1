"""Counting what customers did in a window agrees with looking at every event."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.studies.happenings import EVER, Happenings

MOMENT = st.integers(-5, 5)
EVENT = st.tuples(st.integers(0, 3), MOMENT, st.one_of(st.none(), st.integers(-3, 3)))


@given(st.lists(EVENT, max_size=30), st.lists(st.tuples(st.integers(0, 4), MOMENT, MOMENT), min_size=1, max_size=10))
def test_a_window_holds_its_start_and_not_its_end(
    events: list[tuple[int, int, int | None]], asked: list[tuple[int, int, int]]
) -> None:
    columns = np.array([(who, when) for who, when, _ in events], dtype=np.int64).reshape(-1, 2)
    values = np.array([np.nan if value is None else value for _, _, value in events], dtype=float)
    those = Happenings.of(columns[:, 0], columns[:, 1], values)
    who, start, end = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    count, value = those.between(who, np.minimum(start, end), np.maximum(start, end))
    for place, (customer, one, other) in enumerate(asked):
        inside = [v or 0 for c, t, v in events if c == customer and min(one, other) <= t < max(one, other)]
        assert (count[place], value[place]) == (len(inside), sum(inside))


def test_ever_before_holds_everything_earlier() -> None:
    those = Happenings.of(np.array([0, 0, 1]), np.array([-(10**15), 5, 5]), np.array([2.5, 4.0, 8.0]))
    count, value = those.between(np.array([0, 1]), EVER, np.array([5, 6]))
    assert (count.tolist(), value.tolist()) == ([1, 1], [2.5, 8.0])
