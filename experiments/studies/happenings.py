"""What customers did between two moments, for many rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.ope.feedback import Floats, Integers

#: The earliest moment there is, as a start of "ever before".
EVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class Happenings:
    """Events of one type, sorted by customer and time, with running totals from which any window is two look-ups."""

    _moments: Integers
    _keys: Integers
    _counts: Integers
    _totals: Floats

    @classmethod
    def of(
        cls, customer: Integers, occurred_at: Integers, value: Floats, counted: NDArray[np.bool_] | None = None
    ) -> Happenings:
        """(m,) code of the customer from 0, microseconds, and value, NaN where missing, which counts as 0.

        Those not `counted` add their value and are none themselves, as a purchase paid back; by default all are.
        """
        moments = np.unique(occurred_at)
        keys = customer * (len(moments) + 1) + np.searchsorted(moments, occurred_at)
        order = np.argsort(keys, kind="stable")
        each = np.ones(len(keys), dtype=np.int64) if counted is None else counted.astype(np.int64)
        counts = np.concatenate([[0], np.cumsum(each[order])])
        return cls(moments, keys[order], counts, np.concatenate([[0.0], np.cumsum(np.nan_to_num(value)[order])]))

    def between(self, customer: Integers, start: Integers | int, end: Integers) -> tuple[Integers, Floats]:
        """(n,) how many there were in [start, end), and the sum of their values, rounded to a millionth."""
        first, last = (self._place(customer, np.broadcast_to(moment, customer.shape)) for moment in (start, end))
        return self._counts[last] - self._counts[first], np.round(self._totals[last] - self._totals[first], 6)

    def _place(self, customer: Integers, moment: Integers) -> Integers:
        rank = np.searchsorted(self._moments, moment)
        return np.searchsorted(self._keys, customer * (len(self._moments) + 1) + rank)
