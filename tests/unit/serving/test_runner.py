"""Work with the ledger never keeps the event loop: what would wait there is done again on a thread that may."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import Conflict, LedgerUnavailable
from features.ledger import Ledger, engine, open_ledger
from serving import runner as module
from serving.runner import Runner


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", wait_seconds=3_600.0)
    yield opened
    opened.close()


@pytest.fixture
def runner() -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


def test_what_need_not_wait_is_done_where_it_is_asked(runner: Runner) -> None:
    assert asyncio.run(runner.run(threading.get_ident)) == threading.get_ident()


def test_while_the_ledger_is_held_the_loop_goes_on_and_the_work_is_done_when_it_is_free(
    runner: Runner, ledger: Ledger
) -> None:
    async def story() -> list[str]:
        told: list[str] = []

        async def write(name: str) -> None:
            await runner.run(lambda: ledger.put_note(name, name))
            told.append(name)

        other = engine.create(ledger.url)
        with engine.writing(other):
            waiting = [asyncio.create_task(write(name)) for name in "abc"]
            while runner._waiting < 3:
                await asyncio.sleep(0)
            told.append("alive")
        await asyncio.gather(*waiting)
        other.dispose()
        return told

    assert sorted(asyncio.run(story())) == ["a", "alive", "b", "c"]
    assert [ledger.note(name) for name in "abc"] == ["a", "b", "c"]


def test_what_is_held_for_too_long_is_refused_and_so_is_what_lined_up_behind_it(
    runner: Runner, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)

    async def story() -> list[BaseException | None]:
        other = engine.create(ledger.url)
        with engine.writing(other):
            many = [runner.run(lambda: ledger.put_note("a", "b")) for _ in range(10)]
            told = await asyncio.gather(*many, return_exceptions=True)
        other.dispose()
        return told

    told = asyncio.run(story())
    assert [getattr(one, "code", None) for one in told] == ["ledger_busy"] * 10
    assert ledger.note("a") is None
    assert asyncio.run(runner.run(threading.get_ident)) == threading.get_ident()  # back to the short way


def test_other_errors_are_not_tried_again(runner: Runner) -> None:
    tried: list[str] = []
    for error in (Conflict("no"), LedgerUnavailable("full", code="ledger_full")):

        def work(error: Exception = error) -> None:
            tried.append(type(error).__name__)
            raise error

        with pytest.raises(type(error)):
            asyncio.run(runner.run(work))
    assert tried == ["Conflict", "LedgerUnavailable"]
