"""What is learned online between two trainings, as the simulation sees it: a port, and the product behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from experiments.worlds.own_log import FEATURES
from experiments.worlds.world import BanditWorld, Floats, Integers
from training import residual
from training.bandit import P_RANGE, UNIT
from training.covariates import Covariates


class Correction(Protocol):
    """Corrects a model's predictions by the answers that came since. Arms are numbered; features have shape (n, k)."""

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:
        """(n, arms) model's predictions -> (n, arms) corrected probabilities, and one standard deviation of each."""

    def learn(self, rows: Integers, p_model: Floats, p_accept: Floats, features: Floats, accepted: Floats) -> None:
        """n answers: the arm of each, what model and correction had said, the features seen, and 1 where accepted."""

    def counts(self) -> Integers:
        """(arms,) how often each was learned from."""

    def restart(self, bundle: str, covariates: Covariates) -> None:
        """Another model is in force, which leans on these features."""


class NoCorrection:
    """The model alone, as sure of itself as the prior of the residual is of nothing: what learning online is worth."""

    def __init__(self, world: BanditWorld) -> None:
        self._prior = ResidualCorrection(world)

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:
        return self._prior.estimate(p_model, features)

    def learn(self, rows: Integers, p_model: Floats, p_accept: Floats, features: Floats, accepted: Floats) -> None:
        """Never."""

    def counts(self) -> Integers:
        return self._prior.counts()

    def restart(self, bundle: str, covariates: Covariates) -> None:
        self._prior.restart(bundle, covariates)


class ResidualCorrection:
    """`training.residual`: a Bayesian logistic residual over the features the model leans on, arm by arm."""

    def __init__(self, world: BanditWorld) -> None:
        actions, groups = list(world.catalogue.actions), list(world.catalogue.groups)
        self._parents = (
            np.array([actions.index(arm.action) for arm in world.arms[:-1]]),
            np.array([groups.index(action.group) for action in world.catalogue.actions.values()]),
        )
        self._rows = np.arange(len(world.arms) - 1)
        self._forget(Covariates())

    def _forget(self, covariates: Covariates) -> None:
        self._covariates = covariates
        self._counts, self._accepts = np.zeros(len(self._rows)), np.zeros(len(self._rows))
        self._sums = np.zeros((residual.length(1 + len(covariates.names)), len(self._rows)))
        self._posterior: residual.Correction | None = None

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:
        if self._posterior is None:
            self._posterior = residual.posterior(self._counts, self._accepts, self._sums, self._parents)
        found = [self._posterior.shifts(self._of(row), self._rows) for row in features]
        shifts, variances = (np.array(part) for part in zip(*found, strict=True))
        p_accept = np.clip(residual.corrected(p_model, shifts), *P_RANGE)
        return p_accept, p_accept * (1.0 - p_accept) * np.sqrt(variances)

    def learn(self, rows: Integers, p_model: Floats, p_accept: Floats, features: Floats, accepted: Floats) -> None:
        for row, before, stated, seen, one in zip(
            rows.tolist(), p_model.tolist(), p_accept.tolist(), features, accepted.tolist(), strict=True
        ):
            taught = residual.taught(round(one * UNIT), before, stated, self._of(seen))
            self._sums[:, row] += np.array(taught) / UNIT
            self._counts[row] += 1.0
            self._accepts[row] += one
        self._posterior = None

    def _of(self, features: Floats) -> tuple[int, ...]:
        return self._covariates.of(dict(zip(FEATURES, features.tolist(), strict=True)))

    def counts(self) -> Integers:
        return self._counts.astype(np.int64)

    def restart(self, bundle: str, covariates: Covariates) -> None:  # noqa: ARG002
        self._forget(covariates)


#: A player's name ends in `+` and one of these where it is not to learn as the product does.
CORRECTIONS: Mapping[str, Callable[[BanditWorld], Correction]] = {
    "residual": ResidualCorrection,
    "none": NoCorrection,
}
#: How the product learns.
SHIPPED = "residual"
