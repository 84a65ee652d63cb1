"""What policies learn from rewards: how the models' predictions are to be corrected, and how surely.

A snapshot holds, for every arm, sums that add: how often it was learned from, accepts seen and predicted, and what
`training.residual` makes its correction of. An arm of which, and of whose kin, nothing was learned keeps exactly the
model's prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from features.rewards import UNIT as UNIT
from training.residual import Correction, Integers, Sums, length, posterior
from training.statistics import Statistics

#: No response is certain: predictions stay inside this range.
P_RANGE = (1e-6, 1.0 - 1e-6)


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """How often an arm was learned from, and in millionths: accepts seen, accepts predicted by the model, and the sums
    of `residual.taught`, () where nothing was learned of them."""

    count: int = 0
    accepts_units: int = 0
    expected_units: int = 0
    residual: Sums = ()

    @property
    def sums(self) -> Sums:
        """All of it, as `of` takes it."""
        return self.count, self.accepts_units, self.expected_units, *self.residual

    @staticmethod
    def of(sums: Sequence[int]) -> ArmStatistics:
        """From the numbers in a row, as `statistics.contribution` has them."""
        count, accepts, expected, *residual = sums
        return ArmStatistics(count, accepts, expected, tuple(residual))


_NEVER_TRIED = ArmStatistics()


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """Everything learned up to a position of the outcome log. Snapshots are numbered; 0 has learned nothing.

    `bundle` is the bundle whose predictions are being corrected. `arms` weigh what was learned as of `day` (days since
    1970), with the half-life `forgetting_days`, 0 for never: who replays a decision reads the very numbers it read.
    """

    number: int = 0
    bundle: str | None = None
    arms: Mapping[str, ArmStatistics] = field(default_factory=dict)
    day: int = 0
    forgetting_days: float = 0.0

    def count(self, arm_key: str) -> int:
        """How often an arm was learned from."""
        return self.arms.get(arm_key, _NEVER_TRIED).count

    def correction(self, keys: Sequence[str], parents: Sequence[Integers], dimensions: int) -> Correction:
        """The correction of the arms `keys` by a constant and `dimensions` - 1 covariates; see `residual.posterior`.

        What was learned by another number of covariates (in earlier versions by none) is left out.
        """
        arms = [self.arms.get(key, _NEVER_TRIED) for key in keys]
        known = [len(arm.residual) == length(dimensions) for arm in arms]
        blank = (0,) * length(dimensions)
        counts = np.array([float(arm.count) if k else 0.0 for arm, k in zip(arms, known, strict=True)])
        accepts = np.array([arm.accepts_units if k else 0 for arm, k in zip(arms, known, strict=True)]) / UNIT
        sums = np.array([arm.residual if k else blank for arm, k in zip(arms, known, strict=True)]) / UNIT
        return posterior(counts, accepts, sums.T, parents)

    @staticmethod
    def of(number: int, bundle: str | None, statistics: Statistics, day: int, forgetting_days: float) -> PolicySnapshot:
        """What serving needs of the statistics of a bundle."""
        arms = {arm: ArmStatistics.of(sums) for arm, sums in statistics.weighed(day, forgetting_days).items()}
        return PolicySnapshot(number, bundle, arms, day, forgetting_days)

    def correcting(self, bundle: str | None) -> PolicySnapshot:
        """What of it corrects the predictions of this bundle: nothing, where it was learned on another's."""
        if bundle is None or self.bundle in (None, bundle):
            return self
        return PolicySnapshot(self.number, bundle, {}, self.day, self.forgetting_days)

    def to_json(self) -> str:
        rows = {key: [s.count, s.accepts_units, s.expected_units, *s.residual] for key, s in sorted(self.arms.items())}
        content = {
            "number": self.number,
            "bundle": self.bundle,
            "arms": rows,
            "day": self.day,
            "forgetting_days": self.forgetting_days,
        }
        return msgspec.json.encode(content).decode()

    @staticmethod
    def from_json(text: str) -> PolicySnapshot:
        """Those of earlier versions too, which knew no days and no covariates."""
        content: dict[str, Any] = msgspec.json.decode(text)
        arms = {key: ArmStatistics.of(row) for key, row in content["arms"].items()}
        forgetting_days = float(content.get("forgetting_days", 0.0))
        return PolicySnapshot(content["number"], content["bundle"], arms, content.get("day", 0), forgetting_days)
