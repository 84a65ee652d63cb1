"""A feature store in trouble costs a few decisions a wait, then none; and it is used again once it answers."""

from __future__ import annotations

import pytest

from features.contract import FeatureContract
from features.errors import StoreUnavailable
from features.online import FeatureRow
from serving.breaker import FAILURES_TO_OPEN, REMEMBERED, GuardedStore


class Store:
    """Answers, fails or dawdles as told, and counts how often it is asked."""

    contract = FeatureContract(())

    def __init__(self) -> None:
        self.down = False
        self.slow = 0.0
        self.asked = 0
        self.time = 0.0

    def read(self, customer_id: str) -> FeatureRow | None:
        self.asked += 1
        self.time += self.slow
        if self.down:
            raise StoreUnavailable("down")
        return None if customer_id == "nobody" else FeatureRow((), len(customer_id))

    def clock(self) -> float:
        return self.time


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def guarded(store: Store) -> GuardedStore:
    return GuardedStore(store, 0.025, store.clock)  # type: ignore[arg-type]


def test_a_healthy_store_is_simply_asked(guarded: GuardedStore) -> None:
    assert guarded.read("anna").row == FeatureRow((), 4)
    assert guarded.read("nobody").row is None
    assert not guarded.open


def test_a_failing_store_is_given_up_and_no_decision_waits_for_it(store: Store, guarded: GuardedStore) -> None:
    store.down = True
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            guarded.read("anna")
    assert guarded.open
    assert store.asked == FAILURES_TO_OPEN


def test_what_was_known_before_is_the_first_step_down(store: Store, guarded: GuardedStore) -> None:
    guarded.read("anna")
    store.down = True
    for _ in range(5):
        reading = guarded.read("anna")
        assert (reading.row, reading.stale) == (FeatureRow((), 4), True)


def test_a_slow_store_is_given_up_too(store: Store, guarded: GuardedStore) -> None:
    store.slow = 0.03
    for _ in range(FAILURES_TO_OPEN):
        assert not guarded.read("anna").stale
    assert guarded.read("anna").stale
    assert store.asked == FAILURES_TO_OPEN


def test_a_hiccup_is_forgiven(store: Store, guarded: GuardedStore) -> None:
    for down in [True, False] * 10:
        store.down = down
        if down:
            with pytest.raises(StoreUnavailable):
                guarded.read("bert")
        else:
            guarded.read("anna")
    assert not guarded.open


def test_a_probe_brings_it_back_once_it_answers_in_time(store: Store, guarded: GuardedStore) -> None:
    store.down = True
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(StoreUnavailable):
            guarded.read("anna")
    assert not guarded.probe()
    store.down, store.slow = False, 1.0
    assert not guarded.probe()
    store.slow = 0.0
    assert guarded.probe()
    assert not guarded.read("anna").stale


def test_memory_of_customers_is_bounded(store: Store, guarded: GuardedStore) -> None:
    for n in range(REMEMBERED + 10):
        guarded.read(f"c{n}")
    store.down = True
    with pytest.raises(StoreUnavailable):
        guarded.read("c0")
    assert guarded.read(f"c{REMEMBERED + 9}").stale
