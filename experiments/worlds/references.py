"""Players to be measured against: random, two fixed rules, and the oracle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.worlds.play import TICK, Feedback, Visits
from experiments.worlds.world import BanditWorld, Floats, Integers, luck


@dataclass(frozen=True, slots=True)
class Random:
    """Every allowed arm alike, doing nothing among them."""

    name: str = "random"

    def distributions(self, visits: Visits) -> Floats:
        return visits.allowed / visits.allowed.sum(axis=1, keepdims=True)

    def learn(self, feedback: Feedback) -> None:
        """Never."""


@dataclass(frozen=True, slots=True)
class FixedRule:
    """The first allowed arm of a fixed order: (arms,) rows, best first."""

    name: str
    order: Integers

    def distributions(self, visits: Visits) -> Floats:
        first = self.order[visits.allowed[:, self.order].argmax(axis=1)]
        return np.asarray(np.eye(visits.allowed.shape[1])[first])

    def learn(self, feedback: Feedback) -> None:
        """Never."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """The allowed arm of the highest true expected reward. It looks one decision ahead: fatigue it sees, later cost
    of tiring a customer it does not."""

    name: str = "oracle"

    def distributions(self, visits: Visits) -> Floats:
        best = np.where(visits.allowed, visits.expected_rewards, -np.inf).argmax(axis=1)
        return np.asarray(np.eye(visits.allowed.shape[1])[best])

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


def catalogue_order(world: BanditWorld) -> FixedRule:
    """What a marketer does without data: the first offer of the catalogue that is allowed."""
    return FixedRule("catalogue-order", np.arange(len(world.arms)))


def best_constant(world: BanditWorld, decisions: int) -> FixedRule:
    """The best fixed order in hindsight: arms by their true mean reward over this run's visits while on offer."""
    chance = luck(world, decisions, TICK)
    shown = slice(None, None, max(1, decisions // 5_000))
    traits, at = chance.traits[shown], chance.at[shown]
    rewards, live = world.expected_rewards(traits, at, np.zeros(len(at))), world.live(at)
    means = (rewards * live).sum(axis=0) / np.maximum(live.sum(axis=0), 1)
    return FixedRule("best-constant", np.argsort(-means, kind="stable"))
