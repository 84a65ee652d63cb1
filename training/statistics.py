"""What was learned on one bundle's predictions, as whole numbers that add: in any order, split any way, exactly.

Sums are kept for each arm and day of decision. Forgetting does not touch them: it is the weight a day has when they
are read, 2^-(age / half-life), so what was learned late from an old day weighs as if it had been learned in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple, TypeVar

import numpy as np

from features.clock import DAY
from features.ledger import LearnableItem
from features.rewards import UNIT
from training.residual import Sums, taught_all

K = TypeVar("K")
#: Weights are whole, in units of 2^-32: the weighed sums too are exact in any order.
_SHIFT = 32


def day_of(moment: int) -> int:
    """Days since 1970, UTC."""
    return moment // DAY


class Answer(NamedTuple):
    """An item and its success in millionths: to be learned, or with `sign` -1 to be taken back."""

    item: LearnableItem
    success: int
    sign: int = 1


def contributions(answers: Sequence[Answer]) -> Statistics:
    """What answers add: each to the sums of its arm and day once, success and predicted acceptance, both in millionths,
    and then what its correction is learned from, see `residual.taught`.

    An item without a prediction adds nothing.
    """
    by_width: dict[int, list[Answer]] = {}
    for one in answers:
        if one.item.p_model is not None and one.item.p_accept is not None:
            by_width.setdefault(len(one.item.covariates), []).append(one)
    found: dict[tuple[str, int], Sums] = {}
    for alike in by_width.values():
        _added(found, _summed(alike))
    return Statistics(found)


def _summed(alike: Sequence[Answer]) -> Iterable[tuple[tuple[str, int], Sums]]:
    """The same of answers with equally many covariates: a matrix of 4,000 takes a tenth of 4,000 tuples."""
    places: dict[tuple[str, int], int] = {}
    rows = [places.setdefault((a.item.arm.key, day_of(a.item.decided_at)), len(places)) for a in alike]
    told = [(a.success, a.item.p_model or 0.0, a.item.p_accept or 0.0) for a in alike]
    covariates = np.array([a.item.covariates for a in alike], dtype=np.int64)
    heads = [(1, success, round(p_model * UNIT)) for success, p_model, _ in told]
    numbers = np.hstack([np.array(heads, dtype=np.int64), taught_all(told, covariates)])
    sums = np.zeros((len(places), numbers.shape[1]), dtype=np.int64)
    np.add.at(sums, rows, numbers * np.array([[a.sign] for a in alike]))
    return zip(places, map(tuple, sums.tolist()), strict=True)


def add(one: Sums, other: Sums) -> Sums:
    """The sum, place by place; the shorter counts as zero where it ends.

    >>> add((1, 2), (10, 20, 30))
    (11, 22, 30)
    """
    if len(one) == len(other):
        return tuple([a + b for a, b in zip(one, other, strict=True)])
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


@dataclass(frozen=True, slots=True)
class Statistics:
    """(arm key, day) -> sums. Adding those of two partitions of a log gives those of the whole.

    What was all taken back is not there any more: equal statistics are equal however they came about.
    """

    sums: Mapping[tuple[str, int], Sums] = field(default_factory=dict)

    def __add__(self, other: Statistics) -> Statistics:
        found = _added(dict(self.sums), other.sums.items())
        for key in other.sums:
            if not any(found[key]):
                del found[key]
        return Statistics(found)

    def weighed(self, day: int, forgetting_days: float) -> dict[str, Sums]:
        """Arm key -> its sums as of a day; `forgetting_days` is the half-life, 0 for never. Days to come weigh 1.

        >>> Statistics({("a@web", 10): (4, 2), ("a@web", 12): (1, 1)}).weighed(12, 2.0)
        {'a@web': (3, 2)}
        """
        return rounded(self.raw(day, forgetting_days))

    def raw(self, day: int, forgetting_days: float) -> dict[str, Sums]:
        """The same in units of 2^-32. What is `raw` of a sum is the sum of those, by `add`, exactly."""
        weights = {then: _weight(day - then, forgetting_days) for _, then in self.sums}
        weighed = ((arm, tuple([weights[then] * a for a in one])) for (arm, then), one in self.sums.items())
        return _added({}, weighed)


def rounded(raw: Mapping[str, Sums]) -> dict[str, Sums]:
    """Raw sums in their own units, to the nearest; without the arms of which nothing is left."""
    half = 1 << (_SHIFT - 1)
    return {arm: tuple([(a + half) >> _SHIFT for a in raw[arm]]) for arm in sorted(raw) if any(raw[arm])}


def _weight(age: int, forgetting_days: float) -> int:
    return round(2.0 ** (_SHIFT - max(age, 0) / forgetting_days)) if forgetting_days else 1 << _SHIFT


def _added(into: dict[K, Sums], more: Iterable[tuple[K, Sums]]) -> dict[K, Sums]:
    """`into`, with these added."""
    for key, sums in more:
        known = into.get(key)
        into[key] = sums if known is None else add(known, sums)
    return into
