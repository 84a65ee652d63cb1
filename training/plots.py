"""Pictures of how good a model is: reliability, ROC and precision-recall, as PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import CALIBRATION_BINS
from training.models import Predictions

Floats = NDArray[np.float64]


def pictures(name: str, predictions: Predictions) -> dict[str, bytes]:
    """File name to PNG: `reliability.png`, `roc.png` and `precision_recall.png` of the test slice."""
    return {
        "reliability.png": _drawn(
            f"{name}: reliability", "predicted probability", "share that happened", _reliability, predictions
        ),
        "roc.png": _drawn(f"{name}: ROC", "false positive rate", "true positive rate", _roc, predictions),
        "precision_recall.png": _drawn(
            f"{name}: precision and recall", "recall", "precision", _precision_recall, predictions
        ),
    }


def reliability_points(probabilities: Floats, labels: Floats, bins: int = CALIBRATION_BINS) -> tuple[Floats, Floats]:
    """(mean probability, share of positives) of at most `bins` bins of equal count, in order of probability."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), min(bins, len(labels)))
    return np.array([probabilities[p].mean() for p in parts]), np.array([labels[p].mean() for p in parts])


def _drawn(title: str, across: str, up: str, draw: Any, predictions: Predictions) -> bytes:
    # Without pyplot there is no global state, and the Agg canvas needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    draw(axes, predictions)
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.legend()
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def _reliability(axes: Any, predictions: Predictions) -> None:
    top = 0.0
    for who, values in (("model", predictions.model), ("logistic", predictions.logistic)):
        expected, happened = reliability_points(values, predictions.labels)
        axes.plot(expected, happened, marker="o", markersize=3, label=who)
        top = max(top, float(expected.max()), float(happened.max()))
    axes.plot([0.0, top], [0.0, top], color="grey", linestyle=":", label="perfect")


def _roc(axes: Any, predictions: Predictions) -> None:
    from sklearn.metrics import roc_curve

    for who, values in (("model", predictions.model), ("logistic", predictions.logistic)):
        false_rate, true_rate, _ = roc_curve(predictions.labels, values)
        axes.plot(false_rate, true_rate, label=who)
    axes.plot([0.0, 1.0], [0.0, 1.0], color="grey", linestyle=":", label="chance")


def _precision_recall(axes: Any, predictions: Predictions) -> None:
    from sklearn.metrics import precision_recall_curve

    for who, values in (("model", predictions.model), ("logistic", predictions.logistic)):
        precision, recall, _ = precision_recall_curve(predictions.labels, values)
        axes.plot(recall, precision, label=who)
    axes.axhline(float(predictions.labels.mean()), color="grey", linestyle=":", label="chance")
