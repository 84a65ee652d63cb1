"""What each arm would have earned in each row, predicted by models that never saw the row's customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.ope.feedback import Floats, Integers, LoggedFeedback

FOLDS = 5
#: Fewer rows than this, or no context at all, and trees have nothing to split on.
ROWS_FOR_TREES = 2_000
#: An arm's own coefficients weigh as much as all arms' after so many rows. With 20, models of 400 rows learned noise
#: that their folds share: the estimates spread by up to 5 % more than their intervals knew.
SHRINKAGE = 200.0
_TREES: dict[str, Any] = {
    "objective": "regression",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "deterministic": True,
    "verbose": -1,
}
_ROUNDS = 60

#: (log to learn from, log to predict) -> (m, k) predicted rewards.
Fit = Callable[[LoggedFeedback, LoggedFeedback], Floats]


def cross_fitted(
    log: LoggedFeedback,
    folds: int = FOLDS,
    seed: int = 0,
    fit: Fit | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """(n, k) q̂(x, a): each row predicted by a model fitted on the other folds; customers are never split.

    The same log and seed give the same predictions. `fit` is `ridge` or `trees`; None takes trees where there is
    context and rows enough. Chernozhukov et al. (2018), Double/debiased machine learning, The Econometrics Journal.
    """
    fit = fit or (trees if log.context.shape[1] and len(log) >= ROWS_FOR_TREES else ridge)
    fold = fold_of(log, folds, seed)
    q_hat = np.empty((len(log), len(log.arms)))
    for number in range(int(fold.max()) + 1):
        held_out = fold == number
        q_hat[held_out] = fit(log.take(~held_out), log.take(held_out))
        progress((number + 1) / (fold.max() + 1))
    return q_hat


def fold_of(log: LoggedFeedback, folds: int, seed: int) -> Integers:
    """(n,) fold of each row, 0 .. folds - 1, the same for all rows of a customer; sizes differ by at most one unit."""
    unit = np.arange(len(log)) if log.unit is None else np.unique(log.unit, return_inverse=True)[1]
    units = int(unit.max()) + 1
    order = np.random.default_rng(seed).permutation(units)
    return (order % min(folds, units))[unit]


def ridge(known: LoggedFeedback, asked: LoggedFeedback) -> Floats:
    """(m, k) by linear regression of each arm, drawn towards one regression of all arms where an arm has few rows.

    Standardised context, missing as the mean; penalty SHRINKAGE rows (Hoerl, Kennard 1970, Ridge Regression).
    """
    x, x_asked = _standardised(known.context, asked.context)
    everybody = _solve(x, known.reward, np.zeros(x.shape[1]))
    left = known.reward - x @ everybody
    q_hat = np.repeat((x_asked @ everybody)[:, None], len(known.arms), axis=1)
    for arm in range(len(known.arms)):
        rows = known.arm == arm
        if rows.any():
            q_hat[:, arm] += x_asked @ _solve(x[rows], left[rows], np.full(x.shape[1], SHRINKAGE))
    return q_hat


def trees(known: LoggedFeedback, asked: LoggedFeedback) -> Floats:
    """(m, k) by boosted trees on context and arm together, so that arms share what they have in common."""
    import lightgbm

    arms, last = len(known.arms), known.context.shape[1]
    data = lightgbm.Dataset(
        np.column_stack([known.context, known.arm]), known.reward, categorical_feature=[last], free_raw_data=True
    )
    model = lightgbm.train(_TREES | {"seed": 0}, data, _ROUNDS)
    matrix = np.column_stack([asked.context, np.zeros(len(asked))])
    q_hat = np.empty((len(asked), arms))
    for arm in range(arms):
        matrix[:, last] = arm
        q_hat[:, arm] = model.predict(matrix)
    return q_hat


def _solve(x: Floats, y: Floats, penalty: Floats) -> Floats:
    # A touch of penalty everywhere: a constant column would make the equations singular.
    return np.asarray(np.linalg.solve(x.T @ x + np.diag(penalty + 1e-6 * (1.0 + len(x))), x.T @ y))


def _standardised(known: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """Both with an intercept first, columns of mean 0 and deviation 1 in the first, missing as 0."""
    if not known.shape[1]:
        return np.ones((len(known), 1)), np.ones((len(asked), 1))
    count = np.maximum((~np.isnan(known)).sum(axis=0), 1)
    mean = np.nansum(known, axis=0) / count
    deviation = np.sqrt(np.nansum((known - mean) ** 2, axis=0) / count)
    deviation[deviation == 0.0] = 1.0
    parts = [np.nan_to_num((part - mean) / deviation) for part in (known, asked)]
    one, other = (np.column_stack([np.ones(len(part)), part]) for part in parts)
    return one, other
