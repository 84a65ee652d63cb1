"""The log a simulated Segue keeps of its own decisions, and the data set training makes of it.

The rows, the split by time and the encoder are the product's; only the ledger and DuckDB are left out, because a
tournament trains a thousand times.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiments.worlds.contacts import PAST
from experiments.worlds.play import Feedback, Visits
from experiments.worlds.world import TRAITS, BanditWorld, Floats, Integers
from features.clock import DAY
from features.contract import PROFILE, Feature, FeatureContract
from features.encode import Encoder
from training.dataset import Dataset, Rows
from training.split import Slice, slice_decisions
from training.statistics import day_of

FEATURES = (*(f"attribute_{name}" for name in TRAITS), *PAST)
CONTRACT = FeatureContract(tuple(Feature(name, PROFILE, name, name) for name in FEATURES))


class OwnLog:
    """Every visit with its features, and every contact with its answer once known. Grows by doubling."""

    def __init__(self, world: BanditWorld) -> None:
        self._windows = np.array(
            [round(world.catalogue.actions[arm.action].window_days * DAY) for arm in world.arms[:-1]], dtype=np.int64
        )
        self._keys = [arm.key for arm in world.arms]
        self.encoder = Encoder.from_catalogue(CONTRACT, world.catalogue)
        self.arm_rows = self.encoder.arm_matrix(world.arms, world.catalogue)
        self.features, self.at = np.empty((1_000, len(FEATURES))), np.empty(1_000, dtype=np.int64)
        self._answers: list[Feedback] = []

    def visited(self, visits: Visits) -> Floats:
        """Notes the visits; gives their encoded features, (n, k)."""
        end = int(visits.numbers[-1]) + 1
        if end > len(self.at):
            self.features = np.vstack([self.features, np.empty_like(self.features)])
            self.at = np.concatenate([self.at, np.empty_like(self.at)])
        encoded = self.encoder.customer_matrix(pa.table(dict(zip(FEATURES, visits.features.T, strict=True))))
        self.features[visits.numbers], self.at[visits.numbers] = encoded, visits.at
        return encoded

    def answered(self, feedback: Feedback) -> None:
        self._answers.append(feedback)

    def pairs(self, encoded: Floats) -> Floats:
        """(n x arms, k + a) every visit with every arm but DO_NOTHING, arms of one visit together."""
        arms = self.arm_rows[:-1]
        return np.hstack([np.repeat(encoded, len(arms), axis=0), np.tile(arms, (len(encoded), 1))])

    def dataset(self, now: int) -> Dataset:
        """`propensity` from all contacts whose window has closed by `now`, sliced by time as training does."""
        numbers = self._joined("numbers").astype(np.int64)
        rows, accepted = self._joined("rows").astype(np.int64), self._joined("accepted")
        closes_at = self.at[numbers] + self._windows[rows]
        matured = np.flatnonzero(closes_at <= now)
        matured = matured[np.argsort(numbers[matured], kind="stable")]
        numbers, rows, accepted, closes_at = (x[matured] for x in (numbers, rows, accepted, closes_at))
        slices = slice_decisions(self.at[numbers], closes_at)
        matrix = np.hstack([self.features[numbers], self.arm_rows[rows]])
        asked = np.stack([numbers, rows])
        parts = {
            part: Rows(
                matrix[slices == part],
                accepted[slices == part],
                numbers[slices == part],
                tuple((self._keys[row], day_of(self.at[n])) for n, row in zip(*asked[:, slices == part], strict=True)),
            )
            for part in (Slice.TRAIN, Slice.CALIBRATION, Slice.TEST)
        }
        return Dataset("propensity", parts, "simulated", pa.table({}))

    def _joined(self, name: str) -> Integers:
        return np.concatenate([np.empty(0), *(getattr(answer, name) for answer in self._answers)])
