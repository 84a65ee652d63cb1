"""While another process holds the ledger, the running service is alive, and says what cannot be written yet."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.errors import NotReady

EVENT = {"customer_id": "sim-000001", "type": "session", "occurred_at": "2026-01-01T00:00:00Z"}


@contextmanager
def held(home: Path) -> Iterator[None]:
    other = sqlite3.connect(home / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_a_held_ledger_keeps_nobody_from_seeing_that_the_service_lives(
    new_home: Callable[..., Path], serve: Any
) -> None:
    home = new_home()
    told: list[httpx.Response] = []

    def post(service: Any, path: str, body: dict[str, Any]) -> threading.Thread:
        def send() -> None:
            with service.client() as client:
                told.append(client.post(path, json=body))

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    with serve(home) as service, service.client() as client:
        with held(home):
            waiting = [
                *(post(service, "/v1/events", {"event_id": f"e{n}", **EVENT}) for n in range(10)),
                post(service, "/v1/decide", {"request_id": "r", "customer_id": "sim-000001"}),
            ]
            while any(thread.is_alive() for thread in waiting):
                start = time.perf_counter()
                assert client.get("/livez").status_code == 200
                # Each write used to keep it for 10 seconds: a tenth of that is far off on any machine.
                assert time.perf_counter() - start < 1.0
                assert client.get("/readyz").status_code == 200  # busy is no reason to be sent nothing
                look = client.post(
                    "/v1/decide", json={"request_id": "look", "customer_id": "sim-000001", "dry_run": True}
                )
                assert look.status_code == 200  # what only reads is answered
        assert {(t.status_code, t.json()["error"]["code"]) for t in told} == {(503, "ledger_busy")}
        assert all("retry-after" in answer.headers for answer in told)
        assert client.post("/v1/events", json={"event_id": "e1", **EVENT}).json()["accepted"] == 1
        assert client.post("/v1/decide", json={"request_id": "r", "customer_id": "sim-000001"}).status_code == 200
        assert "Traceback" not in service.child.log.read_text()


@pytest.mark.parametrize("value", ["nonsense", "redis://127.0.0.1:6379"])
def test_an_address_that_is_none_ends_the_start_in_one_line(
    new_home: Callable[..., Path], serve: Any, value: str
) -> None:
    home = new_home(online_store=value)
    with pytest.raises(NotReady, match=r"online_store must be host:port") as caught, serve(home):
        pass
    assert "Traceback" not in str(caught.value)
