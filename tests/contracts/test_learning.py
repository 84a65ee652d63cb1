"""On a real ledger: any order, portions and repetitions teach the same, and a crash at any step changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from features.clock import DAY
from features.ledger import Ledger, open_ledger
from tests.contracts.learning_world import END, NOW, decide, learn, make_world, state, straight, tell
from training.bandit import PolicySnapshot
from training.learner import latest_snapshot


class Crash(Exception):
    """What is thrown in the midst of a write."""


@pytest.fixture
def new_ledger(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Fresh SQLite ledgers."""
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(open_ledger(f"sqlite:///{tmp_path / f'ledger-{len(made)}.db'}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def in_disorder(ledger: Ledger, world: Any, draw: random.Random) -> None:
    """Tells everything once or twice, in any order and portions, and learns in between at any times."""
    decide(ledger, world)
    reports = [*world.reports, *draw.sample(world.reports, len(world.reports) // 2)]
    draw.shuffle(reports)
    now = NOW
    while reports:
        size = draw.randint(1, len(reports))
        tell(ledger, reports[:size])
        del reports[:size]
        now += draw.randrange((END - now) // 2 + 1)
        if draw.random() < 0.7:
            learn(ledger, now, batch=draw.randint(1, 9))
    learn(ledger, batch=draw.randint(1, 9))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9))
def test_any_order_repetition_and_portions_give_the_same_rewards_and_policy_bit_for_bit(
    new_ledger: Callable[[], Ledger], seed: int
) -> None:
    world = make_world(seed, 25)
    expected, ledger = straight(new_ledger(), world), new_ledger()
    in_disorder(ledger, world, random.Random(seed))
    assert state(ledger) == expected


def test_the_same_on_either_database(ledger: Ledger, new_ledger: Callable[[], Ledger]) -> None:
    world = make_world(3, 60)
    in_disorder(ledger, world, random.Random(3))
    found = state(ledger)
    assert found == straight(new_ledger(), world)
    assert {one[1] for one in found["rewards"]} == {"final"}
    assert len(found["statistics"]) == 3


def test_partitions_of_the_log_learned_apart_add_up_to_one_pass(new_ledger: Callable[[], Ledger]) -> None:
    world = make_world(4, 60)
    whole = straight(new_ledger(), world)["statistics"]
    parts = []
    for half in (0, 1):
        mine = {d.decision_id for d in world.decisions[half::2]}
        part = type(world)(world.decisions[half::2], tuple(r for r in world.reports if r.decision_id in mine))
        parts.append(straight(new_ledger(), part)["statistics"])
    assert set(whole) == {name for part in parts for name in part}
    for name, expected in whole.items():
        assert parts[0][name] + parts[1][name] == expected


@contextmanager
def crashing(ledger: Ledger, step: int) -> Iterator[None]:
    """Throws at the `step`-th of: before and after each writing statement, and before each commit."""
    seen: list[str] = []

    def count(what: str) -> None:
        seen.append(what)
        if len(seen) == step:
            raise Crash(what)

    def on_execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            count(statement)

    def on_commit(connection: Any) -> None:
        if not connection.get_execution_options().get("read_only", False):
            count("COMMIT")

    listeners = (("before_cursor_execute", on_execute), ("after_cursor_execute", on_execute), ("commit", on_commit))
    for name, listener in listeners:
        event.listen(ledger._engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(ledger._engine, name, listener)


def test_a_crash_at_any_step_of_a_write_and_a_restart_leave_what_a_run_without_one_does(
    ledger_url: str, new_ledger: Callable[[], Ledger]
) -> None:
    world = make_world(6, 40)
    expected = straight(new_ledger(), world)
    ledger = open_ledger(ledger_url)
    decide(ledger, world)
    tell(ledger, list(world.reports))
    step = crashes = 0
    while True:
        step += 1
        try:
            with crashing(ledger, step):
                learn(ledger, batch=11)
            break
        except Crash:
            crashes += 1
    ledger.close()
    again = open_ledger(ledger_url)
    learn(again)
    assert state(again) == expected
    assert crashes >= 7
    again.close()


# -- what serving sees -------------------------------------------------------------------------------------------------


def test_snapshots_are_numbered_without_gaps_and_one_without_news_is_not_written(
    new_ledger: Callable[[], Ledger],
) -> None:
    world, ledger = make_world(7, 30), new_ledger()
    decide(ledger, world)
    tell(ledger, list(world.reports))
    last = learn(ledger).number
    assert [ledger.snapshot_state(n) is not None for n in range(1, last + 2)] == [True] * last + [False]
    assert learn(ledger).number == last
    assert PolicySnapshot.from_json(ledger.snapshot_state(last) or "").number == last


def test_what_is_forgotten_as_days_go_by_is_published_once_a_day(new_ledger: Callable[[], Ledger]) -> None:
    world, ledger = make_world(8, 30), new_ledger()
    straight(ledger, world)
    first = latest_snapshot(ledger)[0]
    next_day = learn(ledger, END + DAY)
    assert next_day.number == first.number + 1
    assert learn(ledger, END + DAY + 1).number == next_day.number
    assert sum(s.expected_units for s in next_day.arms.values()) < sum(s.expected_units for s in first.arms.values())
