"""A world of customers whose true response is known, so that a policy can be judged against the truth.

Everything about a customer is a keyed hash of its id: a world can also adopt customers it did not make, and two
processes with the same seed see the same truth. Nothing here uses the code that decides.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri

from features.catalogue import Catalogue
from features.clock import DAY
from features.domain import DO_NOTHING, Arm

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Latent traits, each standard normal; the first four show in what a customer does.
TRAITS = ("activity", "price_sensitivity", "loyalty", "satisfaction", "youth")
#: How far ahead `true_scores` looks, in days.
HORIZON_DAYS = 30.0
_OWN = "sim-"
_SILENCE_SHARE = 0.22
_SILENCE_MEAN_DAYS = 40.0


@dataclass(frozen=True)
class World:
    """Customers and their true response to every arm of `catalogue`. `size` customers are its own, `sim-000001` on."""

    seed: int
    catalogue: Catalogue
    size: int = 2_000
    #: What is known already of arms, which the catalogue may have changed since: see `under`.
    kept: Mapping[Arm, tuple[float, Array]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def customer_ids(self) -> tuple[str, ...]:
        """The ids of the customers this world made."""
        return tuple(f"{_OWN}{n:06d}" for n in range(1, self.size + 1))

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(self.catalogue.arms())

    @cached_property
    def arm_truth(self) -> dict[Arm, tuple[float, Array]]:
        """Arm -> (constant, taste for each trait) of the response's logit."""
        return _arm_truth(self)

    def under(self, catalogue: Catalogue) -> World:
        """The same customers under an edited catalogue.

        Arms that were there are answered as before, whatever the catalogue now says they are worth; new ones have the
        truth a world of this seed gives them.
        """
        return World(self.seed, catalogue, self.size, {**self.kept, **self.arm_truth})

    def uniforms(self, purpose: str, names: Sequence[str], count: int = 8) -> Array:
        """(names, count) numbers in (0, 1), a keyed hash of seed, purpose and name; `count` at most 8."""
        key = f"{self.seed}|{purpose}".encode()[:64]
        digests = b"".join(blake2b(name.encode(), key=key).digest() for name in names)
        whole = np.frombuffer(digests, dtype="<u8").reshape(len(names), 8)[:, :count]
        return ((whole >> np.uint64(11)).astype(float) + 0.5) / 2.0**53

    def normals(self, purpose: str, names: Sequence[str], count: int = 8) -> Array:
        """The same, as standard normal numbers."""
        return np.asarray(ndtri(self.uniforms(purpose, names, count)), dtype=float)


def traits(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers, TRAITS) standard normal numbers."""
    return world.normals("traits", customer_ids, len(TRAITS))


def channel_preferences(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers, channels) standard normal numbers, in the catalogue's order. The young prefer push to e-mail."""
    tilt = {"push": 0.5, "sms": 0.3, "email": -0.5}
    young = traits(world, customer_ids)[:, TRAITS.index("youth")]
    columns = []
    for channel in world.catalogue.channels:
        share = tilt.get(channel, 0.0)
        own = world.normals(f"channel|{channel}", customer_ids, 1)[:, 0]
        columns.append(share * young + math.sqrt(1.0 - share**2) * own)
    return np.column_stack(columns) if columns else np.zeros((len(customer_ids), 0))


def session_rate(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers,) sessions a day while active: median 0.2, ten times more for the liveliest than for the calmest."""
    return 0.2 * np.exp(0.6 * traits(world, customer_ids)[:, 0])


def purchase_chance(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers,) chance that a session ends in a purchase: loyal customers buy more, price-sensitive ones less."""
    z = traits(world, customer_ids)
    return np.asarray(expit(-2.3 - 0.5 * z[:, 1] + 0.7 * z[:, 2]), dtype=float)


