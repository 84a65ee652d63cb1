"""Splitting by time: models learn from the past, are calibrated later, and judged later still.

The rule everywhere: a label window of an earlier slice closes no later than the first moment of the next slice. So when
a later row's features are computed, every earlier label is already history, as it will be when the model is served.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY
from training.labels import Span

Times = NDArray[np.int64]

#: Cut-offs at most: older ones cost memory and say less about today.
MAX_CUTOFFS = 6
#: Wanted shares of train, calibration and test.
SHARES = (0.6, 0.2, 0.2)
#: Boundaries are tried at this many quantiles of the decisions' times: 20 make at most 190 pairs.
TRIED = 20


class Slice(IntEnum):
    """Which part of the split a row is in; NONE for one whose window would straddle a boundary."""

    NONE = -1
    TRAIN = 0
    CALIBRATION = 1
    TEST = 2


def choose_horizon(horizon_days: int, span: Span) -> int:
    """The horizon in microseconds: the days asked for, or with 0 the lesser of 30 days and a fifth of the history.

    A fifth leaves room for four cut-offs with a full look-back before the first: two to learn from, one to calibrate
    and one to judge.
    """
    return horizon_days * DAY if horizon_days else min(30 * DAY, (span.last - span.first) // 5)


def choose_cutoffs(span: Span, horizon: int) -> tuple[int, ...]:
    """Moments a horizon apart, ascending, the last one horizon before the end, none less than one after the start.

    >>> choose_cutoffs(Span(0, 100), 20)
    (20, 40, 60, 80)
    """
    if horizon <= 0:
        return ()
    room = (span.last - span.first) // horizon - 1
    return tuple(span.last - n * horizon for n in range(min(room, MAX_CUTOFFS), 0, -1))


def slice_cutoffs(as_of: Times, cutoffs: tuple[int, ...]) -> NDArray[np.int64]:
    """The `Slice` of each row: the last cut-off is the test, the one before calibration, all earlier ones train."""
    later = np.searchsorted(np.asarray(cutoffs), as_of) - (len(cutoffs) - 3)
    return np.clip(later, Slice.TRAIN, Slice.TEST).astype(np.int64)


def slice_decisions(decided_at: Times, closes_at: Times) -> NDArray[np.int64]:
    """The `Slice` of each decision: by two boundaries in time, rows whose window straddles the next one left out.

    Of the boundaries at 20 quantiles the pair is taken with the highest sum of share x log(rows), which for rows
    without windows is exactly at the wanted shares of 60, 20 and 20 %; of equals the earliest. Decisions made in waves
    with long windows so still find a split where fixed boundaries would lose a whole slice.
    """
    if not len(decided_at):
        return np.empty(0, dtype=np.int64)
    tried = np.unique(np.quantile(decided_at, np.linspace(0.0, 1.0, TRIED + 1)[1:], method="higher"))
    best, score = (int(tried[0]), int(tried[-1])), -np.inf
    for n, first in enumerate(tried):
        for second in tried[n + 1 :]:
            sizes = np.bincount(_slices(decided_at, closes_at, first, second) + 1, minlength=4)[1:]
            kept = float(np.dot(SHARES, np.log(np.maximum(sizes, 1e-9))))
            if kept > score:
                best, score = (int(first), int(second)), kept
    return _slices(decided_at, closes_at, *best)


def _slices(decided_at: Times, closes_at: Times, first: int, second: int) -> NDArray[np.int64]:
    found = np.full(len(decided_at), int(Slice.NONE), dtype=np.int64)
    found[(decided_at < first) & (closes_at <= first)] = Slice.TRAIN
    found[(decided_at >= first) & (decided_at < second) & (closes_at <= second)] = Slice.CALIBRATION
    found[decided_at >= second] = Slice.TEST
    return found
