"""One worker at a time on a ledger; who was killed is followed once the lease is over. On both databases."""

from __future__ import annotations

import threading

import pytest

from features.clock import SECOND
from features.errors import Conflict
from features.ledger import Ledger
from serving.sole_worker import NAME, sole_worker

NOW = 1_790_000_000_000_000


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = NOW
        self.waited = 0.0

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += round(seconds * SECOND)
        self.waited += seconds
        return False


def nothing() -> None:
    """Nobody is stopped."""


def test_a_place_is_held_renewed_and_given_up(ledger: Ledger) -> None:
    assert ledger.take_lease("place", "anna", NOW + 10, NOW) is None
    held = ledger.take_lease("place", "bert", NOW + 10, NOW)
    assert held is not None
    assert (held.holder, held.expires_at) == ("anna", NOW + 10)
    assert ledger.take_lease("place", "anna", NOW + 20, NOW) is None
    ledger.end_lease("place", "bert")  # not his
    assert ledger.take_lease("place", "bert", NOW + 30, NOW + 19) is not None
    assert ledger.take_lease("place", "bert", NOW + 30, NOW + 20) is None
    ledger.end_lease("place", "bert")
    assert ledger.take_lease("place", "anna", NOW + 30, NOW + 20) is None


def test_of_many_at_once_one_takes_the_place(ledger: Ledger) -> None:
    gate, taken = threading.Barrier(6), []

    def take(name: str) -> None:
        gate.wait()
        if ledger.take_lease("place", name, NOW + 10, NOW) is None:
            taken.append(name)

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_a_second_worker_is_refused_at_the_first_sign_of_life(ledger: Ledger) -> None:
    clock = Clock()
    ledger.take_lease(NAME, "the first", NOW + 30 * SECOND, NOW)

    def wait(seconds: float) -> bool:
        clock.wait(seconds)
        return ledger.take_lease(NAME, "the first", clock.now + 30 * SECOND, clock.now) is not None

    refused = pytest.raises(Conflict, match=r"another `segue work` is at work on this ledger \(the first\)")
    with refused, sole_worker(ledger, clock, wait, nothing):
        pytest.fail("two at once")
    assert clock.waited < 30


def test_a_worker_that_was_killed_is_followed_when_its_lease_is_over(ledger: Ledger) -> None:
    clock = Clock()
    ledger.take_lease(NAME, "killed", NOW + 30 * SECOND, NOW)
    with sole_worker(ledger, clock, clock.wait, nothing):
        assert 30 <= clock.waited < 34
        assert ledger.take_lease(NAME, "a third", clock.now + 1, clock.now) is not None
    assert ledger.take_lease(NAME, "a third", clock.now + 1, clock.now) is None


def test_a_worker_whose_place_was_taken_stops_and_says_so(ledger: Ledger) -> None:
    clock, stopped = Clock(), threading.Event()

    def work_until_stopped() -> None:
        with sole_worker(ledger, clock, clock.wait, stopped.set, seconds=0.5):
            clock.now += SECOND  # asleep for longer than the lease
            assert ledger.take_lease(NAME, "another", clock.now + SECOND, clock.now) is None
            assert stopped.wait(30)

    with pytest.raises(Conflict, match="took over"):
        work_until_stopped()
    assert ledger.take_lease(NAME, "a third", clock.now, clock.now) is not None  # and leaves the place to the other
