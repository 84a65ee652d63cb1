"""Decisions committed together, on SQLite and on PostgreSQL: each is kept or refused as if it had come alone."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Item, Versions
from features.errors import Conflict, ContactTaken, LedgerUnavailable, NotReady
from features.ledger import Ledger, engine, open_ledger, tables
from features.ledger.appender import judge
from features.ledger.entries import Entry, entry_of
from features.ledger.path import DecisionPath

NOW = 1_790_000_000_000_000
MAIL = Arm("offer", "email")
CLASSES = {"offer": "marketing"}
CUSTOMERS = [f"c{n}" for n in range(40)]


@pytest.fixture
def safe(ledger_url: str) -> Iterator[Ledger]:
    """A ledger in power-safe mode that knows some customers."""
    opened = open_ledger(ledger_url, power_safe=True)
    opened.put_customers([Customer(one) for one in CUSTOMERS])
    yield opened
    opened.close()


def decision(name: str, customer: str = "c0", arm: Arm = MAIL, request: str | None = None) -> Decision:
    item = Item(1, arm, "growth", 0.5, 0.2, 0.25, 4.0, 1.0, 1.0, None, NOW + HOUR, NOW + 7 * DAY)
    versions = Versions("bundle-1", "policy-1", "catalogue-1")
    return Decision(name, request or f"request-{name}", customer, NOW, (item,), "action", None, None, versions)


def entry(made: Decision, version: int = 0) -> Entry:
    return entry_of(made, "hash", f"answer {made.decision_id}".encode(), version, CLASSES)


def append(ledger: Ledger, made: Decision, version: int = 0) -> None:
    answer = f"answer {made.decision_id}".encode()
    ledger.append_decision(made, request_hash="hash", answer=answer, contact_version=version, action_classes=CLASSES)


def version(ledger: Ledger, customer: str) -> int:
    return ledger.before_decision("a request never made", customer, 0).contact_version


def recorded(ledger: Ledger) -> list[str]:
    """The decisions in the ledger, in order of their ids."""
    with engine.reading(ledger._engine) as connection:
        return list(connection.scalars(select(tables.decisions.c.decision_id).order_by(tables.decisions.c.decision_id)))


def whole(ledger: Ledger, names: Sequence[str]) -> bool:
    """Whether exactly these decisions are there, each once, with its item and its contact."""
    d, i, r = (table.c.decision_id for table in (tables.decisions, tables.decision_items, tables.reservations))
    with engine.reading(ledger._engine) as connection:
        return all(sorted(connection.scalars(select(column))) == sorted(names) for column in (d, i, r))


@contextmanager
def writers_held(ledger_url: str, customer: str = "c0") -> Iterator[None]:
    """Nobody who writes about this customer (on SQLite: nobody at all) gets on until the block ends."""
    opened = engine.create(ledger_url)
    with engine.writing(opened) as connection:
        connection.execute(text("UPDATE customers SET zone = zone WHERE customer_id = :one"), {"one": customer})
        yield
        connection.rollback()
    opened.dispose()


def until(true: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def at_once(ledger: Ledger, url: str, made: Sequence[tuple[Decision, int]]) -> list[Future[None]]:
    """All appended together: they gather while another process holds the database."""
    gathering = ledger._gathering
    assert gathering is not None
    with ThreadPoolExecutor(len(made) + 1) as pool:
        with writers_held(url):
            first = pool.submit(append, ledger, decision("first"))
            until(lambda: gathering._writing and not gathering._queue)
            futures = []
            for place, (one, seen) in enumerate(made, 1):
                futures.append(pool.submit(append, ledger, one, seen))
                until(lambda place=place: len(gathering._queue) == place)  # type: ignore[misc]
            assert not any(future.done() for future in [first, *futures]), "acknowledged before it was committed"
        first.result(30)
    return futures


def test_every_decision_of_many_threads_is_there_once_and_whole(safe: Ledger) -> None:
    names = [f"d{n:04d}" for n in range(400)]

    def run(first: int) -> None:
        # A thread has its own customers, so that only the database can be in the way.
        for n in range(first, len(names), 8):
            customer = CUSTOMERS[first * 5 + n % 5]
            append(safe, decision(names[n], customer), version(safe, customer))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert whole(safe, names)
    assert sum(version(safe, one) for one in CUSTOMERS) == len(names)
    answer = safe.find_answer("request-d0123")
    assert answer is not None
    assert answer.answer == b"answer d0123"


def test_one_commit_serves_all_that_gathered(safe: Ledger, ledger_url: str) -> None:
    taken: list[int] = []
    together = safe._appender.together
    assert safe._gathering is not None
    safe._gathering._write = lambda entries: (taken.append(len(entries)), together(entries))[1]
    at_once(safe, ledger_url, [(decision(f"d{n}", f"c{n}"), 0) for n in range(1, 20)])
    assert taken == [1, 19]
    assert whole(safe, ["first", *(f"d{n}" for n in range(1, 20))])


def test_among_accepted_ones_a_refused_one_is_refused_alone(safe: Ledger, ledger_url: str) -> None:
    append(safe, decision("before", "c9"))
    made = [
        (decision("good-1", "c1"), 0),
        (decision("late", "c9"), 0),  # its customer was contacted since
        (decision("again", "c2", request="request-before"), 0),
        (decision("good-2", "c3"), 0),
        (decision("stranger", "nobody"), 0),  # a contact with somebody unknown
        (decision("nothing", "nobody-2", DO_NOTHING), 0),
    ]
    futures = at_once(safe, ledger_url, made)
    told = [type(future.exception()) for future in futures]
    assert told == [type(None), ContactTaken, Conflict, type(None), ContactTaken, type(None)]
    assert recorded(safe) == ["before", "first", "good-1", "good-2", "nothing"]
    assert [version(safe, one) for one in ("c1", "c2", "c3", "c9")] == [1, 0, 1, 1]


def test_of_one_customer_in_one_group_one_gets_the_contact(safe: Ledger, ledger_url: str) -> None:
    made = [(decision(f"d{n}", "c5", DO_NOTHING if n in (0, 9) else MAIL), 0) for n in range(10)]
    futures = at_once(safe, ledger_url, made)
    # The first draws nothing and leaves the state alone, the second takes the contact, the others saw what was.
    assert [future.exception() is None for future in futures] == [True, True, *[False] * 8]
    assert all(isinstance(future.exception(), ContactTaken) for future in futures[2:])
    assert version(safe, "c5") == 1


def test_the_same_request_twice_in_one_group_is_recorded_once(safe: Ledger, ledger_url: str) -> None:
    made = [(decision("d1", "c1", DO_NOTHING), 0) for _ in range(5)]
    told = [type(future.exception()) for future in at_once(safe, ledger_url, made)]
    assert told == [type(None), *[Conflict] * 4]
    assert recorded(safe) == ["d1", "first"]


def test_a_row_the_database_does_not_take_spares_the_others(safe: Ledger, ledger_url: str) -> None:
    # A number beyond 8 bytes is taken by neither database.
    bad = decision("bad", "c2")
    msgspec.structs.force_setattr(bad, "decided_at", 2**70)
    futures = at_once(safe, ledger_url, [(decision("d1", "c1"), 0), (bad, 0), (decision("d3", "c3"), 0)])
    assert [future.exception() is None for future in futures] == [True, False, True]
    assert whole(safe, ["d1", "d3", "first"])
    assert version(safe, "c2") == 0


def test_an_error_of_the_database_reaches_everybody_who_waits_and_nothing_is_kept(
    safe: Ledger, ledger_url: str
) -> None:
    error = safe._engine.dialect.loaded_dbapi.OperationalError("the disk is full")
    write = DecisionPath.write

    def broken(path: DecisionPath, cursor: Any, entries: Sequence[Entry], moved: Any) -> None:
        write(path, cursor, entries, moved)
        if len(entries) > 1:
            raise error

    safe._path.write = broken.__get__(safe._path)  # type: ignore[method-assign]
    futures = at_once(safe, ledger_url, [(decision(f"d{n}", f"c{n}"), 0) for n in range(1, 7)])
    told = [future.exception() for future in futures]
    assert [type(one) for one in told] == [LedgerUnavailable] * 6
    assert [one.__cause__ for one in told if one is not None] == [error] * 6
    assert whole(safe, ["first"])
    del safe._path.write  # type: ignore[method-assign]
    append(safe, decision("d1", "c1"))
    assert whole(safe, ["d1", "first"])


def test_closing_waits_until_what_was_taken_is_committed(ledger_url: str) -> None:
    ledger = open_ledger(ledger_url, power_safe=True)
    ledger.put_customers([Customer(one) for one in CUSTOMERS])
    gathering = ledger._gathering
    assert gathering is not None
    with ThreadPoolExecutor(12) as pool:
        with writers_held(ledger_url):
            made = [pool.submit(append, ledger, decision(f"d{n}", f"c{n}")) for n in range(10)]
            until(lambda: len(gathering._queue) >= 9)
            closed = pool.submit(ledger.close)
            until(lambda: gathering._closed)
            assert not closed.done()
        closed.result(30)
        assert [one.exception() for one in made] == [None] * 10
    with pytest.raises(NotReady):
        append(ledger, decision("late"))
    again = open_ledger(ledger_url)
    assert whole(again, [f"d{n}" for n in range(10)])
    again.close()


def test_killed_between_gathering_and_commit_only_what_was_not_acknowledged_is_lost(ledger_url: str) -> None:
    ledger = open_ledger(ledger_url)
    ledger.put_customers([Customer(one) for one in CUSTOMERS])
    with subprocess.Popen([sys.executable, __file__, ledger_url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [line.strip() for line in itertools.takewhile(lambda line: line != "19 written\n", process.stdout)]
        process.kill()
        assert process.stdout.read() == ""
    until(lambda: not _busy(ledger))
    assert sorted(told) == [f"a{n:02d}" for n in range(20)] + ["b00"]
    assert whole(ledger, told)
    append(ledger, decision("b01", "c21"))  # what was lost can be asked again
    ledger.close()


def _busy(ledger: Ledger) -> bool:
    """Whether PostgreSQL still works for a process that is gone."""
    if ledger.embedded:
        return False
    with engine.reading(ledger._engine) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'killed-while-gathering'"
        return bool(connection.scalar(text(query)))


def be_killed(url: str) -> None:
    """Run as a script: tells the decisions acknowledged, and when 19 more are written but not committed."""
    os.environ["PGAPPNAME"] = "killed-while-gathering"
    ledger = open_ledger(url, power_safe=True)
    gathering, write = ledger._gathering, ledger._path.write
    assert gathering is not None

    def say(line: str) -> None:
        os.write(1, f"{line}\n".encode())

    def run(name: str, customer: str) -> None:
        append(ledger, decision(name, customer))
        say(name)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(run, [f"a{n:02d}" for n in range(20)], CUSTOMERS[:20]))

    told = threading.Event()

    def slow(cursor: Any, entries: Sequence[Entry], moved: Any) -> None:
        write(cursor, entries, moved)
        until(lambda: len(entries) > 1 or len(gathering._queue) == 19)
        if len(entries) > 1:
            told.wait()
            say(f"{len(entries)} written")
            time.sleep(60)

    ledger._path.write = slow  # type: ignore[method-assign]
    first = threading.Thread(target=run, args=("b00", "c20"))
    first.start()
    until(lambda: gathering._writing and not gathering._queue)
    for n in range(1, 20):
        threading.Thread(target=run, args=(f"b{n:02d}", CUSTOMERS[20 + n]), daemon=True).start()
    first.join()
    told.set()
    time.sleep(60)


#: (customer, contact version seen, whether it contacts, request)
made_entries = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans(), st.integers(0, 5)), max_size=12
)


@given(made_entries)
def test_a_group_is_judged_as_its_entries_one_after_another_would_be(made: list[tuple[str, int, bool, int]]) -> None:
    known = {"a": 0, "b": 1}  # c is unknown
    entries = [
        entry(decision(f"d{n}", customer, MAIL if contacts else DO_NOTHING, f"r{request}"), seen)
        for n, (customer, seen, contacts, request) in enumerate(made)
    ]
    together = judge(entries, known)
    one_by_one: list[type] = []
    state, answered = dict(known), set()
    for one in entries:
        (refusal,), after = judge([one], state)
        if refusal is None and one.decision["request_id"] in answered:
            refusal, after = Conflict("answered"), state
        if refusal is None:
            answered.add(one.decision["request_id"])
            state = after
        one_by_one.append(type(refusal))
    assert [type(refusal) for refusal in together[0]] == one_by_one
    assert together[1] == state


if __name__ == "__main__":
    be_killed(sys.argv[1])
