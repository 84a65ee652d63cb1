"""Logged feedback: what was known, which arm was drawn with which probability, and what it earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.ope import refusals

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def _nothing_known() -> Floats:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class LoggedFeedback:
    """n decided places and k arms, in columns. One that breaks a rule of its columns cannot be built.

    Raises InvalidInput with a code of its own for each fault (`experiments.ope.refusals`), naming the rows at fault.
    """

    #: (k,) names of the arms.
    arms: tuple[str, ...]
    #: (n,) the arm drawn, as its place in `arms`.
    arm: Integers
    #: (n,) probability with which it was drawn, in (0, 1].
    action_probability: Floats
    #: (n,) what it earned, finite, in any unit.
    reward: Floats
    #: (n, d) what was known when it was drawn, NaN where missing; d may be 0.
    context: Floats = field(default_factory=_nothing_known)
    context_names: tuple[str, ...] = ()
    #: (n,) code of the customer: rows of one customer are not independent. None: every row is a customer of its own.
    unit: Integers | None = None
    #: (n,) name of the decision, any values that compare; each (decision, place) once.
    decision_id: NDArray[Any] | None = None
    #: (n,) when it was decided, microseconds since 1970 UTC.
    decided_at: Integers | None = None
    #: (n,) place in a slate, from 1; None: one place each.
    place: Integers | None = None
    #: (n, k) arms that had survived every filter; None: all of them.
    allowed: NDArray[np.bool_] | None = None
    #: (n, k) the whole distribution the arm was drawn from; None where only the drawn arm's is known.
    logging_probability: Floats | None = None

    def __post_init__(self) -> None:
        if not self.context.size and len(self.context) != len(self.arm):
            object.__setattr__(self, "context", np.empty((len(self.arm), 0)))
        refusals.check(self)

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def playable(self) -> NDArray[np.bool_] | None:
        """(n, k) arms the log could have played, None where it could play all or that is not known."""
        if self.logging_probability is not None:
            return self.logging_probability > 0.0
        return self.allowed

    def take(self, rows: NDArray[Any]) -> LoggedFeedback:
        """The same log with these rows only: (m,) row numbers, or an (n,) mask."""
        names = [f.name for f in fields(self) if f.name not in ("arms", "context_names")]
        columns = {name: getattr(self, name) for name in names}
        return replace(self, **{name: column[rows] for name, column in columns.items() if column is not None})

    def with_reward(self, reward: Floats) -> LoggedFeedback:
        """The same decisions judged by another (n,) reward."""
        return replace(self, reward=reward)


def codes(values: Sequence[Any] | NDArray[Any]) -> Integers:
    """(n,) whole numbers, the same for equal values: units out of customer ids.

    >>> codes(["b", "a", "b"])
    array([1, 0, 1])
    """
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)
