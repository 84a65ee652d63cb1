from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import Comparison, Verdict, calibration_error, compare, judge, log_losses, measure


def test_a_perfect_ranking_and_a_blind_one_have_the_known_metrics() -> None:
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    perfect = measure(np.array([0.1, 0.2, 0.8, 0.9]), labels)
    blind = measure(np.full(4, 0.5), labels)
    assert (perfect.auc, perfect.average_precision) == (1.0, 1.0)
    assert (blind.auc, blind.average_precision, blind.brier) == (0.5, 0.5, 0.25)
    assert blind.log_loss == pytest.approx(np.log(2.0))


def test_calibration_error_is_the_mean_gap_between_said_and_happened() -> None:
    labels = np.array([1.0] * 30 + [0.0] * 70)
    assert calibration_error(np.full(100, 0.3), labels) == pytest.approx(0.0)
    assert calibration_error(np.full(100, 0.5), labels) == pytest.approx(0.2)


def test_calibration_error_of_an_honest_model_is_only_sampling_noise() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(50_000)
    assert calibration_error(said, (rng.random(50_000) < said).astype(float)) < 0.01
    assert calibration_error(said**2, (rng.random(50_000) < said).astype(float)) > 0.1


def test_a_certain_and_wrong_prediction_costs_much_but_not_infinity() -> None:
    assert np.isfinite(log_losses(np.array([0.0]), np.array([1.0]))[0])


def test_noise_is_hardly_ever_called_better() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((400, 500)) < 0.3).astype(float)
    better = 0
    for row in labels:
        noisy = np.clip(0.3 + rng.normal(0.0, 0.002, 500), 0.01, 0.99)
        better += compare(noisy, np.full(500, 0.3), row, np.arange(500)).better
    assert better / 400 <= 0.07


def test_the_standard_error_counts_customers_not_rows() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(200) < 0.4).astype(float)
    model, constant = np.where(labels == 1.0, 0.45, 0.38), np.full(200, 0.4)
    once = compare(model, constant, labels, np.arange(200))
    # The same facts written down nine times prove nothing new.
    copied = compare(*(np.tile(v, 9) for v in (model, constant, labels)), np.tile(np.arange(200), 9))
    assert copied.gain == pytest.approx(once.gain)
    assert copied.standard_error == pytest.approx(once.standard_error)


def test_one_customer_proves_nothing() -> None:
    labels = np.array([1.0, 0.0])
    assert not compare(np.array([0.9, 0.1]), np.array([0.5, 0.5]), labels, np.zeros(2, dtype=np.int64)).better


@pytest.mark.parametrize(
    ("constant", "logistic", "verdict", "words"),
    [
        (Comparison(0.001, 0.01), Comparison(0.5, 0.01), Verdict.FAIL, "no better than the constant"),
        (Comparison(0.1, 0.01), Comparison(-0.1, 0.01), Verdict.PASS, "no better than the logistic"),
        (Comparison(0.1, 0.01), Comparison(0.1, 0.01), Verdict.PASS, "better than the constant and the logistic"),
    ],
)
def test_the_verdict_says_in_words_what_was_beaten(
    constant: Comparison, logistic: Comparison, verdict: Verdict, words: str
) -> None:
    found, reason = judge(constant, logistic)
    assert found is verdict
    assert words in reason
