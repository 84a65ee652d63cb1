"""A hundred copies of one request at the same moment: one decision, one reservation, the same bytes for all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.domain import Customer
from features.ledger import Ledger, open_ledger

COPIES = 100
CUSTOMER = "sim-000002"


@pytest.fixture(scope="module")
def answers(service: Any) -> list[httpx.Response]:
    """Over ten connections to two worker processes."""
    body = {"request_id": "copied", "customer_id": CUSTOMER, "channels": ["email"], "explain": True}

    def send(copies: int) -> list[httpx.Response]:
        with service.client() as client:
            return [client.post("/v1/decide", json=body) for _ in range(copies)]

    with ThreadPoolExecutor(10) as pool:
        return [answer for answers in pool.map(send, [COPIES // 10] * 10) for answer in answers]


def test_over_http_every_copy_gets_the_same_bytes_of_one_decision(service: Any, answers: list[httpx.Response]) -> None:
    assert [answer.status_code for answer in answers] == [200] * COPIES
    assert len({answer.content for answer in answers}) == 1
    assert sum("segue-replayed" not in answer.headers for answer in answers) == 1
    ledger = open_ledger(f"sqlite:///{service.home / 'ledger.db'}")
    stored = ledger.find_answer("copied")
    slots = ledger.before_decision("-", CUSTOMER, 0).slots
    contacts = sum(slot.decision_id == answers[0].json()["decision_id"] for slot in slots)
    ledger.close()
    assert stored is not None
    assert stored.answer == answers[0].content
    assert contacts == (answers[0].json()["result"] == "action")


def test_the_same_id_with_another_body_is_a_conflict_however_often(service: Any, answers: list[httpx.Response]) -> None:
    first = answers[0].json()["decision_id"]

    def send(change: dict[str, Any]) -> list[httpx.Response]:
        with service.client() as client:
            body = {"request_id": "copied", "customer_id": CUSTOMER, "channels": ["email"], "explain": True} | change
            return [client.post("/v1/decide", json=body) for _ in range(5)]

    changes = [{"explain": False}, {"limit": 2}, {"channels": None}, {"customer_id": "x"}, {"context": {"a": 1}}]
    with ThreadPoolExecutor(len(changes)) as pool:
        refused = [answer for answers in pool.map(send, changes) for answer in answers]
    assert {(r.status_code, r.json()["error"]["code"], r.json()["error"]["field"]) for r in refused} == {
        (409, "conflict", "request_id")
    }
    assert first not in "".join(r.text for r in refused)


def test_in_several_processes_on_either_database_there_is_one_decision(
    new_home: Callable[..., Path], contend: Any, ledger: Ledger
) -> None:
    ledger.put_customers([Customer(CUSTOMER, 0, "Etc/UTC", {"email": "granted"})])
    decide = contend(new_home(ledger_url=ledger.url), 4)
    body = {"request_id": "copied", "customer_id": CUSTOMER, "channels": ["email"]}
    told = decide([body] * COPIES)
    assert len({answer["body"] for answer in told}) == 1
    assert [answer["replayed"] for answer in told].count(False) == 1
    assert [ledger.count(table) for table in ("decisions", "decision_items")] == [1, 1]
    assert ledger.count("reservations") == ('"result":"action"' in told[0]["body"])
    mixed = decide([body, body | {"limit": 2}] * (COPIES // 2))
    assert [answer.get("error") for answer in mixed] == [None, "conflict"] * (COPIES // 2)
