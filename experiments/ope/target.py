"""Target policies: the one we would like to value, as the probability of each arm in each row of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from experiments.ope import refusals
from experiments.ope.feedback import Floats, LoggedFeedback
from features.domain import DO_NOTHING
from features.errors import InvalidInput


class Target(Protocol):
    """A target policy. `rows` is a slice of the log; m is how many rows it has."""

    @property
    def name(self) -> str: ...

    def chosen(self, log: LoggedFeedback, rows: slice, /) -> Floats:
        """(m,) π(a | x) of the arm that was drawn."""

    def average(self, log: LoggedFeedback, table: Any, rows: slice, /) -> Floats:
        """(m,) Σ_a π(a | x) table[:, a], for an (n, k) table of numbers or truth values."""

    def table(self, log: LoggedFeedback, rows: slice, /) -> Floats:
        """(m, k) π(a | x)."""

    def take(self, _rows: Any, /) -> Target:
        """The same policy on these rows only: (m,) numbers or an (n,) mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Any policy, as its (n, k) probabilities; each row sums to 1 over the arms allowed there."""

    name: str
    probability: Floats

    def chosen(self, log: LoggedFeedback, rows: slice) -> Floats:
        k, drawn = self.probability.shape[1], log.arm[rows]
        part = np.ascontiguousarray(self.probability[rows]).reshape(-1)
        return part.take(drawn + np.arange(0, k * len(drawn), k))

    def average(self, _log: LoggedFeedback, table: Any, rows: slice) -> Floats:
        return np.einsum("ij,ij->i", self.probability[rows], table[rows])

    def table(self, _log: LoggedFeedback, rows: slice) -> Floats:
        return self.probability[rows]

    def take(self, rows: Any) -> Distribution:
        return replace(self, probability=self.probability[rows])


@dataclass(frozen=True, slots=True)
class Constant:
    """One arm for everybody. Where it was filtered out: `otherwise`, the arm of doing nothing, if the log has it."""

    name: str
    arm: int
    otherwise: int | None = None

    def chosen(self, log: LoggedFeedback, rows: slice) -> Floats:
        played = (log.arm[rows] == self.arm).astype(np.float64)
        if log.allowed is None or self.otherwise is None:
            return played
        return np.where(log.allowed[rows, self.arm], played, log.arm[rows] == self.otherwise)

    def average(self, log: LoggedFeedback, table: Any, rows: slice) -> Floats:
        values = table[rows, self.arm].astype(np.float64)
        if log.allowed is None or self.otherwise is None:
            return values
        return np.where(log.allowed[rows, self.arm], values, table[rows, self.otherwise])

    def table(self, log: LoggedFeedback, rows: slice) -> Floats:
        plays = np.zeros((len(log.arm[rows]), len(log.arms)))
        if log.allowed is None or self.otherwise is None:
            plays[:, self.arm] = 1.0
        else:
            plays[np.arange(len(plays)), np.where(log.allowed[rows, self.arm], self.arm, self.otherwise)] = 1.0
        return plays

    def take(self, _rows: Any) -> Constant:
        return self


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every allowed arm alike."""

    name: str = "uniform"

    def chosen(self, log: LoggedFeedback, rows: slice) -> Floats:
        if log.allowed is None:
            return np.full(len(log.arm[rows]), 1.0 / len(log.arms))
        return 1.0 / log.allowed[rows].sum(axis=1)

    def average(self, log: LoggedFeedback, table: Any, rows: slice) -> Floats:
        if log.allowed is None:
            return table[rows].mean(axis=1)
        return np.einsum("ij,ij->i", table[rows], log.allowed[rows]) / log.allowed[rows].sum(axis=1)

    def table(self, log: LoggedFeedback, rows: slice) -> Floats:
        if log.allowed is None:
            return np.full((len(log.arm[rows]), len(log.arms)), 1.0 / len(log.arms))
        return log.allowed[rows] / log.allowed[rows].sum(axis=1, keepdims=True)

    def take(self, _rows: Any) -> Uniform:
        return self


def constant(log: LoggedFeedback, arm: str) -> Constant:
    """The policy that plays this arm. Raises InvalidInput for a name that is none of the log's."""
    if arm not in log.arms:
        raise InvalidInput(
            f"no arm {arm!r} in the log; it has {', '.join(log.arms[:20])}", field="target", code="unknown_arm"
        )
    nothing = next((n for n, name in enumerate(log.arms) if name in (DO_NOTHING.key, DO_NOTHING.action)), None)
    return Constant(f"constant:{arm}", log.arms.index(arm), nothing)


def distribution(log: LoggedFeedback, name: str, probability: Floats) -> Distribution:
    """The policy with these (n, k) probabilities. Raises InvalidInput that names the rows that are no distribution."""
    if probability.shape != (len(log), len(log.arms)):
        raise InvalidInput(
            f"the target has shape {probability.shape}, the log {(len(log), len(log.arms))}",
            field="target",
            code="wrong_shape",
        )
    refusals.distribution(probability, log.allowed, "target")
    return Distribution(name, np.ascontiguousarray(probability, dtype=np.float64))
