"""Decisions and what channels report of them, to be told to a ledger in any order; for tests of the learner."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from features.catalogue import Action, Catalogue, Channel, Reward, Treatment
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Item, Outcome, Versions
from features.ledger import Ledger, engine, tables
from training.bandit import PolicySnapshot
from training.learner import Habits, latest_snapshot, learn_round
from training.statistics import Statistics

NOW = 1_790_000_000_000_000
END = NOW + 80 * DAY
HABITS = Habits(forgetting_days=9.0, late_days=20.0)
BUNDLE = "bundle-1"
CATALOGUE = Catalogue(
    "v",
    {
        "web": Channel("web", False, 0.0, "responses", reports_display=True, display_days=2.0),
        "push": Channel("push", reports="responses"),
        "email": Channel("email"),
    },
    ("g",),
    {
        "offer": Action("offer", "g", treatments=tuple(Treatment(c) for c in ("web", "push", "email"))),
        "gift": Action(
            "gift",
            "g",
            window_days=3.0,
            treatments=tuple(Treatment(c) for c in ("web", "push", "email")),
            rewards=(Reward("clicked", 0.1, 1.0), Reward("converted", None, 10.0), Reward("opted_out", -2.0)),
            reward_rule="sum",
            default_reward=-0.01,
        ),
    },
    (),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A display told by a channel."""

    decision_id: str
    at: int


@dataclass(frozen=True, slots=True)
class World:
    """Decisions, and reports of them in no order."""

    decisions: tuple[Decision, ...]
    reports: tuple[Outcome | Shown, ...]


def make_world(seed: int, size: int) -> World:
    draw = random.Random(seed)
    decisions, reports = [], []
    for n in range(size):
        at = NOW + draw.randrange(20 * DAY)
        decided = _decision(n, at, draw)
        decisions.append(decided)
        arm = decided.arm
        for k in range(draw.choice([0, 0, 1, 2, 3])):
            kind = draw.choice(["accepted", "converted", "ignored", "seen", "clicked", "failed", "opted_out"])
            value = draw.choice([None, 3.3])
            when = at + draw.randrange(13 * DAY)
            reports.append(Outcome(f"o{n}-{k}", f"d{n}", f"c{n}", arm.action, kind, when, 1, value))
        reports += [Shown(f"d{n}", at + draw.randrange(5 * DAY)) for _ in range(draw.choice([0, 1, 2]))]
    return World(tuple(decisions), tuple(reports))


def _decision(n: int, at: int, draw: random.Random) -> Decision:
    arm = (
        DO_NOTHING
        if draw.random() < 0.1
        else Arm(draw.choice(["offer", "gift"]), draw.choice(["web", "push", "email"]))
    )
    p, stated = (None, None) if arm == DO_NOTHING else (draw.random(), draw.random())
    versions = Versions(draw.choice([BUNDLE, BUNDLE, "older", None]), "p", "c")
    looked_at = 0 if arm == DO_NOTHING or versions.bundle is None else 3
    covariates = tuple(draw.randint(-768, 768) for _ in range(looked_at))
    item = Item(1, arm, "g", 0.5, p, stated, 4.0, 1.0, 1.0, None, at + HOUR, at + 10 * DAY, covariates)
    return Decision(f"d{n}", f"r{n}", f"c{n}", at, (item,), "action", None, None, versions)


def decide(ledger: Ledger, world: World) -> None:
    ledger.put_customers([Customer(d.customer_id) for d in world.decisions])
    for made in world.decisions:
        ledger.append_decision(made, request_hash="h", answer=b"", contact_version=0, action_classes={})


def tell(ledger: Ledger, reports: list[Outcome | Shown]) -> None:
    """One call for what comes in one portion."""
    ledger.append_outcomes([one for one in reports if isinstance(one, Outcome)], NOW)
    for one in reports:
        if isinstance(one, Shown):
            ledger.mark_shown(one.decision_id, 1, one.at)


def learn(ledger: Ledger, now: int = END, batch: int = 7) -> PolicySnapshot:
    return learn_round(ledger, CATALOGUE, BUNDLE, now, HABITS, batch).snapshot


def state(ledger: Ledger) -> dict[str, Any]:
    """All that was learned: rewards, statistics, and the newest snapshot without its number."""
    i, s = tables.decision_items.c, tables.policy_statistics.c
    opened = engine.create(ledger.url)
    with engine.reading(opened) as connection:
        columns = (i.decision_id, i.reward_state, i.reward_units, i.success_units, i.shown_at, i.due_at)
        rewards = [tuple(row) for row in connection.execute(select(*columns).order_by(i.decision_id))]
        bundles = sorted(connection.scalars(select(s.bundle).distinct()))
    opened.dispose()
    kept = {name: Statistics() + Statistics(sums) for name, sums in ledger.policy_statistics(bundles).items()}
    newest = latest_snapshot(ledger)[0]
    learned = {name: found for name, found in kept.items() if found.sums}
    return {"rewards": rewards, "statistics": learned, "arms": dict(newest.arms), "day": newest.day}


def straight(ledger: Ledger, world: World) -> dict[str, Any]:
    """What is learned when everything is told in order of time, and learned at the end, at once."""
    decide(ledger, world)
    tell(ledger, sorted(world.reports, key=lambda one: one.at if isinstance(one, Shown) else one.occurred_at))
    learn(ledger, batch=10_000)
    return state(ledger)
