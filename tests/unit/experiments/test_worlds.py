from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.worlds.contacts import PAST, Contacts, violations
from experiments.worlds.named import SAYS, WORLDS, make_world
from experiments.worlds.play import POINTS, TICK, Feedback, Run, Visits, play
from experiments.worlds.references import Oracle, Random, best_constant, catalogue_order
from experiments.worlds.responses import standard
from experiments.worlds.world import START, TRAITS, VISITS_A_DAY, BanditWorld, Floats, luck
from features.clock import DAY
from features.domain import DO_NOTHING
from features.errors import InvalidInput

SHORT = 2_000


class Watcher:
    """Draws at random and remembers what it was shown and told."""

    name = "watcher"

    def __init__(self) -> None:
        self.visits: list[Visits] = []
        self.answers: list[tuple[int, Feedback]] = []

    def distributions(self, visits: Visits) -> Floats:
        self.visits.append(visits)
        return Random().distributions(visits)

    def learn(self, feedback: Feedback) -> None:
        self.answers.append((len(self.visits), feedback))


def watched(world: BanditWorld, decisions: int = SHORT) -> tuple[Watcher, Run]:
    watcher = Watcher()
    return watcher, play(world, lambda _world: watcher, decisions)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_a_function_of_its_seed(name: str) -> None:
    one, two = (play(make_world(name, 3), lambda _w: Random(), 500) for _ in range(2))
    assert one == two
    assert play(make_world(name, 4), lambda _w: Random(), 500).curve != one.curve


@pytest.mark.parametrize("name", WORLDS)
def test_nobody_earns_more_than_the_oracle_and_nobody_breaks_a_limit(name: str) -> None:
    world = make_world(name, 5)
    oracle = play(world, lambda _w: Oracle(), SHORT)
    for make in (lambda _w: Random(), catalogue_order, lambda w: best_constant(w, SHORT)):
        run = play(world, make, SHORT)
        assert run.reward < oracle.reward
        assert run.cap_violations == 0
    assert oracle.cap_violations == 0


@pytest.mark.parametrize("name", WORLDS)
def test_the_oracle_takes_the_best_allowed_arm_of_every_visit(name: str) -> None:
    world = make_world(name, 6)
    watcher, _ = watched(world, 500)
    for visits in watcher.visits:
        chosen = Oracle().distributions(visits)
        best = np.where(visits.allowed, visits.expected_rewards, -np.inf).max(axis=1)
        assert ((chosen * visits.expected_rewards).sum(axis=1) == best).all()


@pytest.mark.parametrize("name", WORLDS)
def test_the_best_single_arm_is_far_from_the_oracle_so_that_there_is_something_to_learn(name: str) -> None:
    world = make_world(name, 7)
    runs = [play(world, make, SHORT) for make in (lambda _w: Random(), lambda w: best_constant(w, SHORT))]
    oracle = play(world, lambda _w: Oracle(), SHORT).reward
    assert runs[1].reward < runs[0].reward + 0.85 * (oracle - runs[0].reward)


@pytest.mark.parametrize("name", WORLDS)
def test_money_really_earned_agrees_with_money_expected(name: str) -> None:
    run = play(make_world(name, 8), lambda _w: Random(), 10_000)
    # One decision's money spreads by about 10 in the dearest world (value 120 at 1 %) and 4 in the others.
    assert abs(run.money - run.reward) / 10_000 < 4.0 * (12.0 if name == "many-arms" else 5.0) / np.sqrt(10_000)


def test_worlds_say_what_they_are_and_some_never_change() -> None:
    assert set(SAYS) == set(WORLDS)
    assert len(WORLDS) >= 6
    assert {name for name in WORLDS if make_world(name, 1).stationary} >= {"linear", "nonlinear", "many-arms"}


def test_a_stationary_world_is_the_same_on_every_day() -> None:
    for name in WORLDS:
        world = make_world(name, 2)
        traits, tired = world.traits[:50], np.zeros(50)
        first, late = (world.expected_rewards(traits, np.full(50, START + day * DAY), tired) for day in (0, 100))
        changes = not np.allclose(first, late)
        assert changes == (name in ("drift", "seasons"))


def test_the_linear_world_is_linear_and_the_nonlinear_is_not() -> None:
    left_over = {}
    for name in ("linear", "nonlinear"):
        world = make_world(name, 2)
        z = np.c_[np.ones(world.customers), standard(world.traits)]
        logits = world.response(world.traits, np.zeros(world.customers))
        fitted = z @ np.linalg.lstsq(z, logits, rcond=None)[0]
        left_over[name] = (logits - fitted).var() / logits.var()
    assert left_over["linear"] < 1e-9
    assert left_over["nonlinear"] > 0.1


def test_arms_come_and_go_and_no_arm_is_drawn_outside_its_dates() -> None:
    world = make_world("coming-and-going", 1)
    days = START + np.arange(0, 180, 5) * DAY
    on_offer = world.live(days)[:, :-1].sum(axis=1)
    assert on_offer.min() == 4
    assert on_offer.max() == 10
    watcher, _ = watched(world)
    for visits in watcher.visits:
        assert not (visits.allowed & ~world.live(visits.at)).any()
        assert visits.allowed[:, -1].all()


