from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from features.errors import UntrustedArtefact
from training.calibration import ISOTONIC_FROM, Calibration, choose_method, fit_calibration


def margins_and_labels(rows: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    margins = rng.normal(0.0, 2.0, rows)
    return margins, (rng.random(rows) < 1.0 / (1.0 + np.exp(1.0 - 0.5 * margins))).astype(float)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_our_numpy_gives_what_scikit_learn_gives(method: str) -> None:
    margins, labels = margins_and_labels()
    # A classifier fitted in the usual way, whose decision function is what we call the margin.
    classifier = LogisticRegression().fit(margins[:, None], labels)
    reference = CalibratedClassifierCV(FrozenEstimator(classifier), method=method).fit(margins[:, None], labels)
    asked = np.linspace(-9.0, 9.0, 1_001)
    ours = fit_calibration(classifier.decision_function(margins[:, None]), labels, method)
    unclipped = Calibration(ours.method, ours.numbers, ours.margins)
    np.testing.assert_allclose(
        unclipped.apply(classifier.decision_function(asked[:, None])),
        reference.predict_proba(asked[:, None])[:, 1],
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_calibration_survives_json_to_the_last_bit(method: str) -> None:
    margins, labels = margins_and_labels()
    calibration = fit_calibration(margins, labels, method)
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration
    assert np.array_equal(again.apply(margins), calibration.apply(margins))


def test_a_calibrated_probability_is_never_certain() -> None:
    margins, labels = np.linspace(-5.0, 5.0, 2_000), np.repeat([0.0, 1.0], 1_000)
    for method in ("sigmoid", "isotonic"):
        values = fit_calibration(margins, labels, method).apply(np.array([-1e9, 1e9]))
        assert 0.0 < values.min() < values.max() < 1.0


def test_miscalibrated_margins_become_honest() -> None:
    margins, labels = margins_and_labels(20_000)
    calibration = fit_calibration(margins[::2], labels[::2])
    values = calibration.apply(margins[1::2])
    assert abs(values.mean() - labels[1::2].mean()) < 0.01
    high = values > 0.5
    assert abs(values[high].mean() - labels[1::2][high].mean()) < 0.02


def test_isotonic_is_only_for_slices_with_many_of_both_classes() -> None:
    few = np.repeat([1.0, 0.0], [ISOTONIC_FROM - 1, 10 * ISOTONIC_FROM])
    many = np.repeat([1.0, 0.0], [ISOTONIC_FROM, ISOTONIC_FROM])
    assert (choose_method(few), choose_method(1.0 - few), choose_method(many)) == ("sigmoid", "sigmoid", "isotonic")


@pytest.mark.parametrize(
    "change",
    [{"method": "magic"}, {"numbers": [1.0]}, {"numbers": [float("nan"), 0.0]}, {"floor": 0.7}, {"numbers": "x"}],
)
def test_nonsense_is_not_a_calibration(change: dict[str, object]) -> None:
    good = Calibration("sigmoid", (-1.0, 0.0), floor=0.01).to_json()
    with pytest.raises(UntrustedArtefact):
        Calibration.from_json(good | change)
