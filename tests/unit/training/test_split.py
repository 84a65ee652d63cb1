from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.clock import DAY
from training.labels import Span
from training.split import Slice, choose_cutoffs, choose_horizon, slice_cutoffs, slice_decisions

TIMES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40)), min_size=1, max_size=120)


@given(TIMES)
def test_no_label_window_of_an_earlier_slice_reaches_into_a_later_one(decisions: list[tuple[int, int]]) -> None:
    decided = np.array([at for at, _ in decisions], dtype=np.int64)
    closes = decided + np.array([lasts for _, lasts in decisions], dtype=np.int64)
    slices = slice_decisions(decided, closes)
    for earlier, later in (
        (Slice.TRAIN, Slice.CALIBRATION),
        (Slice.TRAIN, Slice.TEST),
        (Slice.CALIBRATION, Slice.TEST),
    ):
        before, after = slices == earlier, slices == later
        if before.any() and after.any():
            assert closes[before].max() <= decided[after].min()


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_label_windows_of_cut_offs_meet_but_never_overlap(length: int, horizon: int) -> None:
    cutoffs = choose_cutoffs(Span(7, 7 + length), horizon)
    assert all(later - earlier == horizon for earlier, later in pairwise(cutoffs))
    if cutoffs:
        assert cutoffs[0] - horizon >= 7, "the look-back before the first cut-off lies in the history"
        assert cutoffs[-1] + horizon <= 7 + length, "the last label window is over"


def test_decisions_made_in_waves_are_split_between_waves() -> None:
    # Waves and windows of a rewards programme: hours 0, 168, 336, 408, 504 and 576, each window 72 hours.
    decided = np.repeat(np.array([0, 168, 336, 408, 504, 576]), 100)
    slices = slice_decisions(decided, decided + 72)
    assert [int(slices[decided == wave][0]) for wave in (0, 168, 336, 408, 504, 576)] == [0, 0, 0, 0, 1, 2]


def test_rows_whose_window_straddles_a_boundary_are_left_out() -> None:
    decided = np.arange(300)
    slices = slice_decisions(decided, decided + 20)
    assert 20 <= int((slices == Slice.NONE).sum()) <= 50
    assert all((slices == wanted).sum() > 40 for wanted in (Slice.TRAIN, Slice.CALIBRATION, Slice.TEST))


def test_the_last_cut_off_judges_the_one_before_calibrates_and_all_others_teach() -> None:
    cutoffs = (20, 40, 60, 80)
    assert slice_cutoffs(np.array([20, 40, 60, 80, 80]), cutoffs).tolist() == [0, 0, 1, 2, 2]


def test_the_horizon_is_thirty_days_or_a_fifth_of_a_shorter_history() -> None:
    assert choose_horizon(0, Span(0, 1000 * DAY)) == 30 * DAY
    assert choose_horizon(0, Span(0, 50 * DAY)) == 10 * DAY
    assert choose_horizon(7, Span(0, 50 * DAY)) == 7 * DAY


def test_an_empty_or_single_moment_history_has_nothing_to_split() -> None:
    assert choose_cutoffs(Span(5, 5), choose_horizon(0, Span(5, 5))) == ()
    assert slice_decisions(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)).size == 0
    assert slice_decisions(np.array([5]), np.array([6])).tolist() == [Slice.TEST]
