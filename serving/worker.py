"""The background loop of `segue work`: learns from outcomes, refreshes touched customers, releases expired slots."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from features.catalogue import load_catalogue
from features.errors import SegueError, StoreUnavailable
from features.ledger import Ledger
from features.refresh import push_customers
from features.settings import Settings
from features.store import FeatureStore
from training.bundle import champion
from training.learner import learn_round

log = logging.getLogger("segue.worker")

#: Customers refreshed in one round at most.
PUSH_BATCH = 2_000
#: The note that says up to which event features were put online; whoever materialises may move it on.
PUSHED = "pushed-position"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of work did."""

    snapshot: int
    learned: int
    pushed: int
    released: int


class Worker:
    """One for each ledger: two would contend for the next snapshot number, and one of them would be refused."""

    def __init__(self, settings: Settings, ledger: Ledger, open_features: Callable[[], FeatureStore | None]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._open_features = open_features
        self._features: FeatureStore | None = None

    def work(self, now: int) -> Round:
        """One round of everything."""
        folder = champion(self._settings.bundle_folder)
        learned = learn_round(
            self._ledger,
            load_catalogue(self._settings.catalogue_folder),
            None if folder is None else folder.name,
            now,
        )
        return Round(learned.snapshot.number, learned.finished, self._push(now), self._ledger.release_expired(now))

    def _push(self, now: int) -> int:
        """Recomputes the features of customers with new events and puts them online."""
        position = int(self._ledger.note(PUSHED) or 0)
        reached, touched = self._ledger.touched_after(position, PUSH_BATCH)
        if reached == position:
            return 0
        try:
            self._features = self._features or self._open_features()
            if self._features is None:
                return 0
            push_customers(self._settings, self._features, self._ledger.url, touched, now)
        except StoreUnavailable as error:
            log.warning("features of touched customers wait for the store: %s", error.code)
            return 0
        self._ledger.put_note(PUSHED, str(reached))
        return len(touched)


def work_forever(worker: Worker, now: Callable[[], int], wait: Callable[[], bool]) -> None:
    """Rounds until `wait` says to stop. A round that fails is logged and made again."""
    while True:
        try:
            done = worker.work(now())
            if done.learned or done.pushed or done.released:
                log.info("snapshot %d: learned %d, pushed %d, released %d", *_numbers(done))
        except SegueError as error:
            log.error("round failed: %s", error)
        if wait():
            return


def _numbers(done: Round) -> tuple[int, int, int, int]:
    return done.snapshot, done.learned, done.pushed, done.released
