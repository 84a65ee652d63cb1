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


@dataclass(frozen=True, slots=True)
class Eligible:
    """What scoring one customer takes: the arms left, (n,) rows of the strategy with DO_NOTHING, and what is known."""

    rows: np.ndarray
    scope: Scope
    covariates: Sequence[int]


def score(strategy: Strategy, predicted: np.ndarray, customers: Sequence[Eligible]) -> list[Scores]:
    """The scores of each customer's arms. DO_NOTHING has no response probability, value 0 and cost 0.

    `predicted` has the model's response probabilities of the other arms, one customer after another. All customers are
    scored as one long column: what is computed number by number is the same to the last bit, alone or with others.
    """
    if len(customers) == 1:
        rows, (shift, variance) = customers[0].rows, _shifts(strategy, customers[0])
    else:
        rows = np.concatenate([one.rows for one in customers])
        shift, variance = np.concatenate([_shifts(strategy, one) for one in customers], axis=1)
    nothing = rows == strategy.nothing
    p_model = np.full(len(rows), np.nan)
    p_model[~nothing] = predicted
    p_accept = np.minimum(np.maximum(corrected(p_model, shift), P_RANGE[0]), P_RANGE[1])  # np.clip takes twice as long
    value, weight, money = _worth(strategy, customers, rows)
    lever, cost = strategy.levers[rows], strategy.costs[rows]
    # A cost is known: the deviation is that of P alone, p (1 - p) being the slope of P by its logit.
    deviation = np.abs(p_accept * (1.0 - p_accept) * np.sqrt(variance) * money)
    deviation[nothing] = 0.0
    columns = (p_model, p_accept, value, weight, lever, cost, priorities(p_accept, money, cost), deviation)
    if len(customers) == 1:
        return [Scores(*columns)]
    ends = np.cumsum([len(one.rows) for one in customers]).tolist()
    return [Scores(*(column[a:b] for column in columns)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _shifts(strategy: Strategy, one: Eligible) -> np.ndarray:
    return strategy.correction.shifts(one.covariates, one.rows)


def _worth(
    strategy: Strategy, customers: Sequence[Eligible], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) value of a success, context weight, and money for a response, of all customers' rows."""
    weights = [strategy.context_weights(one.scope.values["context"].get("intent")) for one in customers]
    plain = all(weight is None for weight in weights)
    if plain and not strategy.valued_by_expression:
        return strategy.values[rows], np.ones(len(rows)), strategy.worth[rows]
    value = np.concatenate([values_of(strategy, one.scope)[one.rows] for one in customers])
    if plain:
        return value, np.ones(len(rows)), worth(value, None, strategy.levers[rows])
    found = [np.ones(len(o.rows)) if w is None else w[o.rows] for o, w in zip(customers, weights, strict=True)]
    weight = np.concatenate(found)
    return value, weight, worth(value, weight, strategy.levers[rows])


def values_of(strategy: Strategy, scope: Scope) -> np.ndarray:
    """(arms,) money for a success; where it is an expression, what it gives for this customer."""
    if not strategy.valued_by_expression:
        return strategy.values
    values = strategy.values.copy()
    for action_id, expression in strategy.valued_by_expression.items():
        amount = expression.amount(scope)
        values[strategy.valued_rows[action_id]] = np.nan if amount is None else amount
    return values
