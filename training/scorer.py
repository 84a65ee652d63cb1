"""A scorer: one booster and its calibration. What is judged after fitting and what is served are this same object."""

from __future__ import annotations

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput, UntrustedArtefact
from training.calibration import Calibration

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

    def predict(self, matrix: Floats) -> Floats:
        """Probabilities, shape (n,), of rows, shape (n, width); NaN is a missing value.

        Raises InvalidInput for another width: LightGBM itself would ignore columns too many without a word.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.width:
            raise InvalidInput(f"this model takes rows of {self.width} columns, not {matrix.shape}")
        if not len(matrix):
            return np.empty(0)
        # One thread: starting a second costs more than 200 trees on a hundred rows, and threads do not survive fork.
        margins = self._booster.predict(matrix, raw_score=True, num_threads=1)
        return self.calibration.apply(np.asarray(margins, dtype=np.float64))
