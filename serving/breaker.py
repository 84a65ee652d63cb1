"""A circuit breaker around the feature store: when it fails, decisions stop asking, and a probe beside them finds out
when it is back. What a customer's features were last is kept, as the first step down.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from features.contract import FeatureContract
from features.errors import StoreUnavailable
from features.online import FeatureRow, FeatureStore

#: So many reads in a row that fail, or take longer than they may, and nobody waits for the store any more.
FAILURES_TO_OPEN = 3
#: Customers whose last features are kept: about 3 kB each.
REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found: the row, None for a customer without features; and whether it is only what was known before."""

    row: FeatureRow | None
    stale: bool = False


class GuardedStore:
    """A feature store that answers at once, whatever state it is in. Safe to share between threads."""

    def __init__(
        self, store: FeatureStore, slow_seconds: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """A read that takes longer than `slow_seconds` counts as failed, though its values are used."""
        self._store = store
        self._slow = slow_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._waiting_for = ""
        self._known: OrderedDict[str, FeatureRow] = OrderedDict()

    @property
    def contract(self) -> FeatureContract:
        return self._store.contract

    @property
    def open(self) -> bool:
        """Whether the store is left alone for now."""
        return self._failures >= FAILURES_TO_OPEN

    def read(self, customer_id: str) -> Reading:
        """The customer's features, or what they were last. Raises StoreUnavailable when there is neither."""
        if self.open:
            return self._remembered(customer_id)
        start = self._clock()
        try:
            row = self._store.read(customer_id)
        except StoreUnavailable:
            self._failed(customer_id)
            return self._remembered(customer_id)
        if self._clock() - start > self._slow:
            self._failed(customer_id)
        elif self._failures:
            self._failures = 0
        if row is not None:
            self._remember(customer_id, row)
        return Reading(row)

    def read_many(self, customer_ids: Sequence[str]) -> dict[str, FeatureRow]:
        """Straight from the store: a batch waits for it, and stops without it. Raises StoreUnavailable."""
        return self._store.read_many(customer_ids)

    def rehearse(self, customer_id: str) -> None:
        """A read that counts for nothing, so that the next need not open a connection, nor fail for having to."""
        with suppress(StoreUnavailable):
            self._store.read(customer_id)

    def probe(self) -> bool:
        """Asks the store again when it was given up, in place of a decision; whether it is in use now."""
        if self.open:
            start = self._clock()
            try:
                self._store.read(self._waiting_for)
            except StoreUnavailable:
                return False
            if self._clock() - start <= self._slow:
                self._failures = 0
        return not self.open

    def _failed(self, customer_id: str) -> None:
        self._failures += 1
        self._waiting_for = customer_id

    def _remember(self, customer_id: str, row: FeatureRow) -> None:
        with self._lock:
            self._known[customer_id] = row
            self._known.move_to_end(customer_id)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _remembered(self, customer_id: str) -> Reading:
        with self._lock:
            row = self._known.get(customer_id)
        if row is None:
            raise StoreUnavailable("the feature store is not answering")
        return Reading(row, stale=True)
