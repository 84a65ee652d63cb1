"""The models: LightGBM, calibrated, beside a constant and a plain logistic regression that it has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.calibration import fit_calibration
from training.dataset import Dataset, Rows
from training.evaluate import Comparison, Metrics, Verdict, compare, judge, measure
from training.scorer import Scorer
from training.split import Slice

Floats = NDArray[np.float64]

TREES = 300
PATIENCE = 20
#: Parts of the customers, each of which is once kept from the trees.
FOLDS = 5
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
    # Same data, same bytes: one way of building histograms, whatever the machine prefers.
    "deterministic": True,
    "force_row_wise": True,
    # Two threads wait for each other at every leaf: on two cores with other work they took 13 times as long as one.
    "num_threads": 1,
    "verbosity": -1,
}
#: What one model does otherwise. Between arms what counts is a smooth change from customer to customer, and thresholds
#: drawn at random average out to one, given trees enough: in the known-truth worlds 1 to 4 points more of the way from
#: random to best after 50,000 decisions, and no log loss worth naming on Starbucks, where churn and conversion lose.
OTHERWISE: Mapping[str, Mapping[str, Any]] = {
    "propensity": {"extra_trees": True, "learning_rate": 0.1, "min_data_in_leaf": 100}
}


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What model, constant and logistic regression said of the test slice, beside the truth. Each of shape (n,)."""

    labels: Floats
    model: Floats
    constant: Floats
    logistic: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One model fitted and judged on rows later than all it learned from."""

    name: str
    scorer: Scorer
    parameters: Mapping[str, str | int | float | bool]
    predictions: Predictions
    metrics: Mapping[str, Metrics]
    against_constant: Comparison
    against_logistic: Comparison
    verdict: Verdict
    reason: str
    #: (n,) what is predicted of the rows of the train slice by trees that never saw their customers.
    unseen: Floats


def fit(dataset: Dataset, seed: int) -> Trial:
    """Fits the model on train, calibrates it on calibration, and judges it on test, beside both baselines.

    The constant is the calibration slice's rate and the logistic regression learns from train and calibration
    together, so that neither knows less of the recent past than the calibrated model. The data set must have no
    `shortcoming`.
    """
    train, calibration, test = (dataset.parts[s] for s in (Slice.TRAIN, Slice.CALIBRATION, Slice.TEST))
    parameters = {**PARAMETERS, **OTHERWISE.get(dataset.name, {})}
    booster, unseen = _grow(train, parameters, seed)
    margins = booster.predict(calibration.matrix, raw_score=True)
    text = booster.model_to_string()
    scorer = Scorer(text, fit_calibration(margins, calibration.labels))
    predictions = Predictions(
        test.labels,
        scorer.predict(test.matrix),
        np.full(len(test.labels), calibration.labels.mean()),
        _logistic(train, calibration, test.matrix),
    )
    against_constant = compare(predictions.model, predictions.constant, test.labels, test.customers)
    against_logistic = compare(predictions.model, predictions.logistic, test.labels, test.customers)
    verdict, reason = judge(against_constant, against_logistic)
    metrics = {who: measure(getattr(predictions, who), test.labels) for who in ("model", "constant", "logistic")}
    return Trial(
        dataset.name,
        scorer,
        {
            **parameters,
            "seed": seed,
            "trees": booster.num_trees(),
            "calibration": scorer.calibration.method,
            "judged_from": dataset.judged_from,
            **{f"rows_{slice_.name.lower()}": len(part.labels) for slice_, part in dataset.parts.items()},
        },
        predictions,
        metrics,
        against_constant,
        against_logistic,
        verdict,
        reason,
        scorer.calibration.apply(unseen),
    )


def _grow(train: Rows, parameters: Mapping[str, Any], seed: int) -> tuple[Any, Floats]:
    """(a booster, (n,) the margins of the rows it learned from by boosters that never saw their customers).

    Cross-fitting: the customers are in five parts, and each part is kept from one of five boosters, which are stopped
    together when what they were kept from is predicted no better. So many trees are then grown on everybody.
    """
    import lightgbm

    settings = {**parameters, "seed": seed}
    part = np.random.default_rng(seed).permutation(int(train.customers.max()) + 1)[train.customers] % FOLDS
    if len(np.unique(part)) < FOLDS:  # hardly any customers: then every fifth row
        part = np.arange(len(train.labels)) % FOLDS
    folds = [(np.flatnonzero(part != number), np.flatnonzero(part == number)) for number in range(FOLDS)]
    rows = lightgbm.Dataset(train.matrix, train.labels, free_raw_data=True)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    found = lightgbm.cv(settings, rows, num_boost_round=TREES, folds=folds, callbacks=[stop], return_cvbooster=True)
    tried: Any = found["cvbooster"]
    unseen = np.empty(len(train.labels))
    for booster, (_, kept) in zip(tried.boosters, folds, strict=True):
        unseen[kept] = booster.predict(train.matrix[kept], raw_score=True, num_iteration=tried.best_iteration)
    return lightgbm.train(settings, rows, num_boost_round=tried.best_iteration), unseen


def _logistic(train: Rows, calibration: Rows, matrix: Floats) -> Floats:
    """Probabilities of a plain logistic regression: medians for missing values, columns scaled to unit variance."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    baseline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=300),
    )
    with warnings.catch_warnings():
        # After 300 steps what is left to gain is far below the noise of a comparison.
        warnings.simplefilter("ignore", ConvergenceWarning)
        baseline.fit(np.vstack([train.matrix, calibration.matrix]), np.concatenate([train.labels, calibration.labels]))
    return np.asarray(baseline.predict_proba(matrix)[:, 1], dtype=np.float64)
