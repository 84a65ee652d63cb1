"""`kill -9` of the whole service at any moment: what was answered is kept whole, what was not can be asked again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select

from features.ledger import engine, tables

CLIENTS = 6


@pytest.mark.parametrize(
    ("kills", "power_safe"),
    [
        pytest.param(1, False, id="1-kill"),
        pytest.param(1, True, id="1-kill-power-safe"),
        pytest.param(50, False, marks=pytest.mark.slow, id="50-kills"),
        pytest.param(50, True, marks=pytest.mark.slow, id="50-kills-power-safe"),
    ],
)
def test_a_killed_service_has_lost_and_halved_nothing_it_answered(
    new_home: Callable[..., Path], serve: Any, kills: int, power_safe: bool
) -> None:
    home = new_home(power_safe=power_safe)
    draw = random.Random(kills)
    answered: dict[str, bytes] = {}
    unanswered: list[dict[str, Any]] = []
    counted = Counter[str]()
    for round_ in range(kills + 1):
        with serve(home) as service:
            for request_id in draw.sample(sorted(answered), min(20, len(answered))):
                assert ask(service, request(request_id)).content == answered[request_id]
                counted["asked again"] += 1
            for body in unanswered:
                answer = ask(service, body)
                answered[body["request_id"]] = answer.content
                counted["decided but not answered"] += "segue-replayed" in answer.headers
            if round_ < kills:
                unanswered = under_load(service, round_, draw.uniform(0.05, 0.6), answered)
    decisions, contacts = whole(f"sqlite:///{home / 'ledger.db'}", answered)
    print(
        f"{kills} kills: {len(answered):,} answers, {decisions:,} decisions with {contacts:,} contacts whole in the "
        f"ledger; after a kill {dict(counted)}"
    )


def request(request_id: str) -> dict[str, Any]:
    """The request of this id: customers in turn, every third by e-mail, every fourth with more than one place."""
    n = int(request_id.rpartition("-")[2])
    channels = ["email"] if n % 3 == 0 else ["web", "email"]
    return {
        "request_id": request_id,
        "customer_id": f"sim-{1 + n % 400:06d}",
        "channels": channels,
        "limit": 1 + n % 4 // 3,
    }


def ask(service: Any, body: dict[str, Any]) -> httpx.Response:
    with service.client() as client:
        answer = client.post("/v1/decide", json=body)
    assert answer.status_code == 200, answer.text
    return answer


def under_load(service: Any, round_: int, seconds: float, answered: dict[str, bytes]) -> list[dict[str, Any]]:
    """Asks over several connections, kills every process of the service meanwhile, and gives what had no answer."""
    lost: list[dict[str, Any]] = []
    wrong: list[httpx.Response] = []
    before = len(answered)

    def send(first: int) -> None:
        with service.client() as client:
            for n in range(first, 10**6, CLIENTS):
                body = request(f"kill-{round_}-{n}")
                try:
                    answer = client.post("/v1/decide", json=body)
                except httpx.TransportError:
                    lost.append(body)
                    return
                if answer.status_code != 200:
                    wrong.append(answer)
                    return
                answered[body["request_id"]] = answer.content

    clients = [threading.Thread(target=send, args=(first,)) for first in range(CLIENTS)]
    for one in clients:
        one.start()
    while len(answered) < before + CLIENTS and not wrong:
        time.sleep(0.01)
    time.sleep(seconds)
    service.kill()
    for one in clients:
        one.join()
    assert [answer.text for answer in wrong] == []
    assert len(lost) == CLIENTS
    return lost


def whole(url: str, answered: dict[str, bytes]) -> tuple[int, int]:
    """(decisions, contacts): every answer is on record once, every decision has its items and contacts, no contact is
    without its decision."""
    d, i, r = tables.decisions.c, tables.decision_items.c, tables.reservations.c
    opened = engine.create(url)
    with engine.reading(opened) as connection:
        live = connection.execute(
            select(d.request_id, d.decision_id, d.answer, d.record).where(d.origin == "live")
        ).all()
        ids = {row.decision_id for row in live}
        items = [tuple(row) for row in connection.execute(select(i.decision_id, i.rank, i.action)) if row[0] in ids]
        elsewhere = set(connection.scalars(select(d.decision_id).where(d.origin == "import")))
        slots = [tuple(row) for row in connection.execute(select(r.decision_id, r.rank, r.action))]
        contacts = [slot for slot in slots if slot[0] not in elsewhere]
    opened.dispose()
    assert Counter(row.request_id for row in live) == Counter(list(answered))
    assert all(row.answer == answered[row.request_id] for row in live)
    told = [
        (row.decision_id, item["rank"], item["action"])
        for row in live
        for item in msgspec.json.decode(row.answer)["items"]
    ]
    assert sorted(items) == sorted(told)
    assert sorted(contacts) == sorted(one for one in told if one[2] != "do_nothing")
    assert all(len(msgspec.json.decode(row.record)["items"]) for row in live)
    return len(live), len(contacts)
