"""True response functions: how the logit of acceptance depends on the customer, arm by arm and over time.

`bent` is of no kind that a linear model or a forest of trees fits exactly: waves, ridges, bumps and products of traits,
in directions that are no axis, each of three of the eight traits. Arms of one group share most of their taste, as
products do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from experiments.worlds.world import TRAITS, Floats, Response
from features.catalogue import Catalogue

Generator = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What each arm's taste is made of: `base` (arms,), and the numbers of its group, action and channel."""

    base: Floats
    group: Sequence[int]
    action: Sequence[int]
    channel: Sequence[int]


def standard(traits: Floats) -> Floats:
    """(n, k) traits with the skewed `spend` on a log scale and the two flags centred: each about mean 0, variance 1."""
    z = traits.copy()
    z[:, TRAITS.index("spend")] = np.log(traits[:, TRAITS.index("spend")]) / 0.8
    z[:, TRAITS.index("urban")] = (traits[:, TRAITS.index("urban")] - 0.4) * 2.0
    z[:, TRAITS.index("app_user")] = (traits[:, TRAITS.index("app_user")] - 0.25) * 2.3
    return z


def shape(rng: Generator, catalogue: Catalogue, worth: tuple[float, float]) -> Shape:
    """Arms worth between the two numbers of `worth` to an average customer; dear ones are rarely accepted."""
    arms, groups = list(catalogue.arms()), list(catalogue.groups)
    actions, channels = list(catalogue.actions), list(catalogue.channels)
    target = dict(zip(actions, rng.uniform(*worth, len(actions)), strict=True))
    values = np.array([float(catalogue.actions[arm.action].value) for arm in arms])
    shares = np.clip([target[arm.action] for arm in arms] / values, 0.001, 0.35)
    tone = rng.normal(size=len(channels))
    base = logit(shares) + 0.25 * np.array([tone[channels.index(arm.channel)] for arm in arms])
    return Shape(
        base + 0.15 * rng.normal(size=len(arms)),
        [groups.index(catalogue.actions[arm.action].group) for arm in arms],
        [actions.index(arm.action) for arm in arms],
        [channels.index(arm.channel) for arm in arms],
    )


def directions(rng: Generator, count: int, length: float, traits: int = len(TRAITS)) -> Floats:
    """(count, k) vectors of this length in random directions, each of so many traits."""
    out = rng.normal(size=(count, len(TRAITS)))
    for row in out:
        row[rng.choice(len(TRAITS), len(TRAITS) - traits, replace=False)] = 0.0
    return np.asarray(length * out / np.linalg.norm(out, axis=1, keepdims=True))


def tastes(rng: Generator, form: Shape, length: float, traits: int = len(TRAITS)) -> Floats:
    """(arms, k) linear taste of each arm: mostly its group's, some of its own, some of its channel's."""
    group = directions(rng, max(form.group) + 1, 0.8 * length, traits)[form.group]
    action = directions(rng, max(form.action) + 1, 0.5 * length, traits)[form.action]
    return np.asarray(group + action + directions(rng, max(form.channel) + 1, 0.35 * length, traits)[form.channel])


def straight(rng: Generator, form: Shape, length: float = 1.0) -> Response:
    """logit = base + taste . z."""
    taste = tastes(rng, form, length)
    return lambda traits, _days: form.base + standard(traits) @ taste.T


def bent(rng: Generator, form: Shape) -> Response:
    """logit = base + wave + ridge + product of two traits + bump, shared by the arms of a group, tilted by each."""
    wave, ridge = tastes(rng, form, 0.9, 3), tastes(rng, form, 1.2, 3)
    phase = rng.uniform(0.0, 2.0 * np.pi, max(form.group) + 1)[form.group]
    pairs = np.array([rng.choice(len(TRAITS), 2, replace=False) for _ in range(max(form.group) + 1)])[form.group]
    centre = directions(rng, max(form.group) + 1, 1.5, 3)[form.group]

    def response(traits: Floats, _days: Floats) -> Floats:
        z = standard(traits)
        far = ((z[:, None, :] - centre) ** 2).sum(axis=2)
        waves = 1.2 * np.sin(z @ wave.T + phase) + 1.2 * np.tanh(z @ ridge.T)
        return np.asarray(form.base + waves + 0.4 * z[:, pairs[:, 0]] * z[:, pairs[:, 1]] + np.exp(far / -6.0) - 0.2)

    return response


def turning(rng: Generator, form: Shape, days: float) -> Response:
    """A linear taste that turns into another, unrelated one over `days`, and on into its opposite over twice that."""
    now, then = tastes(rng, form, 1.1), tastes(rng, form, 1.1)

    def response(traits: Floats, at: Floats) -> Floats:
        z, angle = standard(traits), 0.5 * np.pi * at[:, None] / days
        return np.asarray(form.base + np.cos(angle) * (z @ now.T) + np.sin(angle) * (z @ then.T))

    return response


def seasonal(rng: Generator, form: Shape, days: float, swing: float) -> Response:
    """`bent`, and the appetite for each group rises and falls by `swing` on the logit, every `days`, out of step."""
    still = bent(rng, form)
    groups = max(form.group) + 1
    phase = (np.arange(groups) / groups + rng.uniform(0.0, 1.0))[form.group]
    return lambda traits, at: still(traits, at) + swing * np.sin(2.0 * np.pi * (at[:, None] / days + phase))
