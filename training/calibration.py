"""Calibration: from a model's margin (log-odds) to a probability that happens as often as it says.

Fitted with scikit-learn, kept as JSON numbers, applied by a few lines of numpy: nothing has to be unpickled to serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import UntrustedArtefact
from training.portable import exp

Floats = NDArray[np.float64]

#: Isotonic regression overfits small slices; scikit-learn's guide warns below about 1,000 samples. Counted here in rows
#: of the rarer class, because a thousand rows with three positives hold three facts.
ISOTONIC_FROM = 1_000


@dataclass(frozen=True)
class Calibration:
    """A monotone map. `sigmoid`: numbers are (slope, intercept), p = 1 / (1 + exp(slope * margin + intercept)), Platt
    1999. `isotonic`: straight lines between (margins[i], numbers[i]), flat outside, Zadrozny and Elkan 2002.

    Results stay inside [floor, 1 - floor]: n rows cannot prove a probability under about 1 / (n + 2), and a plain 0
    would make one surprise cost an infinite log loss.
    """

    method: str
    numbers: tuple[float, ...]
    margins: tuple[float, ...] = ()
    floor: float = 0.0

    def apply(self, margins: Floats) -> Floats:
        """Probabilities, shape (n,), of margins, shape (n,)."""
        if self.method == "isotonic":
            raw = np.interp(margins, *self._line)
        else:
            slope, intercept = self.numbers
            raw = 1.0 / (1.0 + exp(slope * margins + intercept))
        return np.clip(raw, self.floor, 1.0 - self.floor)

    @cached_property
    def _line(self) -> tuple[Floats, Floats]:
        """The knots as arrays: making them anew took longer than the interpolation."""
        return np.array(self.margins), np.array(self.numbers)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "numbers": list(self.numbers),
            "margins": list(self.margins),
            "floor": self.floor,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Raises UntrustedArtefact for anything `to_json` cannot have written."""
        try:
            numbers, margins = tuple(map(float, values["numbers"])), tuple(map(float, values["margins"]))
            method, floor = str(values["method"]), float(values["floor"])
        except (KeyError, TypeError, ValueError) as error:
            raise UntrustedArtefact(f"not a calibration: {error}") from error
        sound = {"sigmoid": len(numbers) == 2, "isotonic": 0 < len(numbers) == len(margins)}
        if not sound.get(method) or not 0.0 <= floor < 0.5 or not np.isfinite([*numbers, *margins]).all():
            raise UntrustedArtefact("not a calibration: its method, numbers or floor make no sense")
        return cls(method, numbers, margins, floor)


def choose_method(labels: Floats) -> str:
    """`isotonic` when both classes have `ISOTONIC_FROM` rows, else `sigmoid`, which has only two numbers to learn."""
    positives = float(labels.sum())
    return "isotonic" if min(positives, len(labels) - positives) >= ISOTONIC_FROM else "sigmoid"


def fit_calibration(margins: Floats, labels: Floats, method: str | None = None) -> Calibration:
    """The calibration learned by scikit-learn from rows the model was not fitted on; `method` None lets size choose.

    margins, labels: shape (n,), labels 0 or 1, at least 5 rows of each.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    method = method or choose_method(labels)
    # A classifier whose decision function is the margin itself: scikit-learn then calibrates the booster's own output.
    identity = LogisticRegression()
    identity.classes_ = np.array([0, 1])
    identity.coef_, identity.intercept_, identity.n_features_in_ = np.ones((1, 1)), np.zeros(1), 1
    calibrated = CalibratedClassifierCV(FrozenEstimator(identity), method=method).fit(margins[:, None], labels)
    learned = calibrated.calibrated_classifiers_[0].calibrators[0]
    floor = 1.0 / (len(labels) + 2.0)
    if method == "isotonic":
        return Calibration(method, _numbers(learned.y_thresholds_), _numbers(learned.X_thresholds_), floor)
    return Calibration(method, (float(learned.a_), float(learned.b_)), floor=floor)


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
