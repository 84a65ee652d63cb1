"""Before anybody asks, a decision is rehearsed: all of its way is gone, and nothing of it is left."""

from __future__ import annotations

import io
import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.ledger import Ledger
from features.online import FeatureRow
from features.settings import Settings
from features.store import open_feature_store
from serving.decider import Decider
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.routes import Door, Rooms
from serving.runner import Runner
from serving.wiring import build, rehearse, threads_of
from tests.unit.serving.conftest import SHOP_NOW
from training.explorer import Explorer
from training.policies import Policy

Deciding = Callable[..., Any]
TABLES = ("customers", "events", "decisions", "decision_items", "outcomes", "reservations")


class Watched(Policy):
    """Draws evenly, and remembers among how many arms it was asked to."""

    @property
    def name(self) -> str:
        return "even"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def probabilities(self, values: np.ndarray, _deviations: np.ndarray) -> np.ndarray:
        self.asked.append(len(values))
        return np.full(len(values), 1.0 / len(values))


class SlowStore:
    """A feature store whose every read takes longer than it may; it knows nobody, and remembers who was asked about."""

    def __init__(self, settings: Settings) -> None:
        self.contract = open_feature_store(settings).contract
        self.asked: list[str] = []

    def read(self, customer_id: str) -> FeatureRow | None:
        self.asked.append(customer_id)
        threading.Event().wait(0.002)
        return None


def counted(ledger: Ledger) -> dict[str, int]:
    return {table: ledger.count(table) for table in TABLES}


def test_a_rehearsal_goes_through_store_models_and_draw_and_leaves_nothing_behind(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=0.002)
    store, policy, journal, metrics = SlowStore(world.settings), Watched(), io.BytesIO(), Metrics()
    live = Live(world.settings, world.ledger, lambda: store)  # type: ignore[arg-type, return-value]
    live.refresh()
    live.strategy = replace(live.strategy, policy=Explorer(policy))  # type: ignore[arg-type]
    log = Journal(journal)
    decider = Decider(world.settings, world.ledger, live, world.layers, metrics, log)
    before, page = counted(world.ledger), figures(metrics)
    for _ in range(5):
        decider.rehearse(SHOP_NOW)
    log.flush()
    assert len(store.asked) == 5
    assert policy.asked == [len(live.strategy.arms)] * 5  # somebody who may get everything
    assert counted(world.ledger) == before
    assert figures(metrics) == page
    assert journal.getvalue() == b""
    assert live.features is not None
    assert not live.features.open  # what is slow for the first time is not given up for it


def figures(metrics: Metrics) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if line.startswith("segue_")]


class WatchedDoor(Door):
    """Notes what had been rehearsed when it was opened."""

    def __init__(self, rehearsed: list[Decider]) -> None:
        super().__init__()
        self._rehearsed = rehearsed
        self.before: list[Decider] | None = None

    def open(self, rooms: Rooms) -> None:
        self.before = list(self._rehearsed)
        super().open(rooms)


@pytest.mark.parametrize("power_safe", [False, True], ids=["one-thread", "many-threads"])
def test_nobody_is_let_in_before_the_strategy_that_decides_was_rehearsed(
    shop: Settings, tmp_path: Path, power_safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop.home, tmp_path / "home")
    rehearsed: list[Decider] = []
    whole_way = Decider.rehearse

    def noted(self: Decider, now: int) -> None:
        whole_way(self, now)
        rehearsed.append(self)

    monkeypatch.setattr(Decider, "rehearse", noted)
    door = WatchedDoor(rehearsed)
    parts = build(Settings(home=tmp_path / "home", poll_seconds=3_600.0, power_safe=power_safe), door)
    try:
        assert parts.live.strategy.bundle is not None
        assert door.before == [rehearsed[0]] * max(1, threads_of(parts.settings, parts.ledger))
        assert parts.ledger.count_live() == 0
    finally:
        parts.close()


class Rehearsing:
    """Stands for a decider; remembers who rehearsed, and fails where told."""

    def __init__(self, broken: bool = False) -> None:
        self.threads: list[int] = []
        self._broken = broken

    def rehearse(self, _now: int) -> None:
        self.threads.append(threading.get_ident())
        if self._broken:
            raise RuntimeError("the database is away")


def test_every_thread_that_will_decide_rehearses_and_a_failure_hinders_no_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    well, broken = Rehearsing(), Rehearsing(broken=True)
    runner = Runner(6)
    with caplog.at_level(logging.ERROR):
        rehearse(well, runner)  # type: ignore[arg-type]
        assert not caplog.records
        rehearse(broken, runner)  # type: ignore[arg-type]
    runner.close()
    assert len(set(well.threads)) == len(set(broken.threads)) == 6
    assert len(caplog.records) == 6
    rehearse(well, Runner())  # type: ignore[arg-type]
    assert well.threads[6:] == [threading.get_ident()]