def silent_days(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers,) days since a customer of this world fell silent, 0 for an active one and for an adopted one.

    The dissatisfied and the disloyal fall silent more often; a fifth of all have.
    """
    u = world.uniforms("silence", customer_ids, 2)
    z = traits(world, customer_ids)
    share = expit(logit(_SILENCE_SHARE) - 0.7 * z[:, 2] - 0.8 * z[:, 3])
    own = np.array([name.startswith(_OWN) for name in customer_ids], dtype=bool)
    return np.where(own & (u[:, 0] < share), -_SILENCE_MEAN_DAYS * np.log(u[:, 1]), 0.0)


def true_scores(world: World, customer_ids: Sequence[str]) -> dict[str, Array]:
    """Name -> (customers,) true probability: `churn`, no activity in 30 days, and `conversion`, a purchase in them."""
    rate, buys = session_rate(world, customer_ids), purchase_chance(world, customer_ids)
    z, silent = traits(world, customer_ids), silent_days(world, customer_ids) > 0
    leaves = expit(-2.6 - 0.7 * z[:, 2] - 0.8 * z[:, 3])
    churn = np.where(silent, 0.92, 1.0 - (1.0 - leaves) * -np.expm1(-rate * HORIZON_DAYS))
    conversion = (1.0 - churn) * -np.expm1(-rate * buys * HORIZON_DAYS)
    return {"churn": churn, "conversion": conversion}


def true_values(world: World, customer_ids: Sequence[str], action: str) -> Array:
    """(customers,) money one success of `action` is truly worth.

    The catalogue's number; for arithmetic over `score.churn` and `score.conversion` that arithmetic over the true
    probabilities; for any other expression a constant of this world, 5 to 20.
    """
    value = world.catalogue.actions[action].value
    if isinstance(value, str):
        try:
            result = _arithmetic(ast.parse(value, mode="eval").body, true_scores(world, customer_ids))
        except (SyntaxError, ValueError):
            result = 5.0 + 15.0 * world.uniforms("value", [action], 1)[0, 0]
    else:
        result = value
    return np.broadcast_to(np.asarray(result, dtype=float), len(customer_ids))


def _arithmetic(node: ast.expr, scores: dict[str, Array]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Attribute(value=ast.Name(id="score"), attr=name) if name in scores:
            return scores[name]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as sign, right=right):
            a, b = _arithmetic(left, scores), _arithmetic(right, scores)
            return a + b if isinstance(sign, ast.Add) else a - b if isinstance(sign, ast.Sub) else a * b
    raise ValueError("not plain arithmetic over scores")


def response_probabilities(world: World, customer_ids: Sequence[str], arms: Sequence[Arm], now: int | None) -> Array:
    """(customers, arms) true probability that a customer accepts an arm; 0 for DO_NOTHING.

    A logit, linear in the traits: each action has its own base rate (dear ones lower, so that no action is best for
    all), each group and action its own taste for traits, each customer its own channels. `now` adds a weekly rhythm.
    """
    if not arms:
        return np.zeros((len(customer_ids), 0))
    z, preferences = traits(world, customer_ids), channel_preferences(world, customer_ids)
    columns, interest = list(world.catalogue.channels), {}
    out = np.zeros((len(customer_ids), len(arms)))
    for k, arm in enumerate(arms):
        if arm == DO_NOTHING:
            continue
        if arm.action not in interest:
            interest[arm.action] = world.normals(f"interest|{arm.action}", customer_ids, 1)[:, 0]
        constant, taste = world.arm_truth[arm]
        linear = constant + z @ taste + 0.6 * preferences[:, columns.index(arm.channel)] + 0.3 * interest[arm.action]
        out[:, k] = expit(linear + _weekly(world, arm.channel, now))
    return out


def _weekly(world: World, channel: str, now: int | None) -> float:
    if now is None:
        return 0.0
    phase = world.uniforms("week", [channel], 1)[0, 0]
    return 0.15 * math.cos(2 * math.pi * (now / (7 * DAY) + phase))


def _arm_truth(world: World) -> dict[Arm, tuple[float, Array]]:
    sample = [f"{_OWN}{n:06d}" for n in range(1, 201)]
    truth = {}
    for action in world.catalogue.actions.values():
        group = world.normals("taste of group", [action.group], len(TRAITS))[0]
        own = world.normals("taste of action", [action.id], len(TRAITS))[0]
        taste = 1.1 * group / np.linalg.norm(group) + 0.6 * own / np.linalg.norm(own)
        worth = max(0.1, float(true_values(world, sample, action.id).mean()))
        # Worth 0.6 to 1.4 a contact on average: no one action is the best for everybody.
        target = 0.6 + 0.8 * world.uniforms("appeal", [action.id], 1)[0, 0]
        base = float(logit(min(0.3, max(0.02, target / worth))))
        for treatment in action.treatments:
            arm = Arm(action.id, treatment.channel)
            tone = world.normals("tone", [arm.key], 1)[0, 0] + world.normals("reach", [arm.channel], 1)[0, 0]
            truth[arm] = world.kept.get(arm, (base - 0.4 + 0.2 * tone, taste))
    return truth


def response_probability(world: World, customer_id: str, arm: Arm, now: int | None = None) -> float:
    """The true probability that this customer accepts this arm; without `now`, its average over the week's rhythm."""
    return float(response_probabilities(world, [customer_id], [arm], now)[0, 0])


def expected_rewards(world: World, customer_ids: Sequence[str], arms: Sequence[Arm], now: int | None = None) -> Array:
    """(customers, arms) money: true probability x true value of a success - contact cost; 0 for DO_NOTHING."""
    reward = response_probabilities(world, customer_ids, arms, now)
    for k, arm in enumerate(arms):
        if arm != DO_NOTHING:
            worth = true_values(world, customer_ids, arm.action)
            reward[:, k] = reward[:, k] * worth - world.catalogue.contact_cost(arm)
    return reward


def expected_reward(world: World, customer_id: str, arm: Arm, now: int | None = None) -> float:
    """Money to expect from giving this arm to this customer once."""
    return float(expected_rewards(world, [customer_id], [arm], now)[0, 0])


def random_reward(world: World, customer_id: str, arms: Sequence[Arm], now: int | None = None) -> float:
    """Money to expect from drawing one of `arms` uniformly."""
    return float(expected_rewards(world, [customer_id], arms, now).mean())


def best_arm(world: World, customer_id: str, arms: Sequence[Arm], now: int | None = None) -> Arm:
    """The arm of `arms` with the highest expected reward; the first of equals."""
    return arms[int(expected_rewards(world, [customer_id], arms, now)[0].argmax())]
