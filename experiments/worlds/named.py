"""The worlds by name. Each seed makes another world of the kind: other tastes, other values, other customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from experiments.worlds.responses import bent, seasonal, shape, standard, straight, turning
from experiments.worlds.world import START, TRAITS, BanditWorld, Delay, Fatigue, Floats, Harm, Response
from features.catalogue import Action, Catalogue, Channel, ContactRule, Treatment
from features.clock import DAY
from features.errors import InvalidInput

Generator = np.random.Generator
_WEEK = 7 * 86_400
#: Answers within half an hour on average, known as they come.
_SOON = {name: Delay(0.02) for name in ("email", "push", "sms", "web")}
_PRICES = {"email": 0.02, "push": 0.01, "sms": 0.06, "web": 0.0}
_REPEATED = 5_000
_ARMS_WORTH = (0.6, 1.4)


def catalogue_of(
    rng: Generator,
    actions: int = 5,
    channels: Sequence[str] = ("email", "push"),
    values: tuple[float, float] = (3.0, 20.0),
    window_days: float = 1.0,
) -> Catalogue:
    """Actions in three groups, each on every channel, values even on a log scale; at most 3 contacts a week."""
    known = {name: Channel(name, name != "web", _PRICES[name], "responses") for name in channels}
    worth = np.exp(rng.uniform(np.log(values[0]), np.log(values[1]), actions))
    made = {}
    for n in range(actions):
        treatments = tuple(Treatment(name) for name in channels)
        cost = round(float(rng.uniform(0.02, 0.15)), 3)
        action = Action(f"offer_{n:02d}", f"group_{n % 3}", value=round(float(worth[n]), 2), cost=cost)
        made[action.id] = replace(action, window_days=window_days, treatments=treatments)
    rules = [ContactRule("three_a_week", "all", 3, _WEEK)]
    if "sms" in channels:
        rules.append(ContactRule("one_sms_a_week", "channel", 1, _WEEK, of="sms"))
    return Catalogue("simulated", known, ("group_0", "group_1", "group_2"), made, tuple(rules))


def _world(name: str, stationary: bool, seed: int, catalogue: Catalogue, response: Response) -> BanditWorld:
    return BanditWorld(name, SAYS[name], stationary, seed, catalogue, _REPEATED, response, _SOON)


def _linear(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng)
    return _world("linear", True, seed, catalogue, straight(rng, shape(rng, catalogue, _ARMS_WORTH)))


def _nonlinear(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng)
    return _world("nonlinear", True, seed, catalogue, bent(rng, shape(rng, catalogue, _ARMS_WORTH)))


def _many_arms(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, 12, ("email", "push", "web"), (30.0, 120.0))
    return _world("many-arms", True, seed, catalogue, bent(rng, shape(rng, catalogue, (0.3, 1.2))))


def _coming_and_going(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, 9)
    dates: dict[int, tuple[int | None, int | None]] = {
        n: (START + 20 * (n - 2) * DAY, None if n == 8 else START + (20 * (n - 2) + 60) * DAY) for n in range(3, 9)
    }
    dates[1], dates[2] = (None, START + 50 * DAY), (None, START + 110 * DAY)
    actions = {
        action.id: replace(action, starts_at=dates[n][0], ends_at=dates[n][1]) if n in dates else action
        for n, action in enumerate(catalogue.actions.values())
    }
    catalogue = replace(catalogue, actions=actions)
    return _world("coming-and-going", False, seed, catalogue, bent(rng, shape(rng, catalogue, _ARMS_WORTH)))


def _delayed(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, 4, ("web", "push", "email"), window_days=10.0)
    silent = replace(catalogue.channels["email"], reports="acceptances")
    catalogue = replace(catalogue, channels={**catalogue.channels, "email": silent})
    world = _world("delayed", False, seed, catalogue, bent(rng, shape(rng, catalogue, _ARMS_WORTH)))
    return replace(world, delays={"web": Delay(0.005), "push": Delay(0.5), "email": Delay(10.0, at_close=True)})


def _fatigue(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, 4, ("email", "push", "sms"))
    world = _world("fatigue", False, seed, catalogue, bent(rng, shape(rng, catalogue, _ARMS_WORTH)))
    return replace(world, customers=1_200, fatigue=Fatigue(0.7, 10.0))


def _drift(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng)
    return _world("drift", False, seed, catalogue, turning(rng, shape(rng, catalogue, _ARMS_WORTH), 120.0))


def _seasons(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, 6)
    return _world("seasons", False, seed, catalogue, seasonal(rng, shape(rng, catalogue, _ARMS_WORTH), 60.0, 1.0))


def _sleeping_dogs(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng)
    dogs, others = rng.normal(size=len(TRAITS)), bent(rng, shape(rng, catalogue, _ARMS_WORTH))
    dogs /= np.linalg.norm(dogs)

    def asleep(traits: Floats) -> np.ndarray:
        # A curved border: the quarter of customers who lie off to one side of it.
        z = standard(traits)
        return np.asarray(z @ dogs + 0.3 * np.sin(2.0 * z[:, 0]) > 0.7)

    def response(traits: Floats, at: Floats) -> Floats:
        return others(traits, at) - 2.5 * asleep(traits)[:, None]

    return replace(_world("sleeping-dogs", True, seed, catalogue, response), harm=Harm(asleep, 0.06, 8.0))


def _heavy_tail(seed: int, rng: Generator) -> BanditWorld:
    catalogue = catalogue_of(rng, values=(2.0, 12.0))
    response = bent(rng, shape(rng, catalogue, _ARMS_WORTH))
    spend = TRAITS.index("spend")
    return replace(
        _world("heavy-tail", True, seed, catalogue, response),
        # spend is log-normal with sigma 0.8: to the power 1.5 it has sigma 1.2, and exp(-0.72) makes its mean 1.
        worth=lambda traits: traits[:, spend] ** 1.5 * np.exp(-0.72),
    )


#: What each world is, in plain words.
SAYS: Mapping[str, str] = {
    "linear": "10 arms, response logit linear in 8 traits; never changes",
    "nonlinear": "10 arms, waves, ridges, products and bumps of traits; never changes",
    "many-arms": "36 arms, dear and rarely accepted (about 1 %), nonlinear; never changes",
    "coming-and-going": "18 arms of which 4 to 10 are on offer at a time, new ones every 20 days; nonlinear",
    "delayed": "12 arms, answers after minutes (web), half a day (push) or 10 days (e-mail); nonlinear",
    "fatigue": "12 arms, each contact makes the next less welcome for ten days; 1,200 customers seen often; nonlinear",
    "drift": "10 arms, linear tastes that turn into others within 120 days",
    "seasons": "12 arms, the appetite for each group rises and falls every 60 days; nonlinear",
    "sleeping-dogs": "10 arms, a fifth of customers hardly accept and 6 % of their contacts drive one away; nonlinear",
    "heavy-tail": "10 arms, a success is worth a log-normal multiple (sigma 1.2) known of each customer; nonlinear",
}

_MAKERS: Mapping[str, Callable[[int, Generator], BanditWorld]] = {
    "linear": _linear,
    "nonlinear": _nonlinear,
    "many-arms": _many_arms,
    "coming-and-going": _coming_and_going,
    "delayed": _delayed,
    "fatigue": _fatigue,
    "drift": _drift,
    "seasons": _seasons,
    "sleeping-dogs": _sleeping_dogs,
    "heavy-tail": _heavy_tail,
}
WORLDS = tuple(_MAKERS)


def make_world(name: str, seed: int) -> BanditWorld:
    """The world of this name and seed. Raises InvalidInput for a name that is none."""
    if name not in _MAKERS:
        raise InvalidInput(f"unknown world {name!r}; one of {', '.join(WORLDS)}", field="worlds")
    return _MAKERS[name](seed, np.random.default_rng([seed, WORLDS.index(name)]))
