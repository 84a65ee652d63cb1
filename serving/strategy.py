"""A strategy: everything that decides besides the customer, as one frozen value: catalogue, models, policy.

Serving holds one and swaps it whole, so that no decision ever mixes two versions of anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.catalogue import EMPTY_CATALOGUE, Action, Catalogue, Intent
from features.domain import DO_NOTHING, Arm
from features.rewards import reward_rule
from serving.arbitration import factor, worth
from serving.contact_policy import ContactPlan, contact_plan
from serving.eligibility import Gates, gates_of
from serving.expressions import SCORES, ActionExpressions, CompiledCatalogue, Expression, compile_catalogue
from training.bandit import PolicySnapshot
from training.bundle import Bundle
from training.covariates import NO_COVARIATES, Covariates
from training.explorer import Explorer
from training.policies import EpsilonGreedy
from training.residual import Correction
from training.scorer import ArmScorer
from training.start import kin_of

#: Response probability assumed without a model: about what a cold e-mail earns.
P_WITHOUT_MODEL = 0.02
#: The models there can be, what weighs most first.
MODELS = ("propensity", *SCORES)
#: What a decision says that was drawn without some model, or without any: its probabilities are those of a policy.
WITHOUT_MODEL = ("no_model", *(f"no_{name}_model" for name in MODELS))
_NOTHING_SEEN = np.empty(0)


@dataclass(frozen=True, slots=True)
class Offer:
    """Actions that the same dates, placements and conditions hold back: one of them, and the rows of all."""

    action: Action
    expressions: ActionExpressions
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Strategy:
    """Catalogue with compiled expressions, models (None: not trained yet), what was learned online, and the policy."""

    compiled: CompiledCatalogue
    bundle: Bundle | None
    snapshot: PolicySnapshot
    policy: Explorer

    @property
    def catalogue(self) -> Catalogue:
        return self.compiled.catalogue

    @property
    def bundle_id(self) -> str | None:
        return None if self.bundle is None else self.bundle.bundle_id

    @cached_property
    def policy_version(self) -> str:
        """Names the distribution: rule of drawing and number of the snapshot."""
        return f"{self.policy.name}/{self.snapshot.number}"

    @cached_property
    def missing_models(self) -> tuple[str, ...]:
        """The models that decide here and are not there, what weighs most first: churn and conversion count only where
        an expression of the catalogue asks for them."""
        held = () if self.bundle is None else self.bundle.models
        asked = ("propensity", *self._scores_read)
        return tuple(name for name in MODELS if name in asked and name not in held)

    @cached_property
    def fallback_reason(self) -> str | None:
        """`no_model` where there is none at all, else the weightiest that is missing."""
        if self.bundle is None or not self.bundle.models:
            return "no_model"
        return next((f"no_{name}_model" for name in self.missing_models), None)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Every arm, DO_NOTHING among them, sorted by key: everything below is in this order."""
        return tuple(sorted((*self.catalogue.arms(), DO_NOTHING), key=lambda arm: arm.key))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(arm.key for arm in self.arms)

    @cached_property
    def nothing(self) -> int:
        """The row of DO_NOTHING."""
        return self.arms.index(DO_NOTHING)

    @cached_property
    def rows_of_action(self) -> Mapping[str, tuple[int, ...]]:
        """The rows of each action of the catalogue."""
        return {a: tuple(i for i, arm in enumerate(self.arms) if arm.action == a) for a in self.catalogue.actions}

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The actions of the catalogue, those together that the same dates, placements and conditions hold back."""
        alike: dict[object, list[str]] = {}
        for action in self.catalogue.actions.values():
            conditions = [(kind, one.source) for kind, one in self.compiled.expressions[action.id].conditions]
            dates = action.starts_at, action.ends_at
            alike.setdefault((dates, tuple(action.placements), tuple(conditions)), []).append(action.id)
        return tuple(
            Offer(
                self.catalogue.actions[actions[0]],
                self.compiled.expressions[actions[0]],
                tuple(row for action in actions for row in self.rows_of_action[action]),
            )
            for actions in alike.values()
        )

    @cached_property
    def success_windows(self) -> tuple[int, ...]:
        """(arms,) microseconds from a decision until its success no longer counts, 0 for DO_NOTHING."""
        return tuple(_success_window(self.catalogue, arm) for arm in self.arms)

    @cached_property
    def action_numbers(self) -> np.ndarray:
        """(arms,) a number for the action of each arm; the actions of an exclusive group share theirs."""
        numbers: dict[str, int] = {}
        named = [_excluding(self.catalogue, arm) for arm in self.arms]
        return np.array([numbers.setdefault(name, len(numbers)) for name in named])

    @cached_property
    def contact_plan(self) -> ContactPlan:
        """The contact rules, with the arms that each concerns."""
        return contact_plan(self.catalogue, self.arms)

    @cached_property
    def gates(self) -> Gates:
        """What consent and quiet hours tell apart among the arms."""
        return gates_of(self.catalogue, self.arms)

    @cached_property
    def _context_weights(self) -> Mapping[str, np.ndarray]:
        return {
            intent.id: np.array([_weight(self.catalogue, intent, arm) for arm in self.arms])
            for intent in self.catalogue.intents.values()
        }

    def context_weights(self, intent: object) -> np.ndarray | None:
        """(arms,) factors for what the customer came for, None where the catalogue says nothing about it."""
        return self._context_weights.get(intent) if isinstance(intent, str) else None

    @cached_property
    def costs(self) -> np.ndarray:
        """(arms,) money a contact costs."""
        return np.array([0.0 if arm == DO_NOTHING else self.catalogue.contact_cost(arm) for arm in self.arms])

    @cached_property
    def levers(self) -> np.ndarray:
        """(arms,) factors by which the business favours an action."""
        actions = self.catalogue.actions
        return np.array([1.0 if arm == DO_NOTHING else factor([actions[arm.action].lever]) for arm in self.arms])

    @cached_property
    def values(self) -> np.ndarray:
        """(arms,) money for a success; NaN where an expression says, 0 for DO_NOTHING."""
        return np.array([_fixed_value(self.catalogue, arm) for arm in self.arms])

    @cached_property
    def worth(self) -> np.ndarray:
        """(arms,) money for a response, where neither an expression nor an intent has a say."""
        return worth(self.values, None, self.levers)

    @cached_property
    def learned(self) -> PolicySnapshot:
        """The snapshot on top of what the bundle starts from."""
        return self.snapshot if self.bundle is None else self.bundle.start.added_to(self.snapshot)

    @cached_property
    def correction(self) -> Correction:
        """What the policy learned: how each arm's prediction is to be corrected, and how surely."""
        return self.learned.correction(self.keys, kin_of(self.arms, self.catalogue), 1 + len(self._covariates.names))

    @property
    def _covariates(self) -> Covariates:
        return NO_COVARIATES if self.bundle is None else self.bundle.covariates

    @cached_property
    def caps(self) -> np.ndarray | None:
        """(arms,) most that an arm may hold while it is new, None where nothing limits it. Doing nothing has no cap."""
        return self.policy.caps(np.array([self.learned.count(key) for key in self.keys]), self.nothing)

    @cached_property
    def valued_by_expression(self) -> Mapping[str, Expression]:
        """The actions whose value is an expression."""
        return {a: e.value for a, e in self.compiled.expressions.items() if e.value is not None}

    @cached_property
    def valued_rows(self) -> Mapping[str, np.ndarray]:
        """The rows of each of those."""
        return {action: np.array(self.rows_of_action[action], dtype=np.intp) for action in self.valued_by_expression}

    @cached_property
    def _propensity(self) -> ArmScorer:
        assert self.bundle is not None
        return self.bundle.for_arms(self.bundle.encoder.arm_matrix(self.arms, self.catalogue))

    @cached_property
    def _scores_read(self) -> tuple[str, ...]:
        """The scores that some expression asks for."""
        named = {name for expression in self._expressions() for name in expression.names}
        return tuple(score for score in SCORES if f"score.{score}" in named)

    @cached_property
    def _known(self) -> Mapping[str, frozenset[str] | None]:
        """The intents and placements that the catalogue names; None where an expression reads them: it may know any."""
        catalogue, text = self.catalogue, " ".join(expression.source for expression in self._expressions())
        placements = frozenset(one for action in catalogue.actions.values() for one in action.placements)
        named = {"intent": frozenset(catalogue.intents), "placement": placements}
        return {what: None if what in text else names for what, names in named.items()}

    def knows(self, what: str, name: str) -> bool:
        """Whether an `intent` or a `placement` of this name means anything to the catalogue."""
        known = self._known[what]
        return known is None or name in known

    def _expressions(self) -> Iterator[Expression]:
        for of in self.compiled.expressions.values():
            yield from (expression for _, expression in of.conditions)
            if of.value is not None:
                yield of.value

    def encoded(self, features: Mapping[str, float | None]) -> np.ndarray:
        """(k,) a customer with these features as the models see them; nothing where there are none."""
        return _NOTHING_SEEN if self.bundle is None else self.bundle.encoder.customer_row(features)

    def scores(self, customers: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """churn and conversion probability of `encoded` customers, where an expression asks for them."""
        if self.bundle is None or not self._scores_read or not customers:
            return [{} for _ in customers]
        matrix = np.stack(customers)
        columns = [self.bundle.predict(name, matrix).tolist() for name in self._scores_read]
        return [dict(zip(self._scores_read, values, strict=True)) for values in zip(*columns, strict=True)]

    def p_model(self, customers: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> np.ndarray:
        """Response probabilities of n `encoded` customers with the arms in `rows`, (m,) for each: one after another."""
        count = sum(map(len, rows))
        if self.bundle is None or not count:
            return np.full(count, P_WITHOUT_MODEL)
        return self._propensity.predict(customers, rows)

    def covariates(self, features: Mapping[str, float | None]) -> tuple[int, ...]:
        """What the correction looks at of a customer with these features."""
        return self._covariates.of(features)

    def warm(self) -> Strategy:
        """Works out beforehand what every decision needs, so that none has to wait for it."""
        for name in dir(type(self)):
            if isinstance(getattr(type(self), name), cached_property) and (self.bundle or name != "_propensity"):
                getattr(self, name)
        self.scores([self.encoded({})])
        return self


def _excluding(catalogue: Catalogue, arm: Arm) -> str:
    """What a slate may hold once: the action, or its group where that is exclusive. `/` is in no id."""
    action = catalogue.actions.get(arm.action)
    return f"group/{action.group}" if action and action.group in catalogue.exclusive_groups else arm.action


def _weight(catalogue: Catalogue, intent: Intent, arm: Arm) -> float:
    return 1.0 if arm == DO_NOTHING else factor(intent.percents(catalogue.actions[arm.action]))


def _success_window(catalogue: Catalogue, arm: Arm) -> int:
    if arm == DO_NOTHING:
        return 0
    return reward_rule(arm, catalogue.actions[arm.action], catalogue.channels[arm.channel]).success_window


def _fixed_value(catalogue: Catalogue, arm: Arm) -> float:
    value = 0.0 if arm == DO_NOTHING else catalogue.actions[arm.action].value
    return np.nan if isinstance(value, str) else value


EMPTY_STRATEGY = Strategy(compile_catalogue(EMPTY_CATALOGUE, ())[0], None, PolicySnapshot(), Explorer(EpsilonGreedy()))
