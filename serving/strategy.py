"""A strategy: everything that decides besides the customer, as one frozen value: catalogue, models, policy.

Serving holds one and swaps it whole, so that no decision ever mixes two versions of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.catalogue import EMPTY_CATALOGUE, Catalogue
from features.domain import Arm
from serving.exploration import Policy
from serving.expressions import CompiledCatalogue, compile_catalogue
from training.bandit import EpsilonGreedy, PolicySnapshot
from training.bundle import Bundle

#: Response probability assumed without a model: about what a cold e-mail earns.
P_WITHOUT_MODEL = 0.02


@dataclass(frozen=True)
class Strategy:
    """Catalogue with compiled expressions, models (None: not trained yet), what was learned online, and the policy."""

    compiled: CompiledCatalogue
    bundle: Bundle | None
    snapshot: PolicySnapshot
    policy: Policy

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

    @property
    def fallback_reason(self) -> str | None:
        return "no_model" if self.bundle is None else None

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(self.catalogue.arms())

    @cached_property
    def costs(self) -> tuple[float, ...]:
        return tuple(self.catalogue.contact_cost(arm) for arm in self.arms)

    @cached_property
    def _arm_rows(self) -> np.ndarray:
        assert self.bundle is not None
        return self.bundle.encoder.arm_matrix(self.arms, self.catalogue)

    @cached_property
    def _reads_scores(self) -> bool:
        every = (e for a in self.compiled.expressions.values() for e in (*(x for _, x in a.conditions), a.value) if e)
        return any(name.startswith("score.") for e in every for name in e.names)

    def scores(self, features: Mapping[str, float | None]) -> dict[str, float]:
        """churn and conversion probability of the customer, where an expression asks for them."""
        if self.bundle is None or not self._reads_scores:
            return {}
        row = self.bundle.encoder.customer_row(features)[None, :]
        return {name: float(self.bundle.predict(name, row)[0]) for name in ("churn", "conversion")}

    def p_model(self, features: Mapping[str, float | None], indices: Sequence[int]) -> np.ndarray:
        """(len(indices),) response probability of these arms for a customer with these features."""
        if not indices:
            return np.empty(0)
        if self.bundle is None:
            return np.full(len(indices), P_WITHOUT_MODEL)
        customer = self.bundle.encoder.customer_row(features)
        rows = self._arm_rows[list(indices)]
        matrix = np.hstack([np.broadcast_to(customer, (len(rows), len(customer))), rows])
        return self.bundle.predict("propensity", matrix)


EMPTY_STRATEGY = Strategy(compile_catalogue(EMPTY_CATALOGUE, ())[0], None, PolicySnapshot(), EpsilonGreedy())
