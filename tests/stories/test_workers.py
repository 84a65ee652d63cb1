"""A service of several workers: as many as were asked for, one page of figures, and a killed one is not missed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from features.domain import Customer
from features.ledger import engine, open_ledger, tables

CLIENTS = 6
#: Requests of each client; the first worker dies after some of them.
REQUESTS = 60
#: The supervisor looks every 10 s, and a worker takes about as long to start.
PATIENCE_SECONDS = 90.0


@pytest.fixture
def home(new_home: Callable[..., Path], ledger_url: str) -> Path:
    """A home of two workers whose ledger is on either database."""
    ledger = open_ledger(ledger_url)
    agreed = {"email": "granted"}
    ledger.put_customers([Customer(f"sim-{n:06d}", 0, "Etc/UTC", agreed) for n in range(1, 401)])
    ledger.close()
    return new_home(workers=2, ledger_url=ledger_url)


def workers(service: Any) -> list[psutil.Process]:
    """The processes that decide: the children of the one that was started."""
    return [p for p in psutil.Process(service.child.process.pid).children() if p.status() != psutil.STATUS_ZOMBIE]


def figures(service: Any) -> dict[str, float]:
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def decided(service: Any) -> float:
    return sum(value for name, value in figures(service).items() if name.startswith("segue_decisions_total"))


def send_with_retries(service: Any, first: int, answers: dict[str, httpx.Response], resets: list[str]) -> None:
    """One client with one connection after another: what is reset is sent again, with the same id."""
    for n in range(first, first + REQUESTS * CLIENTS, CLIENTS):
        body = {"request_id": f"w-{n}", "customer_id": f"sim-{1 + n % 400:06d}"}
        while body["request_id"] not in answers:
            try:
                with service.client() as client:
                    answers[body["request_id"]] = client.post("/v1/decide", json=body)
            except httpx.TransportError:
                resets.append(body["request_id"])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def service(home: Path, serve: Any) -> Iterator[Any]:
    with serve(home) as running:
        wait_for(lambda: figures(running)["segue_workers"] == 2)
        yield running


def test_a_killed_worker_is_not_missed(service: Any, ledger_url: str) -> None:
    first, second = workers(service)
    answers: dict[str, httpx.Response] = {}
    resets: list[str] = []
    clients = [threading.Thread(target=send_with_retries, args=(service, n, answers, resets)) for n in range(CLIENTS)]
    for one in clients:
        one.start()
    wait_for(lambda: len(answers) >= CLIENTS * 5)
    os.kill(first.pid, signal.SIGKILL)
    for one in clients:
        one.join()

    assert {answer.status_code for answer in answers.values()} == {200}
    # Only who had a connection to the killed one had to ask again; the others were never disturbed.
    assert all(count == 1 for count in Counter(resets).values())
    assert len(resets) <= CLIENTS
    assert second.is_running()
    recorded = decisions_of(ledger_url)
    assert recorded == Counter(dict.fromkeys(answers, 1))
    # Whoever died may have recorded what it did not live to count; what it counted stays.
    assert len(answers) - len(resets) <= decided(service) <= len(answers)

    wait_for(lambda: len(workers(service)) == 2 and figures(service)["segue_workers"] == 2)
    assert first.pid not in {one.pid for one in workers(service)}
    assert len(answers) - len(resets) <= decided(service) <= len(answers)
    memory = sum(one.memory_info().rss for one in workers(service))
    assert figures(service)["process_resident_memory_bytes"] == pytest.approx(memory, rel=0.2)


def decisions_of(url: str) -> Counter[str]:
    d = tables.decisions.c
    opened = engine.create(url)
    with engine.reading(opened) as connection:
        found = connection.execute(select(d.request_id, func.count()).where(d.origin == "live").group_by(d.request_id))
        counts = Counter({row[0]: row[1] for row in found})
    opened.dispose()
    return counts
