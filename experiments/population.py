"""The customers of a simulated world as Segue gets to know them: what they said of themselves, and what they allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.simulator import TRAITS, Array, World, silent_days, traits
from features.clock import DAY
from features.domain import Customer, Scalar

_ZONES = {
    "north": ("Europe/Stockholm", "Europe/London"),
    "south": ("Europe/Madrid", "Europe/Rome"),
    "east": ("Asia/Kolkata", "Australia/Sydney"),
    "west": ("America/New_York", "America/Los_Angeles"),
}
_PLANS = ("basic", "plus", "premium")
#: Shares of customers who allow and who forbid a channel; the rest never said.
_GRANTED, _DENIED = 0.78, 0.11


def customers(world: World, now: int) -> list[Customer]:
    """The world's own customers, in order of their ids; each joined between 400 and 3 days before `now`."""
    ids = world.customer_ids
    if not ids:
        return []
    z, u = traits(world, ids), world.uniforms("customer", ids)
    consents = _consents(world, ids)
    joined = join_days(world, ids)
    age = np.clip(np.rint(44 - 11 * z[:, TRAITS.index("youth")] + 4 * world.normals("age", ids, 1)[:, 0]), 18, 90)
    plan = np.clip(np.floor(1.2 + 0.5 * z[:, 2] - 0.3 * z[:, 1] + 0.7 * world.normals("plan", ids, 1)[:, 0]), 0, 2)
    found = []
    for n, name in enumerate(ids):
        region = list(_ZONES)[int(u[n, 0] * len(_ZONES))]
        # One in fifty is without a zone, as in any real file.
        zone = None if u[n, 2] < 0.02 else _ZONES[region][int(u[n, 1] * 2)]
        attributes: dict[str, Scalar] = {"age": int(age[n]), "region": region, "plan": _PLANS[int(plan[n])]}
        found.append(Customer(name, now - int(joined[n] * DAY), zone, consents[n], attributes))
    return found


def join_days(world: World, customer_ids: Sequence[str]) -> Array:
    """(customers,) days before the present at which each joined: longer ago for the loyal, before it fell silent."""
    z = traits(world, customer_ids)
    drawn = 160.0 * np.exp(0.45 * z[:, 2] + 0.7 * world.normals("joined", customer_ids, 1)[:, 0])
    return np.clip(np.maximum(drawn, silent_days(world, customer_ids) + 7.0), 3.0, 400.0)


def _consents(world: World, customer_ids: Sequence[str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{} for _ in customer_ids]
    for channel in world.catalogue.channels.values():
        if not channel.outbound:
            continue
        for n, u in enumerate(world.uniforms(f"consent|{channel.id}", customer_ids, 1)[:, 0]):
            if u < _GRANTED:
                found[n][channel.id] = "granted"
            elif u < _GRANTED + _DENIED:
                found[n][channel.id] = "denied"
    return found
