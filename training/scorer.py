"""A scorer: one booster and its calibration. What is judged after fitting and what is served are this same object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput, UntrustedArtefact
from training.calibration import Calibration
from training.forest import Forest
from training.single_row import SingleRow

Floats = NDArray[np.float64]


class Scorer:
    """Calibrated probabilities of one model. Holds no state between calls: any thread may ask."""

    def __init__(self, text: str, calibration: Calibration) -> None:
        """`text` is LightGBM's own model text. Raises UntrustedArtefact for anything else."""
        try:
            self._booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise UntrustedArtefact(f"not a LightGBM model: {error}") from error
        self.width = int(self._booster.num_feature())
        self.text = text
        self.calibration = calibration

    @cached_property
    def _single(self) -> SingleRow:
        return SingleRow(self.text, self.width)

    def gains(self) -> Floats:
        """(width,) what the trees gained by splitting on each column, all of them together."""
        return np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)

    def predict(self, matrix: Floats) -> Floats:
        """Probabilities, shape (n,), of rows, shape (n, width); NaN is a missing value.

        Raises InvalidInput for another width: LightGBM itself would ignore columns too many without a word.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.width:
            raise InvalidInput(f"this model takes rows of {self.width} columns, not {matrix.shape}")
        if not len(matrix):
            return np.empty(0)
        if len(matrix) == 1:
            return self.calibration.apply(np.array([self._single.margin(matrix[0])]))
        # One thread: starting a second costs more than 200 trees on a hundred rows, and threads do not survive fork.
        margins = self._booster.predict(matrix, raw_score=True, num_threads=1)
        return self.calibration.apply(np.asarray(margins, dtype=np.float64))


class ArmScorer:
    """The propensity of customers with fixed arms: to the last bit what `Scorer` gives for the same rows, sooner.

    A model that `Forest` cannot take apart, or that is not there, is asked in the ordinary way.
    """

    def __init__(
        self, scorer: Scorer | None, base_rates: Mapping[str, float], rows: Floats, customer_width: int
    ) -> None:
        """`rows`, shape (m, a), are the arms' columns; a missing scorer answers with the base rate."""
        self._scorer, self._base_rate, self._rows = scorer, base_rates["propensity"], rows
        self._forest: Forest | None = None
        if scorer is not None:
            with suppress(ValueError):
                self._forest = Forest(scorer.text, customer_width)
                self._arms = self._forest.arms(rows)

    def predict(self, customers: Sequence[Floats], chosen: Sequence[NDArray[np.intp]]) -> Floats:
        """Probabilities of n customers, (k,) each, with the arms `chosen`, (m,) for each: one after another."""
        if self._scorer is None:
            return np.full(sum(map(len, chosen)), self._base_rate)
        asked = list(zip(customers, chosen, strict=True))
        if self._forest is None:
            rows = [np.hstack([np.tile(one, (len(arms), 1)), self._rows[arms]]) for one, arms in asked]
            return self._scorer.predict(np.vstack(rows))
        margins = [self._forest.margins(one, self._arms)[arms] for one, arms in asked]
        return self._scorer.calibration.apply(np.concatenate(margins))
