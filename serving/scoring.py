"""Scoring the survivors: response probability, value, lever and cost of each, and the priority they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from serving.arbitration import priorities, worth
from serving.expressions import Scope
from serving.strategy import Strategy
from training.bandit import P_RANGE
from training.residual import corrected


@dataclass(frozen=True, slots=True)
class Scores:
    """One number for each survivor in every column, shape (n,); NaN where a factor is not known."""

    p_model: np.ndarray
    p_accept: np.ndarray
    action_value: np.ndarray
    context_weight: np.ndarray
    lever: np.ndarray
    contact_cost: np.ndarray
    priority: np.ndarray
    #: One posterior standard deviation of the priority, in money; 0 for DO_NOTHING.
    deviation: np.ndarray


#: The columns that a decision's record keeps.
SCORED = tuple(field.name for field in fields(Scores))


def score(
    strategy: Strategy, predicted: np.ndarray, rows: np.ndarray, scope: Scope, covariates: Sequence[int]
) -> Scores:
    """The scores of the arms in `rows`, DO_NOTHING among them, which has no response probability, value 0 and cost 0.

    `predicted`, shape (n - 1,), is the model's response probability of the others, `covariates` the customer's.
    """
    p_model = np.full(len(rows), np.nan)
    p_model[rows != strategy.nothing] = predicted
    shift, variance = strategy.correction.shifts(covariates, rows)
    p_accept = np.minimum(np.maximum(corrected(p_model, shift), P_RANGE[0]), P_RANGE[1])  # np.clip takes twice as long
    weights = strategy.context_weights(scope.values["context"].get("intent"))
    value, money = strategy.values, strategy.worth
    if strategy.valued_by_expression or weights is not None:
        value = _values(strategy, scope)
        money = worth(value, weights, strategy.levers)
    money, cost = money[rows], strategy.costs[rows]
    # A cost is known: the deviation is that of P alone, p (1 - p) being the slope of P by its logit.
    deviation = np.abs(p_accept * (1.0 - p_accept) * np.sqrt(variance) * money)
    deviation[rows == strategy.nothing] = 0.0
    weight = np.ones(len(rows)) if weights is None else weights[rows]
    priority = priorities(p_accept, money, cost)
    return Scores(p_model, p_accept, value[rows], weight, strategy.levers[rows], cost, priority, deviation)


def _values(strategy: Strategy, scope: Scope) -> np.ndarray:
    """(arms,) money for a success; where it is an expression, what it gives for this customer."""
    if not strategy.valued_by_expression:
        return strategy.values
    values = strategy.values.copy()
    for action_id, expression in strategy.valued_by_expression.items():
        amount = expression.amount(scope)
        values[strategy.valued_rows[action_id]] = np.nan if amount is None else amount
    return values