def test_answers_come_after_minutes_or_days_by_channel() -> None:
    world = make_world("delayed", 1)
    watcher, _ = watched(world, 6_000)
    waits: dict[str, list[float]] = {"web": [], "push": [], "email": []}
    at = luck(world, 6_000, TICK).at
    for ticks, feedback in watcher.answers:
        heard_at = at[ticks * TICK] if ticks * TICK < 6_000 else at[-1]
        for number, row in zip(feedback.numbers, feedback.rows, strict=True):
            if world.arms[row] != DO_NOTHING:
                waits[world.arms[row].channel].append(float(heard_at - at[number]) / DAY)
    tick_days = TICK / VISITS_A_DAY
    assert max(waits["web"]) < 0.1 + 2 * tick_days
    assert 0.3 < np.mean(waits["push"]) < 0.5 + 2 * tick_days
    assert min(waits["email"]) >= 10.0 - 1e-6


def test_contacts_make_the_next_less_welcome_and_the_effect_wears_off() -> None:
    world = make_world("fatigue", 1)
    contacts = Contacts(world)
    one, row = np.array([7]), np.array([0])
    contacts.contacted(one, np.array([START]), row)
    tired = [float(contacts.tired(one, np.array([START + days * DAY]))[0]) for days in (0, 10, 100)]
    assert tired[0] == 1.0
    assert tired[1] == pytest.approx(np.exp(-1.0))
    assert tired[2] < 1e-4
    fresh, weary = (world.p_accept(world.traits[:1], np.array([START]), np.array([t]))[0, 0] for t in (0.0, 2.0))
    assert weary < fresh


def test_contact_makes_things_worse_for_sleeping_dogs() -> None:
    world = make_world("sleeping-dogs", 1)
    chance = world.harm_probability(world.traits)
    dogs = chance > 0
    assert 0.1 < dogs.mean() < 0.4
    rewards = world.expected_rewards(world.traits, np.full(world.customers, START), np.zeros(world.customers))
    assert (rewards[dogs, :-1].max(axis=1) < 0).mean() > 0.5
    assert (rewards[~dogs, :-1].max(axis=1) < 0).mean() < 0.1


def test_a_success_is_worth_a_heavy_tailed_amount_known_to_everybody() -> None:
    world = make_world("heavy-tail", 1)
    values = world.values(world.traits)[:, 0] / world.catalogue_values[0]
    assert values.max() > 10 * np.median(values)
    # Log-normal with sigma 1.2: the mean of 5,000 has a standard error of 0.025 x mean.
    assert 0.85 < values.mean() < 1.15


def test_contacts_within_the_window_close_an_arm_and_a_broken_limit_is_counted() -> None:
    world = make_world("linear", 1)
    contacts = Contacts(world)
    customer = np.array([3])
    for day in range(3):
        now = np.array([START + day * DAY])
        assert contacts.allowed(customer, now).all()
        contacts.contacted(customer, now, np.array([0]))
    assert contacts.allowed(customer, np.array([START + 6 * DAY])).tolist() == [[False] * 10 + [True]]
    assert contacts.allowed(customer, np.array([START + 7 * DAY])).all()
    at = START + np.arange(5) * DAY
    assert violations(world, np.full(5, 3), at, np.zeros(5, dtype=np.int64)) == 2
    assert violations(world, np.arange(5), at, np.zeros(5, dtype=np.int64)) == 0
    assert violations(world, np.full(5, 3), at, np.full(5, 10)) == 0


def test_features_of_the_past_count_contacts_and_answers_as_they_become_known() -> None:
    world = make_world("linear", 1)
    contacts, customer = Contacts(world), np.array([3])
    contacts.contacted(customer, np.array([START]), np.array([0]))
    contacts.contacted(customer, np.array([START + 10 * DAY]), np.array([1]))
    contacts.answered(3, START + DAY, True)
    contacts.answered(3, START + 11 * DAY, False)
    seen = dict(zip(PAST, contacts.features(customer, np.array([START + 12 * DAY]))[0].tolist(), strict=True))
    wanted = {"contacts_7d": 1, "contacts_30d": 2, "days_since_last_contact": 2, "accepts_30d": 1, "rejects_30d": 1}
    assert seen == wanted
    assert np.isnan(contacts.features(np.array([4]), np.array([START]))[0, PAST.index("days_since_last_contact")])


def test_no_customer_comes_twice_in_a_tick_and_traits_but_the_last_stay() -> None:
    world = make_world("fatigue", 1)
    chance = luck(world, SHORT, TICK)
    for start in range(0, SHORT, TICK):
        assert len(set(chance.customers[start : start + TICK].tolist())) == TICK
    assert (chance.traits[:, :-1] == world.traits[chance.customers][:, :-1]).all()
    assert chance.traits.shape == (SHORT, len(TRAITS))


def test_a_run_has_a_curve_that_ends_with_its_reward() -> None:
    _, run = watched(make_world("linear", 1))
    assert len(run.curve) == POINTS
    assert run.reward == run.curve[-1]
    assert 0 < run.contacts < SHORT


def test_an_unknown_world_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="coming-and-going"):
        make_world("flat", 1)


def test_an_arm_that_costs_more_than_it_earns_is_left_alone_by_the_oracle() -> None:
    world = make_world("linear", 1)
    dear = {a.id: replace(a, cost=1_000.0) for a in world.catalogue.actions.values()}
    run = play(replace(world, catalogue=replace(world.catalogue, actions=dear)), lambda _w: Oracle(), 500)
    assert run.contacts == 0
    assert run.reward == 0.0
