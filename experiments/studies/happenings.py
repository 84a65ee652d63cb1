"""What customers did between two moments, for many rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.ope.feedback import Floats, Integers

#: The earliest moment there is, as a start of "ever before".
EVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class Happenings:
    """Events of one type, sorted by customer and time, with running totals from which any window is two look-ups."""

    _moments: Integers
    _keys: Integers
    _totals: Floats

    @classmethod
    def of(cls, customer: Integers, occurred_at: Integers, value: Floats) -> Happenings:
        """(m,) code of the customer from 0, microseconds, and value, NaN where missing, which counts as 0."""
        moments = np.unique(occurred_at)
        keys = customer * (len(moments) + 1) + np.searchsorted(moments, occurred_at)
        order = np.argsort(keys, kind="stable")
        return cls(moments, keys[order], np.concatenate([[0.0], np.cumsum(np.nan_to_num(value)[order])]))

    def between(self, customer: Integers, start: Integers | int, end: Integers) -> tuple[Integers, Floats]:
        """(n,) how many there were in [start, end), and the sum of their values, rounded to a millionth."""
        first, last = (self._place(customer, np.broadcast_to(moment, customer.shape)) for moment in (start, end))
        return last - first, np.round(self._totals[last] - self._totals[first], 6)

    def _place(self, customer: Integers, moment: Integers) -> Integers:
        rank = np.searchsorted(self._moments, moment)
        return np.searchsorted(self._keys, customer * (len(self._moments) + 1) + rank)
