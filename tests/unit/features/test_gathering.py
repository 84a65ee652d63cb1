"""What many threads want written is written together, and each is told how its own part went."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from features.errors import Conflict, NotReady
from features.ledger.gathering import MOST, Gathering


class Disk:
    """Writes when it is let, and keeps every group it was given."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.free = threading.Event()
        self.refuse: dict[int, Exception] = {}
        self.broken: BaseException | None = None

    def write(self, numbers: Sequence[int]) -> list[Exception | None]:
        self.groups.append(list(numbers))
        assert self.free.wait(30)
        if self.broken is not None:
            raise self.broken
        return [self.refuse.get(number) for number in numbers]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def gathering(disk: Disk) -> Gathering[int]:
    return Gathering(disk.write)


def until(true: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def gathered(gathering: Gathering[int], disk: Disk, numbers: Sequence[int]) -> dict[int, Future[None]]:
    """All these added, by a thread each, while the first of them is being written; then the disk is let."""
    pool = ThreadPoolExecutor(len(numbers))
    first, *others = numbers
    futures = {first: pool.submit(gathering.add, first)}
    until(lambda: disk.groups == [[first]])
    for place, number in enumerate(others, 1):
        futures[number] = pool.submit(gathering.add, number)
        until(lambda place=place: len(gathering._queue) == place)  # type: ignore[misc]
    assert not any(future.done() for future in futures.values()), "told before it was written"
    disk.free.set()
    pool.shutdown()
    return futures


def test_what_comes_during_a_write_is_written_together_by_the_next(gathering: Gathering[int], disk: Disk) -> None:
    futures = gathered(gathering, disk, range(8))
    assert [future.result() for future in futures.values()] == [None] * 8
    assert disk.groups == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_one_alone_waits_for_nobody(gathering: Gathering[int], disk: Disk) -> None:
    disk.free.set()
    for number in range(3):
        gathering.add(number)
    assert disk.groups == [[0], [1], [2]]


def test_a_refusal_reaches_the_one_it_is_meant_for(gathering: Gathering[int], disk: Disk) -> None:
    disk.refuse[3] = Conflict("taken")
    futures = gathered(gathering, disk, range(6))
    assert [number for number, future in futures.items() if future.exception()] == [3]
    assert isinstance(futures[3].exception(), Conflict)


@pytest.mark.parametrize("broken", [OSError("the disk is full"), KeyboardInterrupt(), SystemExit(1)])
def test_what_breaks_a_write_reaches_everybody_in_it(
    gathering: Gathering[int], disk: Disk, broken: BaseException
) -> None:
    disk.broken = broken
    futures = gathered(gathering, disk, range(6))
    assert [future.exception() for future in futures.values()] == [broken] * 6
    disk.broken = None
    gathering.add(7)  # and the next are written again
    assert disk.groups[-1] == [7]


def test_a_flood_is_written_in_groups_of_a_bounded_size(gathering: Gathering[int], disk: Disk) -> None:
    gathered(gathering, disk, range(MOST + 11))
    assert [len(group) for group in disk.groups] == [1, MOST, 10]


def test_closing_waits_for_what_was_taken_and_takes_no_more(gathering: Gathering[int], disk: Disk) -> None:
    with ThreadPoolExecutor(4) as pool:
        added = [pool.submit(gathering.add, 0)]
        until(lambda: disk.groups == [[0]])
        added += [pool.submit(gathering.add, number) for number in (1, 2)]
        until(lambda: len(gathering._queue) == 2)
        closed = pool.submit(gathering.close)
        until(lambda: gathering._closed)
        assert not closed.done()
        with pytest.raises(NotReady):
            gathering.add(3)
        disk.free.set()
        assert closed.result(30) is None
        assert [one.exception() for one in added] == [None] * 3
    assert sorted(n for group in disk.groups for n in group) == [0, 1, 2]


def test_nothing_is_lost_or_written_twice_by_many_threads_in_a_hurry() -> None:
    written: list[int] = []
    busy = threading.Lock()

    def write(numbers: Sequence[int]) -> list[Exception | None]:
        assert busy.acquire(blocking=False), "two writes at once"
        written.extend(numbers)
        busy.release()
        return [Conflict(str(n)) if n % 7 == 0 else None for n in numbers]

    gathering = Gathering(write)

    def add(first: int) -> int:
        refused = 0
        for number in range(first, 4_000, 16):
            try:
                gathering.add(number)
            except Conflict as error:
                refused += str(error) == str(number)
        return refused

    with ThreadPoolExecutor(16) as pool:
        refused = sum(pool.map(add, range(16)))
    gathering.close()
    assert sorted(written) == list(range(4_000))
    assert refused == len(range(0, 4_000, 7))
