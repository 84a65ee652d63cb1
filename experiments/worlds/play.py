"""Playing a world: visits come, a player says with which probability it would draw each arm, answers come later.

Decisions are made in ticks, as the product decides on a snapshot until the learner publishes the next: within a tick
nothing is learned, for any player. No customer comes twice in a tick.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from experiments.worlds.contacts import Contacts, violations
from experiments.worlds.world import BanditWorld, Floats, Integers, Luck, Masks, luck
from features.clock import DAY
from features.domain import DO_NOTHING
from serving.exploration import pick

TICK = 50
#: A regret curve has so many points.
POINTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """What is known of n visits before anything is decided. `numbers` count a run's decisions from 0."""

    numbers: Integers
    at: Integers
    #: (n, traits + PAST) NaN where something is not known.
    features: Floats
    #: (n, arms) on offer and within the limits.
    allowed: Masks
    #: (n, arms) money of a success, contact cost not taken off.
    values: Floats
    #: (n, arms) the truth, for the oracle alone.
    expected_rewards: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """n answers that have become known. `rows` are the arms, DO_NOTHING is answered at once by nothing; `loss` is money
    lost by harm done."""

    numbers: Integers
    rows: Integers
    probabilities: Floats
    accepted: Floats
    loss: Floats

    def only(self, chosen: Masks) -> Feedback:
        """The answers where `chosen`, (n,), says so."""
        return Feedback(
            self.numbers[chosen],
            self.rows[chosen],
            self.probabilities[chosen],
            self.accepted[chosen],
            self.loss[chosen],
        )


class Player(Protocol):
    """Anybody who decides."""

    @property
    def name(self) -> str: ...

    def distributions(self, visits: Visits) -> Floats:
        """(n, arms) probabilities, 0 where an arm is not allowed."""

    def learn(self, feedback: Feedback) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What a player earned. `curve` (POINTS,) is the true expected money earned up to evenly spaced decisions."""

    world: str
    player: str
    seed: int
    decisions: int
    curve: tuple[float, ...]
    #: Money that really came in: accepted x worth - costs - losses.
    money: float
    contacts: int
    cap_violations: int

    @property
    def reward(self) -> float:
        """True expected money of all decisions."""
        return self.curve[-1]


def play(
    world: BanditWorld,
    make_player: Callable[[BanditWorld], Player],
    decisions: int,
    told: Callable[[float], None] = lambda _share: None,
) -> Run:
    """One run from the world's start. `told` hears the share done."""
    table = _Table(world, luck(world, decisions, TICK), make_player(world))
    for start in range(0, decisions, TICK):
        table.tick(np.arange(start, min(start + TICK, decisions)))
        if start % (20 * TICK) == 0:
            told(start / decisions)
    ends = np.linspace(0, decisions, POINTS + 1).round().astype(int)[1:] - 1
    curve = tuple(np.cumsum(table.earned)[ends].round(4).tolist())
    made = table.rows < len(world.arms) - 1
    broken = violations(world, table.luck.customers, table.luck.at, table.rows)
    return Run(
        world.name, table.player.name, world.seed, decisions, curve, float(table.money.sum()), int(made.sum()), broken
    )


class _Table:
    """The state of one run: what was decided, what came of it, and which answers are still under way."""

    def __init__(self, world: BanditWorld, chance: Luck, player: Player) -> None:
        self.world, self.luck, self.player = world, chance, player
        self.contacts = Contacts(world)
        count = len(chance.at)
        self.rows = np.zeros(count, dtype=np.int64)
        self.probabilities, self.accepted = np.zeros(count), np.zeros(count)
        self.loss, self.earned, self.money = np.zeros(count), np.zeros(count), np.zeros(count)
        self._open: list[tuple[int, int]] = []

    def tick(self, numbers: Integers) -> None:
        at, customers, traits = self.luck.at[numbers], self.luck.customers[numbers], self.luck.traits[numbers]
        self._hear(int(at[0]))
        tired = self.contacts.tired(customers, at)
        visits = Visits(
            numbers,
            at,
            np.hstack([traits, self.contacts.features(customers, at)]),
            self.contacts.allowed(customers, at),
            self.world.values(traits),
            self.world.expected_rewards(traits, at, tired),
        )
        shares = self.player.distributions(visits)
        draws = self.luck.draw[numbers].tolist()
        rows = np.array([pick(row, point) for row, point in zip(shares, draws, strict=True)])
        each = np.arange(len(numbers))
        self.rows[numbers], self.probabilities[numbers] = rows, shares[each, rows]
        self.earned[numbers] = visits.expected_rewards[each, rows]
        self._respond(numbers, visits, self.world.p_accept(traits, at, tired)[each, rows])
        self.contacts.contacted(customers, at, rows)

    def _respond(self, numbers: Integers, visits: Visits, p_accept: Floats) -> None:
        """Draws the answers, and when each will be known."""
        world, rows = self.world, self.rows[numbers]
        contacted = rows < len(world.arms) - 1
        self.accepted[numbers] = self.luck.answer[numbers] < p_accept
        if world.harm is not None:
            hurt = self.luck.harm[numbers] < world.harm_probability(self.luck.traits[numbers])
            self.loss[numbers] = np.where(contacted & hurt, world.harm.money, 0.0)
        worth = visits.values[np.arange(len(rows)), rows]
        self.money[numbers] = self.accepted[numbers] * worth - world.costs[rows] - self.loss[numbers]
        for number, at in zip(numbers.tolist(), visits.at.tolist(), strict=True):
            heapq.heappush(self._open, (at + self._waits(number), number))

    def _waits(self, number: int) -> int:
        """Microseconds until the answer to a decision is known: at the latest when its window closes."""
        arm = self.world.arms[self.rows[number]]
        if arm == DO_NOTHING:
            return 0
        delay, window = self.world.delays[arm.channel], self.world.catalogue.actions[arm.action].window_days
        days = delay.days if delay.at_close else delay.days * float(self.luck.delay[number])
        return int(min(days, window) * DAY)

    def _hear(self, now: int) -> None:
        """Tells the player what has become known by now."""
        known: list[int] = []
        while self._open and self._open[0][0] <= now:
            known_at, number = heapq.heappop(self._open)
            if self.rows[number] < len(self.world.arms) - 1:
                self.contacts.answered(int(self.luck.customers[number]), known_at, bool(self.accepted[number]))
            known.append(number)
        if known:
            numbers = np.array(known)
            self.player.learn(
                Feedback(
                    numbers,
                    self.rows[numbers],
                    self.probabilities[numbers],
                    self.accepted[numbers],
                    self.loss[numbers],
                )
            )
