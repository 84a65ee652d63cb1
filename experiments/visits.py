"""The visits of a simulated world's customers: sessions, and what came of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from experiments.population import join_days
from experiments.simulator import (
    World,
    channel_preferences,
    purchase_chance,
    session_rate,
    silent_days,
    traits,
)
from features.clock import DAY, HOUR, MINUTE, SECOND
from features.domain import Event

Integers = np.ndarray[Any, np.dtype[np.int64]]

#: The last thing that comes of a visit is a survey an hour later; visits end this long before the present.
_LAST = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Visits:
    """`who` (visits,) index of the customer, `moments` (visits,) when it began, `channels` through which it came."""

    names: list[str]
    who: Integers
    moments: list[int]
    channels: list[str | None]

    def events(self, kind: str, where: Any, later: int, values: Any = None) -> Iterator[Event]:
        """One event of `kind` for each visit where `where`, `later` microseconds after it began."""
        for n in np.flatnonzero(where).tolist():
            value = None if values is None else float(values[n])
            name = f"sim-e-{n}-{kind}-{later // SECOND}"
            yield Event(name, self.names[n], kind, self.moments[n] + later, "simulator", self.channels[n], value)


def visits(world: World, days: int, now: int, rng: np.random.Generator) -> Iterator[Event]:
    """Every event of the `days` days before `now` that customers made of their own accord, unordered.

    Traits show: the price-sensitive look longer and spend less, the loyal log in and buy, the dissatisfied call.
    """
    made = _made(world, days, now, rng)
    who, count = made.who, len(made.who)
    z = traits(world, world.customer_ids)[who]
    buys = rng.random(count) < purchase_chance(world, world.customer_ids)[who]
    carts = buys | (rng.random(count) < expit(-1.6 + 0.5 * z[:, 1]))
    views = rng.poisson(np.exp(0.3 + 0.25 * z[:, 1]))
    helped = rng.random(count) < expit(-3.4 - 0.9 * z[:, 3])
    asked = (buys & (rng.random(count) < 0.25)) | (helped & (rng.random(count) < 0.6))
    spent = np.round(np.exp(3.0 - 0.35 * z[:, 1] + 0.2 * z[:, 2] + 0.5 * rng.standard_normal(count)), 2)
    score = np.clip(np.rint(7.0 + 1.8 * z[:, 3] + 1.2 * rng.standard_normal(count)), 0, 10)
    yield from made.events("session", np.ones(count), 0)
    yield from made.events("login", rng.random(count) < expit(-0.5 + 0.6 * z[:, 2]), 20 * SECOND)
    for n in range(3):
        yield from made.events("product_view", views > n, (1 + n) * MINUTE)
    yield from made.events("cart", carts, 6 * MINUTE)
    yield from made.events("purchase", buys, 9 * MINUTE, spent)
    yield from made.events("service_contact", helped, 15 * MINUTE)
    yield from made.events("satisfaction", asked, 60 * MINUTE, score)


def _made(world: World, days: int, now: int, rng: np.random.Generator) -> Visits:
    """Visits at each customer's own rate between joining and falling silent, but for a pause that two in five take."""
    ids = world.customer_ids
    end = silent_days(world, ids)
    start = np.maximum(np.minimum(join_days(world, ids), float(days)), end)
    who = np.repeat(np.arange(len(ids)), rng.poisson(session_rate(world, ids) * (start - end)))
    ago = rng.uniform(end[who], np.maximum(start, end + 1e-9)[who])
    length = np.where(rng.random(len(ids)) < 0.4, rng.uniform(8.0, 35.0, len(ids)), 0.0)
    pause = rng.uniform(-0.3 * length, days)
    kept = ~((ago > pause[who]) & (ago < (pause + length)[who]))
    who, ago = who[kept], ago[kept]
    moments = (now - (ago * DAY).astype(np.int64) - _LAST).tolist()
    return Visits([ids[n] for n in who], who, moments, _channels(world, who, rng))


def _channels(world: World, who: Integers, rng: np.random.Generator) -> list[str | None]:
    """The channel each visit came through: preferred ones more often, and most often one that waits for a visit."""
    names = list(world.catalogue.channels)
    if not names:
        return [None] * len(who)
    inbound = np.array([0.0 if world.catalogue.channels[n].outbound else 1.2 for n in names])
    weight = np.exp(0.9 * channel_preferences(world, world.customer_ids) + inbound)
    bounds = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)[who]
    chosen = (rng.random((len(who), 1)) > bounds).sum(axis=1).clip(0, len(names) - 1)
    return [names[n] for n in chosen]
