"""Decisions per second that a ledger acknowledges, waiting for the disk: gathered, and with one commit for each.

SQLite, real decisions of workload W, 64 threads that each append one after another, on copies of the same ledger.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from sqlalchemy import event

from features import clock
from features.domain import Decision
from features.ledger import Ledger, engine, open_ledger
from features.settings import load_settings
from serving.assignment import holdout_layer
from serving.batch import Batch, BatchRequest
from serving.refresh import Live
from serving.schema import answer
from serving.wiring import features_opener

THREADS = 64
ROUNDS = 5
#: What a commit is made to take longer where it says SIMULATED: about what a disk without a safe cache needs.
SLOW_SYNC_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Made:
    """A decision, what was answered, and the contact version it was made on."""

    decision: Decision
    answer: bytes
    contact_version: int


@dataclass(frozen=True, slots=True)
class Way:
    """How decisions are appended."""

    threads: int
    power_safe: bool
    gather: bool
    #: How much longer a commit is made to take.
    slow_seconds: float = 0.0


GATHERED, SINGLE, UNSAFE = Way(THREADS, True, True), Way(1, True, False), Way(1, False, False)


@dataclass(frozen=True, slots=True)
class AppendRates:
    """Decisions per second in each round, (n,)."""

    #: 64 threads, committed together.
    gathered: np.ndarray
    #: One after another, one commit each: the faster way to do so, 64 threads only get in each other's way.
    single: np.ndarray
    #: The same without waiting for the disk, which tells what the wait costs.
    unsafe: np.ndarray
    #: Gathered and single, with a disk that takes `SLOW_SYNC_SECONDS` more for every commit: simulated.
    slow_gathered: np.ndarray
    slow_single: np.ndarray


def append_rates(home: Path) -> AppendRates:
    """Rounds of all in turn, each on a fresh copy of the home's ledger. The first round only warms."""
    file = Path(load_settings(home, environment={}).ledger.removeprefix("sqlite:///"))
    made, classes = decisions_of(home)
    slow = SLOW_SYNC_SECONDS
    ways = (GATHERED, SINGLE, UNSAFE, replace(GATHERED, slow_seconds=slow), replace(SINGLE, slow_seconds=slow))
    rates = np.empty((ROUNDS + 1, len(ways)))
    with tempfile.TemporaryDirectory(dir=home) as scratch:  # on the disk that the service would use
        start = Path(scratch) / "ledger.db"
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(start)) as copy:
            source.backup(copy)
        for number, place in np.ndindex(rates.shape):
            way = ways[place]
            few = made[:300] if way.slow_seconds and not way.gather else made  # it takes long enough
            with copy_of(start, way) as ledger:
                rates[number, place] = rate(ledger, few, classes, way.threads)
    return AppendRates(*rates[1:].T)


def decisions_of(home: Path) -> tuple[list[Made], dict[str, str]]:
    """(a decision for every customer, the classes of actions)."""
    settings = load_settings(home, environment={})
    ledger = open_ledger(settings.ledger)
    live = Live(settings, ledger, features_opener(settings))
    live.refresh()
    batch = Batch(settings, ledger, live.strategy, live.features, [holdout_layer(settings.holdout_share)])
    customers = ledger.customer_ids()
    versions = ledger.before_decisions(customers, 0)
    blocks = batch.decide(BatchRequest("append", record=False), customers, clock.now)
    made = [
        Made(one, msgspec.json.encode(answer(one)), versions[one.customer_id].contact_version)
        for block in blocks
        for one in block
    ]
    ledger.close()
    return made, {action.id: action.action_class for action in live.strategy.catalogue.actions.values()}


def rate(ledger: Ledger, made: Sequence[Made], classes: dict[str, str], threads: int) -> float:
    """Decisions acknowledged per second."""

    def append(first: int) -> None:
        for one in made[first::threads]:
            ledger.append_decision(
                one.decision,
                request_hash="0" * 64,
                answer=one.answer,
                contact_version=one.contact_version,
                action_classes=classes,
            )

    ledger.find_answer("nobody asked this")
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(append, range(threads)))
        return len(made) / (time.perf_counter() - start)


@contextmanager
def copy_of(start: Path, way: Way) -> Iterator[Ledger]:
    file = start.with_name("copy.db")
    shutil.copy(start, file)
    url = f"sqlite:///{file}"
    opened = engine.create(url, power_safe=way.power_safe, tidy_aside=True)
    if way.slow_seconds:
        _slow_down(opened, way.slow_seconds)
    ledger = Ledger(opened, url, gather=way.gather)
    yield ledger
    ledger.close()
    for one in start.parent.glob("copy.db*"):
        one.unlink()


def _slow_down(opened: engine.Engine, seconds: float) -> None:
    """Makes every commit take longer."""

    class Slow(sqlite3.Connection):
        def commit(self) -> None:
            time.sleep(seconds)
            super().commit()

    @event.listens_for(opened, "do_connect")
    def on_connect(_dialect: object, _record: object, _arguments: object, options: dict[str, object]) -> None:
        options["factory"] = Slow
