"""The composition root: real parts chosen and joined, once, in one short place. Tests join others."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from features import clock
from features.errors import NotReady
from features.home import prepare_home
from features.ledger import Ledger, existing_ledger, open_ledger
from features.settings import Settings
from features.store import FeatureStore, open_feature_store
from serving.assignment import holdout_layer
from serving.decider import Decider
from serving.intake import Intake
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live, Watcher
from serving.routes import Door, Rooms
from serving.runner import WAIT_SECONDS, Runner

log = logging.getLogger("segue.wiring")

#: Calls of a database elsewhere wait for the network, not for the processor: a few threads are enough for one worker.
THREADS = 8
#: Where decisions wait for the disk, as many as there are threads wait for it together. On a server each may hold one
#: of its 100 connections.
GATHERING_THREADS, GATHERING_THREADS_ON_SERVER = 32, 16


@dataclass(frozen=True, slots=True)
class Parts:
    """A running decision service, without its server."""

    settings: Settings
    ledger: Ledger
    live: Live
    decider: Decider
    intake: Intake
    door: Door
    watcher: Watcher

    def close(self) -> None:
        self.door.close()
        self.watcher.stop()
        self.ledger.close()


def build(settings: Settings, door: Door) -> Parts:
    """Opens the stores, loads and rehearses what decides now, opens the door, and starts watching for news."""
    prepare_home(settings)
    ledger = open_ledger(settings.ledger, power_safe=settings.power_safe, tidy_aside=True, wait_seconds=WAIT_SECONDS)
    live = Live(settings, ledger, features_opener(settings))
    live.refresh()
    metrics = Metrics()
    journal = Journal(sys.stdout.buffer if settings.decision_log else None)
    decider = Decider(settings, ledger, live, [holdout_layer(settings.holdout_share)], metrics, journal)
    intake = Intake(ledger, lambda: live.strategy.catalogue)
    runner = Runner(threads_of(settings, ledger))
    rehearse(decider, runner)
    rooms = Rooms(decider, intake, ledger, metrics, lambda: live.strategy.catalogue, runner, settings.max_body_bytes)
    door.open(rooms)
    watcher = Watcher(live, ledger, metrics, journal, settings.poll_seconds)
    watcher.start()
    return Parts(settings, ledger, live, decider, intake, door, watcher)


@contextmanager
def looking(settings: Settings) -> Iterator[Decider]:
    """A decider for looks, over a home that is there: nothing in it changes. Raises NoData where there is no ledger."""
    ledger = existing_ledger(settings.ledger)
    try:
        live = Live(settings, ledger, features_opener(settings), looking=True)
        live.refresh()
        yield Decider(settings, ledger, live, [holdout_layer(settings.holdout_share)], Metrics(), Journal(None))
    finally:
        ledger.close()


def threads_of(settings: Settings, ledger: Ledger) -> int:
    """How many threads decide.

    0 where the ledger lives in this process and nobody waits for the disk: what is asked then runs where it is asked, a
    hop to a thread and back costs 0.2 ms and gains nothing.
    """
    if settings.power_safe:
        return GATHERING_THREADS if ledger.embedded else GATHERING_THREADS_ON_SERVER
    return 0 if ledger.embedded else THREADS


def rehearse(decider: Decider, runner: Runner) -> None:
    """On every thread that will decide, each of which has connections of its own. What fails is told, and hinders no
    start: whoever asks is answered without it."""

    def one() -> None:
        try:
            decider.rehearse(clock.now())
        except Exception:
            log.exception("the rehearsal of a decision failed")

    runner.everywhere(one)


def features_opener(settings: Settings) -> Callable[[], FeatureStore | None]:
    """Opens the feature store when called; None where no features were applied yet or it does not answer."""

    def open_features() -> FeatureStore | None:
        try:
            return open_feature_store(settings)
        except NotReady:
            return None

    return open_features


def calm_garbage() -> None:
    """A full collection stops the world for 60 to 90 ms here; what is loaded now is never garbage, so it is left out.

    After this a young collection comes every 50,000 net allocations and a full one practically never.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
    _keep_memory()


def _keep_memory() -> None:
    """Lets glibc keep what arrays give back, for the next ones.

    It asks the system for every block above 128 kB anew, page by page, until it has seen a larger one given back (32 MB
    is the most it heeds). Thompson's shares of 32 customers at once took twice as long with the pages as without.
    """
    np.empty(24 * 2**20, dtype=np.uint8)


def end_calm() -> None:
    """Before the process ends: what was frozen is let go, or extension modules complain of leaks."""
    gc.unfreeze()
