"""64 requests of one customer at the same moment, in 4 processes, where one contact a day is allowed: one is made.

And what is logged is exact: a decision states the probability it was drawn with on the very state it was committed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

from features.domain import Customer
from features.ledger import Ledger, engine, tables

PROCESSES, REQUESTS = 4, 64
#: Of two arms each is drawn with at least half of this: do_nothing often enough to show who comes before whom.
EPSILON = 0.3


@pytest.mark.parametrize(
    ("rounds", "power_safe"),
    [
        pytest.param(5, False, id="5-rounds"),
        pytest.param(5, True, id="5-rounds-power-safe"),
        pytest.param(1_000, False, marks=pytest.mark.slow, id="1000-rounds"),
        pytest.param(1_000, True, marks=pytest.mark.slow, id="1000-rounds-power-safe"),
    ],
)
def test_of_many_requests_at_once_exactly_one_gets_the_contact(
    new_home: Callable[..., Path], contend: Any, ledger: Ledger, rounds: int, power_safe: bool
) -> None:
    people = [f"sim-{n:06d}" for n in range(1, rounds + 1)]
    ledger.put_customers([Customer(one, 0, "Etc/UTC", {"email": "granted"}) for one in people])
    # By this policy it is known without a look at the models what each decision is to state.
    drawn = {"policy": "epsilon-greedy", "epsilon": EPSILON, "probability_floor": 0.0}
    decide = contend(new_home(ledger_url=ledger.url, power_safe=power_safe, **drawn), PROCESSES)
    answered: dict[str, str] = {}
    for one in people:
        requests = [{"request_id": f"{one}/{n}", "customer_id": one, "channels": ["email"]} for n in range(REQUESTS)]
        for request, answer in zip(requests, decide(requests), strict=True):
            assert "error" not in answer, answer
            answered[request["request_id"]] = answer["body"]

    free = Counter[str]()
    with looking(ledger.url) as connection:
        for one in people:
            rows = in_order(connection, one)
            assert [row.request_id for row in rows if row.answer.decode() != answered.pop(row.request_id)] == []
            free += judged(rows)
        taken = Counter(connection.scalars(select(tables.reservations.c.customer_id)))
    assert not answered, "an answer that is not in the ledger"
    assert taken == Counter(people), "not one contact for each customer"
    print(
        f"{rounds} rounds of {REQUESTS} requests in {PROCESSES} processes: {taken.total()} contacts, "
        f"{free['do_nothing']} of {free.total()} decisions on a free slot did nothing (stated {EPSILON / 2:.0%})"
    )


@contextmanager
def looking(url: str) -> Iterator[Connection]:
    opened = engine.create(url)
    try:
        with engine.reading(opened) as connection:
            yield connection
    finally:
        opened.dispose()


def in_order(connection: Connection, customer_id: str) -> list[Any]:
    """The customer's decisions in the order they were committed."""
    d = tables.decisions.c
    query = select(d.request_id, d.result, d.record, d.answer).where(d.customer_id == customer_id)
    return list(connection.execute(query.order_by(d.position)))


def judged(rows: list[Any]) -> Counter[str]:
    """Results of the decisions on a free slot: those up to the contact. After it the rule has closed the arm."""
    assert len(rows) == REQUESTS
    contact = [row.result for row in rows].index("action")
    for place, row in enumerate(rows):
        record = msgspec.json.decode(row.record)
        candidates, item = record["candidates"], record["items"][0]
        removed = dict(zip(candidates["arms"], candidates["removed"], strict=True))["upgrade@email"]
        if place <= contact:
            assert removed == -1
            stated = EPSILON / 2 if row.result == "do_nothing" else 1 - EPSILON / 2
            assert item["action_probability"] == pytest.approx(stated)
            continue
        assert removed >= 0, "decided on a state that another decision had ended"
        removal = candidates["removals"][removed]
        assert (removal["stage"], removal["rule"]) == ("contact_policy", "one-a-day")
        assert removal["seen"].startswith("1 decided")
        assert (item["arm"]["action"], item["action_probability"]) == ("do_nothing", 1.0)
    return Counter(row.result for row in rows[: contact + 1])
