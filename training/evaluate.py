"""How good predicted probabilities are on rows nobody has learned from, and whether that is better than a baseline."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: One-sided 5 % point of the normal distribution: a gain this many standard errors above 0 is not luck.
CLEAR = 1.645
CALIBRATION_BINS = 15


class Verdict(StrEnum):
    """pass: beats the constant. fail: does not. insufficient: too little data to say, which never promotes."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Quality of n probabilities. `auc` and `average_precision` in [0, 1], higher is better; the others lower:
    `log_loss` in nats a row, `brier` in [0, 1], `calibration_error` in [0, 1]."""

    auc: float
    average_precision: float
    log_loss: float
    brier: float
    calibration_error: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Log loss saved against a baseline: mean a row (nats, above 0 is better) and its standard error."""

    gain: float
    standard_error: float

    @property
    def better(self) -> bool:
        """Better by more than luck: the one-sided 95 % interval of the gain lies above 0."""
        return bool(self.gain > CLEAR * self.standard_error and self.gain > 0.0)

    @property
    def worse(self) -> bool:
        """Worse by more than luck."""
        return bool(self.gain < -CLEAR * self.standard_error and self.gain < 0.0)


def log_losses(probabilities: Floats, labels: Floats) -> Floats:
    """-log of the probability given to what happened, row by row; 0 and 1 are moved in by 1e-12."""
    p = np.clip(probabilities, 1e-12, 1.0 - 1e-12)
    return -(labels * np.log(p) + (1.0 - labels) * np.log1p(-p))


def calibration_error(probabilities: Floats, labels: Floats, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: sum over bins of (share of rows) x |mean label - mean probability|.

    Naeini, Cooper and Hauskrecht 2015, with bins of equal count (not width: most probabilities here are small and
    would share one wide bin). Rows of equal probability stay in one bin. A perfect model of n rows still shows about
    sqrt(2 bins p(1-p) / (pi n)).

    >>> calibration_error(np.array([0.25, 0.25, 0.25, 0.25]), np.array([1.0, 0.0, 0.0, 0.0]))
    0.0
    """
    edges = np.unique(np.quantile(probabilities, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    place = np.searchsorted(edges, probabilities, side="left")
    gaps = np.bincount(place, weights=labels - probabilities, minlength=len(edges) + 1)
    return float(np.abs(gaps).sum() / len(labels))


def measure(probabilities: Floats, labels: Floats) -> Metrics:
    """Every metric of probabilities, shape (n,), against labels 0 or 1, shape (n,), both classes present."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return Metrics(
        auc=float(roc_auc_score(labels, probabilities)),
        average_precision=float(average_precision_score(labels, probabilities)),
        log_loss=float(log_losses(probabilities, labels).mean()),
        brier=float(np.mean((probabilities - labels) ** 2)),
        calibration_error=calibration_error(probabilities, labels),
    )


def compare(model: Floats, baseline: Floats, labels: Floats, clusters: NDArray[np.int64]) -> Comparison:
    """Log loss saved by `model` against `baseline` on the same rows, paired, with a standard error over customers.

    d_i = loss of the baseline - loss of the model on row i; gain = mean d. Rows of one customer (`clusters`, codes
    from 0) are not independent, so their deviations are summed first: se^2 = sum_c (sum_{i in c} (d_i - gain))^2 /
    n^2 x C / (C - 1), Liang and Zeger 1986. With one customer the error is infinite and nothing is better.
    """
    saved = log_losses(baseline, labels) - log_losses(model, labels)
    gain = float(saved.mean())
    sums = np.bincount(clusters, weights=saved - gain)
    count = len(np.unique(clusters))
    if count < 2:
        return Comparison(gain, float("inf"))
    variance = float(np.sum(sums**2)) / len(saved) ** 2 * count / (count - 1)
    return Comparison(gain, variance**0.5)


def judge(against_constant: Comparison, against_logistic: Comparison) -> tuple[Verdict, str]:
    """(verdict, reason in words) of a model on the later slice."""
    if not against_constant.better:
        return Verdict.FAIL, "no better than the constant: left out"
    if not against_logistic.better:
        return Verdict.PASS, "better than the constant, no better than the logistic regression"
    return Verdict.PASS, "better than the constant and the logistic regression"
