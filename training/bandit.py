"""What policies learn from rewards: by how much the models' predictions are to be corrected, and how surely.

What is learned is a correction of the propensity model, arm by arm, as sufficient statistics that add: accepts seen and
accepts expected. With a Gamma(k, k) prior on the ratio of true to predicted acceptance (mean 1), and accepts taken as
Poisson with mean ratio x expected, the posterior is Gamma(k + accepts, k + expected), with mean
(k + accepts) / (k + expected) and standard deviation sqrt(k + accepts) / (k + expected); Gelman et al., Bayesian Data
Analysis, 3rd ed., section 2.6. An arm nobody has tried keeps exactly the model's prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from features.rewards import UNIT as UNIT
from training.statistics import Statistics

#: The prior's weight in accepts: after this many expected accepts, data and model count the same.
PRIOR_ACCEPTS = 2.0
#: No response is certain: predictions stay inside this range.
P_RANGE = (1e-6, 1.0 - 1e-6)


@dataclass(frozen=True, slots=True)
class ArmStatistics:
    """How often an arm was learned from, and its accepts seen and expected, in millionths."""

    count: int = 0
    accepts_units: int = 0
    expected_units: int = 0

    def __add__(self, other: ArmStatistics) -> ArmStatistics:
        return ArmStatistics(
            self.count + other.count,
            self.accepts_units + other.accepts_units,
            self.expected_units + other.expected_units,
        )

    @property
    def ratio(self) -> float:
        """Posterior mean of true over predicted acceptance."""
        return (PRIOR_ACCEPTS + self.accepts_units / UNIT) / (PRIOR_ACCEPTS + self.expected_units / UNIT)

    @property
    def deviation(self) -> float:
        """Posterior standard deviation of the same."""
        return math.sqrt(PRIOR_ACCEPTS + self.accepts_units / UNIT) / (PRIOR_ACCEPTS + self.expected_units / UNIT)


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

    def ratio(self, arm_key: str) -> float:
        """By how much the model's prediction for an arm is to be multiplied; 1 for an arm never tried."""
        statistics = self.arms.get(arm_key)
        return 1.0 if statistics is None else statistics.ratio

    def deviation(self, arm_key: str) -> float:
        """One standard deviation of that ratio; the prior's for an arm never tried.

        >>> round(PolicySnapshot().deviation("upgrade@email"), 4)
        0.7071
        """
        return self.arms.get(arm_key, _NEVER_TRIED).deviation

    def count(self, arm_key: str) -> int:
        """How often an arm was learned from."""
        return self.arms.get(arm_key, _NEVER_TRIED).count

    def learned(self, contributions: Mapping[str, ArmStatistics]) -> PolicySnapshot:
        """The next snapshot, with these added."""
        arms = dict(self.arms)
        for key, statistics in contributions.items():
            arms[key] = arms.get(key, ArmStatistics()) + statistics
        return replace(self, number=self.number + 1, arms=arms)

    @staticmethod
    def of(number: int, bundle: str | None, statistics: Statistics, day: int, forgetting_days: float) -> PolicySnapshot:
        """What serving needs of the statistics of a bundle."""
        weighed = statistics.weighed(day, forgetting_days)
        arms = {arm: ArmStatistics(*sums[:3]) for arm, sums in weighed.items()}
        return PolicySnapshot(number, bundle, arms, day, forgetting_days)

    def correcting(self, bundle: str | None) -> PolicySnapshot:
        """What of it corrects the predictions of this bundle: nothing, where it was learned on another's."""
        return self if bundle is None or self.bundle in (None, bundle) else PolicySnapshot(self.number, bundle)

    def to_json(self) -> str:
        rows = {k: [s.count, s.accepts_units, s.expected_units] for k, s in sorted(self.arms.items())}
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
        """Those of earlier versions too, which knew no days."""
        content: dict[str, Any] = msgspec.json.decode(text)
        arms = {key: ArmStatistics(*row) for key, row in content["arms"].items()}
        forgetting_days = float(content.get("forgetting_days", 0.0))
        return PolicySnapshot(content["number"], content["bundle"], arms, content.get("day", 0), forgetting_days)
