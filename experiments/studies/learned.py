"""Policies learned from a log, each row decided by models that never saw its customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from experiments.ope.feedback import Floats, Integers, LoggedFeedback
from experiments.ope.reward_model import FOLDS, Fit, cross_fitted, fold_of, ridge, trees
from experiments.ope.target import Distribution, distribution

#: Name of a learned policy, and how its reward models are fitted.
LEARNERS: dict[str, Fit] = {"learned, linear": ridge, "learned, trees": trees}
BEST_CONSTANT = "best constant of the other folds"


def learned_policies(
    log: LoggedFeedback,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _share: None,
    learners: Mapping[str, Fit] = LEARNERS,
) -> tuple[list[Distribution], Floats]:
    """(the policies, (n, k) predicted rewards of the last learner): each plays the arm with the largest predicted one.

    The reward is net of what it cost, so this is the largest predicted reward minus cost. Cross-fitted in 5 folds of
    customers: a row's policy and its predictions come from the other folds.
    """
    policies, q_hat = [], np.empty(0)
    for done, (name, fit) in enumerate(learners.items()):
        q_hat = cross_fitted(log, seed=seed, fit=fit, progress=part_of(progress, done, len(learners)))
        policies.append(_playing(log, name, q_hat.argmax(axis=1)))
    return policies, q_hat


def part_of(progress: Callable[[float], None], done: int, of: int) -> Callable[[float], None]:
    """Tells the progress of one of several equal parts as that of the whole."""
    return lambda share: progress((done + share) / of)


def best_constant_of_other_folds(log: LoggedFeedback, seed: int = 0) -> Distribution:
    """The arm with the best mean reward in the other four folds: choosing the best constant, judged as honestly."""
    fold, k = fold_of(log, FOLDS, seed), len(log.arms)
    chosen = np.empty(len(log), dtype=np.int64)
    for number in range(int(fold.max()) + 1):
        rows = fold != number
        weight = 1.0 / log.action_probability[rows]
        total = np.bincount(log.arm[rows], weight * log.reward[rows], k)
        among = np.bincount(log.arm[rows], weight, k)
        chosen[~rows] = int(np.argmax(np.where(among > 0.0, total / np.maximum(among, 1e-300), -np.inf)))
    return _playing(log, BEST_CONSTANT, chosen)


def _playing(log: LoggedFeedback, name: str, chosen: Integers) -> Distribution:
    probability = np.zeros((len(log), len(log.arms)))
    probability[np.arange(len(log)), chosen] = 1.0
    return distribution(log, name, probability)
