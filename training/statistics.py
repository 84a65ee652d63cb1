"""What was learned on one bundle's predictions, as whole numbers that add: in any order, split any way, exactly.

Sums are kept for each arm and day of decision. Forgetting does not touch them: it is the weight a day has when they
are read, 2^-(age / half-life), so what was learned late from an old day weighs as if it had been learned in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from features.clock import DAY
from features.ledger import LearnableItem
from features.rewards import UNIT
from training.residual import Sums, taught

K = TypeVar("K")
#: Weights are whole, in units of 2^-32: the weighed sums too are exact in any order.
_SHIFT = 32


def day_of(moment: int) -> int:
    """Days since 1970, UTC."""
    return moment // DAY


def contribution(item: LearnableItem, success: int | None) -> Sums | None:
    """What an item adds to the sums of its arm and day: once, success and predicted acceptance, both in millionths, and
    then what its correction is learned from, see `residual.taught`.

    None for an item that is not learned from.
    """
    if success is None or item.p_model is None or item.p_accept is None:
        return None
    return 1, success, round(item.p_model * UNIT), *taught(success, item.p_model, item.p_accept, item.covariates)


def add(one: Sums, other: Sums) -> Sums:
    """The sum, place by place; the shorter counts as zero where it ends.

    >>> add((1, 2), (10, 20, 30))
    (11, 22, 30)
    """
    if len(one) == len(other):
        return tuple([a + b for a, b in zip(one, other, strict=True)])
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


def negative(sums: Sums) -> Sums:
    """What takes it back."""
    return tuple([-a for a in sums])


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
        weights = {then: _weight(day - then, forgetting_days) for _, then in self.sums}
        found: dict[str, Sums] = {}
        _added(found, ((arm, tuple([weights[then] * a for a in one])) for (arm, then), one in self.sums.items()))
        half = 1 << (_SHIFT - 1)
        return {arm: tuple([(a + half) >> _SHIFT for a in found[arm]]) for arm in sorted(found)}


def _weight(age: int, forgetting_days: float) -> int:
    return round(2.0 ** (_SHIFT - max(age, 0) / forgetting_days)) if forgetting_days else 1 << _SHIFT


def _added(into: dict[K, Sums], more: Iterable[tuple[K, Sums]]) -> dict[K, Sums]:
    """`into`, with these added."""
    for key, sums in more:
        known = into.get(key)
        into[key] = sums if known is None else add(known, sums)
    return into
