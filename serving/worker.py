"""The background loop of `segue work`: learns from outcomes, refreshes touched customers, releases expired slots."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from features.catalogue import Catalogue, load_catalogue
from features.clock import HOUR, MINUTE, SECOND
from features.errors import CatalogueError, SegueError, StoreUnavailable
from features.ledger import Ledger
from features.refresh import note_online, online_positions, push_customers, refresh_features, refreshed_at
from features.settings import Settings
from features.store import FeatureStore
from serving.ramp.control import ramp_round
from serving.refresh import kept_catalogue
from training.bundle import champion
from training.learner import Habits, Learned, learn_round

log = logging.getLogger("segue.worker")

#: Entries of each log looked at in one round at most.
PUSH_BATCH = 2_000


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
        self._learn_due = 0
        self._snapshot = 0
        self._ramp_due = 0

    def work(self, now: int) -> Round:
        """One round of everything."""
        finished = 0
        if now >= self._learn_due:
            learned = self._learn(now)
            self._learn_due = now + round(self._settings.learn_seconds * SECOND)
            finished, self._snapshot = learned.finished, learned.snapshot.number
        self._look_at_ramp(now)
        released = self._ledger.release_expired(now)
        return Round(self._snapshot, finished, self._push(now), released)

    def _learn(self, now: int) -> Learned:
        folder = champion(self._settings.bundle_folder)
        return learn_round(
            self._ledger,
            self._catalogue(),
            None if folder is None else folder.name,
            now,
            Habits(self._settings.forgetting_days, self._settings.late_days),
        )

    def _look_at_ramp(self, now: int) -> None:
        """Once a minute: what it reads grows with the ramp. Looks may be as many as one likes (`ramp.sequential`)."""
        if now < self._ramp_due:
            return
        self._ramp_due = now + MINUTE
        try:
            ramp_round(self._settings, self._ledger, now)
        except SegueError as error:
            log.error("the ramp stays where it is: %s", error)

    def _catalogue(self) -> Catalogue:
        """The home's catalogue; while it is broken, the one that decides meanwhile."""
        try:
            return load_catalogue(self._settings.catalogue_folder)
        except CatalogueError:
            return kept_catalogue(self._ledger)

    def _push(self, now: int) -> int:
        """Recomputes the features of customers something happened to, and puts them online.

        Everybody's are refreshed once a day: a quiet customer's values change too, as days go by.
        """
        last = refreshed_at(self._ledger, now)
        if last is not None and now - last > self._settings.refresh_hours * HOUR:
            return refresh_features(self._settings, self._ledger.url, now).customers
        before = online_positions(self._ledger)
        reached, touched = self._ledger.touched_after(before, PUSH_BATCH)
        if reached == before:
            return 0
        try:
            self._features = self._features or self._open_features()
            if self._features is None:
                return 0
            push_customers(self._settings, self._features, self._ledger.url, touched, now)
        except StoreUnavailable as error:
            log.warning("features of touched customers wait for the store: %s", error.code)
            return 0
        note_online(self._ledger, reached)
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
