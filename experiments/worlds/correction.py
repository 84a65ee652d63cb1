"""What is learned online between two trainings, as the simulation sees it: a port, and the product behind it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from experiments.worlds.world import Floats, Integers
from training.bandit import P_RANGE, UNIT, ArmStatistics, PolicySnapshot


class Correction(Protocol):
    """Corrects a model's predictions by the answers that came since. Arms are numbered; features have shape (n, k)."""

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:
        """(n, arms) model's predictions -> (n, arms) corrected probabilities, and one standard deviation of each."""

    def learn(self, rows: Integers, p_model: Floats, features: Floats, accepted: Floats) -> None:
        """n answers: the arm of each, what the model had predicted, the features it saw, and 1 where accepted."""

    def counts(self) -> Integers:
        """(arms,) how often each was learned from."""

    def restart(self, bundle: str) -> None:
        """Another model is in force."""


class RatioCorrection:
    """`training.bandit`: for each arm the ratio of accepts seen to accepts expected."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._snapshot = PolicySnapshot()

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002
        ratios = np.array([self._snapshot.ratio(key) for key in self._keys])
        deviations = np.array([self._snapshot.deviation(key) for key in self._keys])
        return np.clip(p_model * ratios, *P_RANGE), p_model * deviations

    def learn(self, rows: Integers, p_model: Floats, features: Floats, accepted: Floats) -> None:  # noqa: ARG002
        changes: dict[str, ArmStatistics] = {}
        for row, expected, seen in zip(rows.tolist(), p_model.tolist(), accepted.tolist(), strict=True):
            one = ArmStatistics(1, round(seen * UNIT), round(expected * UNIT))
            changes[self._keys[row]] = changes.get(self._keys[row], ArmStatistics()) + one
        self._snapshot = self._snapshot.learned(changes)

    def counts(self) -> Integers:
        return np.array([self._snapshot.count(key) for key in self._keys], dtype=np.int64)

    def restart(self, bundle: str) -> None:
        self._snapshot = self._snapshot.correcting(bundle)
        if self._snapshot.bundle is None:
            self._snapshot = PolicySnapshot(self._snapshot.number, bundle)
