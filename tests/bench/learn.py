"""How fast the learner is: rewards a second from a warm SQLite ledger, decisions of 60 days on 80 arms."""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.catalogue import Action, Catalogue, Channel, Treatment
from features.clock import DAY, HOUR
from features.domain import Outcome
from features.ledger import Ledger, engine, open_ledger, tables
from training.learner import learn_round
from training.residual import MOST_DIMENSIONS, ONE

NOW = 1_790_000_000_000_000
BUNDLE = "20261122T161822-832a915805aedc2c"
CHANNELS = {
    "email": Channel("email"),
    "sms": Channel("sms"),
    "push": Channel("push", reports="responses"),
    "web": Channel("web", False, reports="responses"),
}
CATALOGUE = Catalogue(
    "bench",
    CHANNELS,
    ("g",),
    {f"a{n}": Action(f"a{n}", "g", treatments=tuple(Treatment(name) for name in CHANNELS)) for n in range(20)},
    (),
)


@dataclass(frozen=True, slots=True)
class LearnTimes:
    """Seconds that a learner took for so many rewards: on the clock, and of the processor."""

    rewards: int
    clock: float
    processor: float


def fill(ledger: Ledger, items: int, seed: int = 5, now: int = NOW, bundle: str | None = BUNDLE) -> None:
    """Live decisions whose windows are closed by `now`; of three one was answered, a quarter of those with yes."""
    draw = random.Random(seed)
    opened = engine.create(ledger.url)
    for start in range(0, items, 10_000):
        rows = [_item(n / items, draw, now, bundle) for n in range(start, min(start + 10_000, items))]
        with engine.writing(opened) as connection:
            engine.insert_new(connection, tables.decision_items, rows)
        ledger.append_outcomes(_answers(rows, draw), now)
    opened.dispose()


def _item(part: float, draw: random.Random, now: int, bundle: str | None) -> dict[str, Any]:
    """Decisions stand in the ledger in the order they were made; `part` of the 60 days has gone by."""
    decided_at = now - 8 * DAY - round((1.0 - part) * 60 * DAY)
    return {
        "decision_id": f"d-{draw.getrandbits(112):028x}",
        "rank": 1,
        "customer_id": f"c{draw.randrange(20_000)}",
        "decided_at": decided_at,
        "action": f"a{draw.randrange(20)}",
        "channel": draw.choice([*CHANNELS]),
        "action_group": "g",
        "action_probability": 0.5,
        "p_model": 0.1 + 0.2 * draw.random(),
        "p_accept": 0.2,
        "action_value": 4.0,
        "closes_at": decided_at + 7 * DAY,
        "bundle": bundle,
        "covariates": json.dumps([draw.randrange(-3 * ONE, 3 * ONE) for _ in range(MOST_DIMENSIONS - 1)]),
        "shown_at": None,
        "reward_state": "open",
        "due_at": decided_at + 7 * DAY,
    }


def _answers(rows: list[dict[str, Any]], draw: random.Random) -> Iterator[Outcome]:
    for row in rows:
        if draw.random() < 1 / 3:
            kind = "accepted" if draw.random() < 0.25 else "ignored"
            name, at = row["decision_id"], row["decided_at"] + draw.randrange(3 * DAY) + HOUR
            yield Outcome(f"o-{name}", name, row["customer_id"], row["action"], kind, at)


def learn_times(items: int = 100_000, rounds: int = 3) -> list[LearnTimes]:
    """Each round learns a ledger of its own from its start to its end."""
    found = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ledger = open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}")
            fill(ledger, items, number)
            clock, processor = time.perf_counter(), time.process_time()
            learned = learn_round(ledger, CATALOGUE, BUNDLE, NOW)
            found.append(LearnTimes(items, time.perf_counter() - clock, time.process_time() - processor))
            count = sum(arm.count for arm in learned.snapshot.arms.values())
            assert count == items, f"learned {count:,} of {items:,}"
            ledger.close()
    return found


def learn_rows(items: int = 100_000) -> list[dict[str, Any]]:
    """For `make bench`: the middle of three rounds, and the slowest and fastest."""
    from tests.bench.__main__ import row

    times = learn_times(items)
    cores, clocks = (sorted(t.rewards / s for t, s in zip(times, seconds, strict=True)) for seconds in (
        [t.processor for t in times], [t.clock for t in times]
    ))  # fmt: skip
    return [
        row("rewards learned per second and core", cores[1], "1/s", ">= 20000", None, (cores[0], cores[-1])),
        row("rewards learned per second on the clock", clocks[1], "1/s", interval=(clocks[0], clocks[-1])),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    options = parser.parse_args()
    if options.profile:
        with cProfile.Profile() as profile:
            learn_times(options.items, 1)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
        return
    for one in learn_rows(options.items):
        print(f"{one['name']}: {one['measured']:,.0f} ({one['interval'][0]:,.0f} to {one['interval'][1]:,.0f})")


if __name__ == "__main__":
    main()
