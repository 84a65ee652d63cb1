"""What is learned online between two trainings, as the simulation sees it: a port, and the product behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from experiments.worlds.own_log import FEATURES
from experiments.worlds.world import TRAITS, BanditWorld, Floats, Integers
from training import residual
from training.bandit import P_RANGE, UNIT
from training.covariates import Covariates, varied_covariates
from training.start import NO_START, Start, kin_of


class Correction(Protocol):
    """Corrects a model's predictions by the answers that came since. Arms are numbered; features have shape (n, k)."""

    def estimate(self, p_model: Floats, features: Floats) -> tuple[Floats, Floats]:
        """(n, arms) model's predictions -> (n, arms) corrected probabilities, and one standard deviation of each."""

    def learn(self, rows: Integers, p_model: Floats, p_accept: Floats, features: Floats, accepted: Floats) -> None:
        """n answers: the arm of each, what model and correction had said, the features seen, and 1 where accepted."""

    def counts(self) -> Integers:
        """(arms,) how often each was learned from."""

    def restart(self, covariates: Covariates, start: Start) -> None:
        """Another model is in force, which leans on these features and starts from this."""


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

    def restart(self, covariates: Covariates, start: Start) -> None:  # noqa: ARG002
        self._prior.restart(covariates, NO_START)


class ResidualCorrection:
    """`training.residual`: a Bayesian logistic residual over the features the model leans on, arm by arm."""

    def __init__(self, world: BanditWorld) -> None:
        self._parents = kin_of(world.arms[:-1], world.catalogue)
        self._keys = [arm.key for arm in world.arms[:-1]]
        self._rows = np.arange(len(world.arms) - 1)
        self.restart(known_beforehand(world), NO_START)

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

    def restart(self, covariates: Covariates, start: Start) -> None:
        self._forget(covariates)
        for arm, (count, accepts, _, *taught) in start.statistics.weighed(0, 0.0).items():
            row = self._keys.index(arm)
            self._counts[row], self._accepts[row] = count, accepts / UNIT
            self._sums[:, row] = np.array(taught) / UNIT


def known_beforehand(world: BanditWorld) -> Covariates:
    """The covariates before the first model, from the customers imported before the first decision."""
    matrix = np.full((world.customers, len(FEATURES)), np.nan)
    # The last trait is the visit's.
    matrix[:, : len(TRAITS) - 1] = world.traits[:, :-1]
    return varied_covariates(FEATURES, matrix)


#: A player's name ends in `+` and one of these where it is not to learn as the product does.
CORRECTIONS: Mapping[str, Callable[[BanditWorld], Correction]] = {
    "residual": ResidualCorrection,
    "none": NoCorrection,
}
#: How the product learns.
SHIPPED = "residual"
