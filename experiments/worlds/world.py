"""A bandit world: customers who visit, arms with their true response, and what each is worth. All of it known.

A world is a function of its seed alone: two policies with the same seed meet the same customers at the same moments,
and the same luck. What a policy may see is in `Visits`; the truth is for the oracle and for the score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.catalogue import Catalogue
from features.clock import DAY
from features.domain import DO_NOTHING, Arm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Masks = NDArray[np.bool_]

#: (customers' traits (n, k), moments in days (n,)) -> logits of acceptance (n, arms without DO_NOTHING).
Response = Callable[[Floats, Floats], Floats]

#: The first moment of every world; a multiple of a day.
START = 20_000 * DAY
#: Visits a day: 50,000 decisions take 180 days.
VISITS_A_DAY = 50_000 / 180.0
#: The traits all worlds have. The last one changes from visit to visit, the others belong to the customer.
TRAITS = ("age", "tenure", "visits", "price_sense", "spend", "urban", "app_user", "session_depth")


@dataclass(frozen=True, slots=True)
class Delay:
    """When the answer on a channel is known: after `days` on average (exponential), or, if `at_close`, exactly then."""

    days: float
    at_close: bool = False


@dataclass(frozen=True, slots=True)
class Fatigue:
    """Each contact tires: the logit of acceptance falls by `logit` for every contact, which wears off over `days`."""

    logit: float = 0.0
    days: float = 7.0


@dataclass(frozen=True, slots=True)
class Harm:
    """Of the customers `hit` names, a contact drives away the share `probability`, each at a loss of `money`."""

    hit: Callable[[Floats], Masks]
    probability: float
    money: float


@dataclass(frozen=True, eq=False)
class BanditWorld:
    """One world. `says` describes it in a sentence; `stationary` worlds never change."""

    name: str
    says: str
    stationary: bool
    seed: int
    catalogue: Catalogue
    customers: int
    response: Response
    delays: Mapping[str, Delay]
    fatigue: Fatigue = field(default_factory=Fatigue)
    harm: Harm | None = None
    #: Traits (n, k) -> what a success is worth, as a multiple of the catalogue's value; known to every policy.
    worth: Callable[[Floats], Floats] | None = None

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """In the catalogue's order, DO_NOTHING last: every (arms,) below is in this order."""
        return (*self.catalogue.arms(), DO_NOTHING)

    @cached_property
    def catalogue_values(self) -> Floats:
        """(arms,) money for a success."""
        return np.array([0.0 if a == DO_NOTHING else float(self.catalogue.actions[a.action].value) for a in self.arms])

    @cached_property
    def costs(self) -> Floats:
        """(arms,) money for one contact."""
        return np.array([0.0 if a == DO_NOTHING else self.catalogue.contact_cost(a) for a in self.arms])

    @cached_property
    def traits(self) -> Floats:
        """(customers, traits) of the customers; the column of the visit is empty."""
        rng = np.random.default_rng([self.seed, 1])
        out = rng.normal(size=(self.customers, len(TRAITS)))
        out[:, TRAITS.index("age")] = rng.uniform(-1.7, 1.7, self.customers)
        out[:, TRAITS.index("spend")] = np.exp(0.8 * out[:, TRAITS.index("spend")])
        for name, share in (("urban", 0.4), ("app_user", 0.25)):
            out[:, TRAITS.index(name)] = rng.random(self.customers) < share
        return out

    def live(self, at: Integers) -> Masks:
        """(n, arms) which arms are on offer at these moments, by the catalogue's dates."""
        out = np.ones((len(at), len(self.arms)), dtype=bool)
        for column, arm in enumerate(self.arms[:-1]):
            action = self.catalogue.actions[arm.action]
            if action.starts_at is not None:
                out[:, column] &= at >= action.starts_at
            if action.ends_at is not None:
                out[:, column] &= at < action.ends_at
        return out

    def values(self, traits: Floats) -> Floats:
        """(n, arms) money a success of each arm is worth with each customer."""
        multiple = np.ones(len(traits)) if self.worth is None else self.worth(traits)
        return multiple[:, None] * self.catalogue_values

    def p_accept(self, traits: Floats, at: Integers, tired: Floats) -> Floats:
        """(n, arms) true probability of acceptance; `tired` (n,) is how many contacts still weigh on a customer."""
        logits = self.response(traits, (at - START) / DAY) - self.fatigue.logit * tired[:, None]
        return np.hstack([expit(logits), np.zeros((len(traits), 1))])

    def harm_probability(self, traits: Floats) -> Floats:
        """(n,) true probability that a contact drives a customer away."""
        return np.zeros(len(traits)) if self.harm is None else np.where(self.harm.hit(traits), self.harm.probability, 0)

    def expected_rewards(self, traits: Floats, at: Integers, tired: Floats) -> Floats:
        """(n, arms) true money to expect: probability x worth - contact cost - harm; 0 for DO_NOTHING."""
        reward = self.p_accept(traits, at, tired) * self.values(traits) - self.costs
        if self.harm is not None:
            reward[:, :-1] -= (self.harm_probability(traits) * self.harm.money)[:, None]
        return reward


@dataclass(frozen=True, slots=True, eq=False)
class Luck:
    """Everything that is drawn beforehand for n decisions; the same for every policy. All (n,) but `traits` (n, k)."""

    at: Integers
    customers: Integers
    traits: Floats
    draw: Floats
    answer: Floats
    harm: Floats
    delay: Floats


def luck(world: BanditWorld, decisions: int, tick: int) -> Luck:
    """Visits and chance of a run: in every `tick` decisions no customer comes twice."""
    rng = np.random.default_rng([world.seed, 2])
    rounds = [rng.choice(world.customers, tick, replace=False) for _ in range(-(-decisions // tick))]
    customers = np.concatenate(rounds)[:decisions]
    traits = world.traits[customers].copy()
    traits[:, -1] = rng.normal(size=decisions)
    at = START + (np.arange(decisions) / VISITS_A_DAY * DAY).astype(np.int64)
    chance: Any = rng.random((decisions, 4))
    return Luck(at, customers, traits, chance[:, 0], chance[:, 1], chance[:, 2], -np.log1p(-chance[:, 3]))
