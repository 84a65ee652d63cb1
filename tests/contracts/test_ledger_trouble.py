"""A ledger that cannot do its work says so in one of few words, keeps nothing of it, and goes on once it can."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from features.domain import Arm, Customer, Decision, Item, Versions
from features.errors import LedgerUnavailable
from features.ledger import Ledger, at_once, engine, existing_ledger, open_ledger, waiting_until
from features.ledger.turns import turns_of

Write = Callable[[Ledger], object]


def decide(ledger: Ledger) -> None:
    item = Item(1, Arm("offer", "web"), "g", 1.0, None, 0.5, 1.0, 1.0, 1.0, None, 10, 10)
    made = Decision("d1", "r1", "c1", 5, (item,), "action", None, None, Versions(None, "p", "c"))
    ledger.append_decision(
        made, request_hash="h", answer=b"{}", contact_version=0, action_classes={"offer": "marketing"}
    )


#: What writes by the short way to the driver, and what by the long one.
WRITES: list[Write] = [decide, lambda ledger: ledger.put_customers([Customer("c2")])]
KINDS = ["decision", "customers"]


@pytest.fixture
def hasty(ledger_url: str) -> Iterator[Ledger]:
    """A ledger whose calls wait for a tenth of a second."""
    opened = open_ledger(ledger_url, wait_seconds=0.1)
    opened.put_customers([Customer("c1")])
    yield opened
    opened.close()


@contextmanager
def held(url: str) -> Iterator[None]:
    """Somebody else holds what a writer needs."""
    other = engine.create(url)
    with other.connect() as connection, connection.begin():
        if other.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
        yield
    other.dispose()


@pytest.mark.parametrize("write", WRITES, ids=KINDS)
def test_what_others_hold_for_too_long_is_busy_and_can_be_written_afterwards(
    hasty: Ledger, ledger_url: str, write: Write
) -> None:
    with held(ledger_url), pytest.raises(LedgerUnavailable) as caught:
        write(hasty)
    assert (caught.value.code, caught.value.status) == ("ledger_busy", 503)
    assert hasty.trouble is None  # nothing is wrong with it
    write(hasty)


def test_a_thread_may_wait_less_or_longer_than_the_ledger_does(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = open_ledger(url, wait_seconds=3_600.0)
    with held(url):
        with at_once(), pytest.raises(LedgerUnavailable):
            ledger.put_note("a", "b")
        with waiting_until(0.0), pytest.raises(LedgerUnavailable):
            ledger.put_note("a", "b")
    ledger.put_note("a", "b")
    ledger.close()


def test_a_thread_that_waits_in_this_process_keeps_no_other_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = open_ledger(url, wait_seconds=3_600.0)
    with held(url):
        waiting = threading.Thread(target=ledger.put_note, args=("waiting", "yes"))
        waiting.start()
        turns = turns_of(ledger._engine)
        while not turns._lock.locked():
            pass
        with at_once(), pytest.raises(LedgerUnavailable) as caught:
            ledger.put_note("a", "b")
    waiting.join()
    assert caught.value.code == "ledger_busy"
    assert ledger.note("waiting") == "yes"
    ledger.close()


@pytest.mark.parametrize("write", WRITES, ids=KINDS)
def test_a_full_disk_is_said_until_something_can_be_written_again(tmp_path: Path, write: Write) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.put_customers([Customer("c1")])
    connection = ledger._engine.raw_connection()  # the one that is used next
    (pages,) = connection.cursor().execute("PRAGMA page_count").fetchone()
    connection.cursor().execute(f"PRAGMA max_page_count={pages}")
    connection.close()
    filling = [Customer(f"c{n}", attributes={"x": "y" * 900}) for n in range(100)]
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.put_customers(filling)
    assert caught.value.code == "ledger_full"
    assert ledger.trouble is caught.value
    assert ledger.customer_ids() == ["c1"]
    assert ledger.trouble is caught.value  # that reading goes well says nothing of writing
    connection = ledger._engine.raw_connection()
    connection.cursor().execute(f"PRAGMA max_page_count={pages + 10_000}")
    connection.close()
    assert ledger.probe()
    write(ledger)
    ledger.close()


def test_a_ledger_that_may_only_be_read_says_so(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    connection = ledger._engine.raw_connection()
    connection.cursor().execute("PRAGMA query_only=ON")
    connection.close()
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.put_note("a", "b")
    assert caught.value.code == "ledger_read_only"
    assert not ledger.probe()
    ledger.close()


@pytest.mark.parametrize("write", WRITES, ids=KINDS)
def test_after_a_server_threw_everybody_out_one_call_fails_and_the_next_ones_do_not(
    hasty: Ledger, ledger_url: str, write: Write
) -> None:
    if hasty.embedded:
        pytest.skip("there is no server to restart")
    with hasty._engine.connect() as one, hasty._engine.connect() as two:
        pids = [connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() for connection in (one, two)]
    other = engine.create(ledger_url)
    with other.begin() as connection:
        for pid in pids:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()
    with pytest.raises(LedgerUnavailable) as caught:
        write(hasty)
    assert caught.value.code == "ledger_unavailable"
    write(hasty)
    assert hasty.trouble is None


def test_a_fault_of_ours_is_not_taken_for_one_of_the_database(hasty: Ledger) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught, engine.reading(hasty._engine) as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")
    assert not isinstance(caught.value, LedgerUnavailable)
    assert hasty.trouble is None


def test_a_damaged_file_is_said_when_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"this is no database, but long enough to be looked at " * 100)
    with pytest.raises(LedgerUnavailable, match="cannot be opened: file is not a database"):
        existing_ledger(f"sqlite:///{file}")


def test_opening_a_held_ledger_of_another_version_says_that_it_is_busy(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{file}").close()
    with sqlite3.connect(file, isolation_level=None) as old:
        old.execute("UPDATE schema_version SET version = 3")
        old.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable) as caught:
            open_ledger(f"sqlite:///{file}", wait_seconds=0.05)
        old.execute("ROLLBACK")
    old.close()
    assert caught.value.code == "ledger_busy"
