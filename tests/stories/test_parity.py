"""Training and serving see the same: what is read online equals what the history says as of that moment, to the bit."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from features.aggregates import open_history
from features.clock import DAY, HOUR, MINUTE
from features.domain import ACTIVITY_TYPES, DO_NOTHING, Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.ledger import Ledger, open_ledger
from features.refresh import push_customers, refresh_features
from features.settings import SHIPPED, Settings
from features.store import open_feature_store

CUSTOMERS = 500
NOW = 20_000 * DAY + 7 * HOUR + 123_457
LATER = NOW + 3 * DAY + 1
GROUPS = {"upgrade_premium": "growth", "stay_discount": "retention", "loyalty_points": "loyalty"}


@pytest.fixture(params=["sqlite", "redis"])
def online_store(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("redis_address"))


def write_history(ledger: Ledger, draw: random.Random) -> None:
    names = [f"customer-{n}" for n in range(CUSTOMERS)]
    ledger.put_customers(some_customer(name, draw) for name in names)
    ledger.append_events(
        Event(
            f"{name}-{n}",
            name,
            draw.choice((*ACTIVITY_TYPES, "offer_viewed")),
            NOW - draw.randrange(120 * DAY),
            value=draw.choice((None, round(draw.lognormvariate(3, 1), 2), draw.random() * 100)),
        )
        for name in names
        for n in range(draw.randrange(40))
    )
    made = [some_decision(f"{name}-{n}", name, draw) for name in names for n in range(draw.randrange(5))]
    ledger.import_decisions(made)
    heard = [
        Outcome(f"{d.decision_id}-{n}", d.decision_id, d.customer_id, d.arm.action, kind, d.decided_at + (n + 1) * HOUR)
        for d in made
        for n, kind in enumerate(draw.choices(("seen", "accepted", "converted", "rejected", "opted_out"), k=2))
    ]
    ledger.append_outcomes(heard, NOW)


def some_customer(name: str, draw: random.Random) -> Customer:
    answers = {
        channel: draw.choice(("granted", "denied")) for channel in draw.sample(["email", "sms", "push", "web"], 2)
    }
    attributes = {
        "age": draw.randrange(18, 90),
        "plan": draw.choice(("gold", "free", None)),
        "income": draw.gauss(0, 1e5),
    }
    return Customer(name, draw.choice((None, NOW - draw.randrange(900 * DAY))), None, answers, attributes)


def some_decision(decision_id: str, name: str, draw: random.Random) -> Decision:
    action = draw.choice((*GROUPS, DO_NOTHING.action))
    arm = DO_NOTHING if action == DO_NOTHING.action else Arm(action, draw.choice(("email", "sms", "web")))
    at = NOW - 2 * DAY - draw.randrange(100 * DAY)
    answered = Item(1, arm, GROUPS.get(action, ""), 0.5, None, None, 1.0, 0.1, 0.1, None, at, at)
    versions = Versions(None, "p", "c")
    return Decision(decision_id, decision_id, name, at, (answered,), "action", None, None, versions)


def test_500_customers_are_online_exactly_what_they_are_in_history(tmp_path: Path, online_store: str) -> None:
    settings = Settings(home=tmp_path, online_store=online_store, deadline_seconds=4.0)
    settings.catalogue_folder.parent.mkdir(exist_ok=True)
    settings.catalogue_folder.symlink_to(SHIPPED / "catalogue")
    ledger = open_ledger(settings.ledger)
    draw = random.Random(7)
    write_history(ledger, draw)

    refreshed = refresh_features(settings, ledger.url, NOW)
    assert refreshed.customers == CUSTOMERS
    contract = refreshed.contract
    assert len(contract.names) >= 36
    assert len(contract.views) >= 3

    # The same moment among many others, in any order and batch, as training asks for them.
    moments = [(name, NOW) for name in ledger.customer_ids()]
    others = [(name, NOW - draw.randrange(60 * DAY)) for name, _ in moments for _ in range(3)]
    mixed = draw.sample(moments + others, len(moments) + len(others))
    asked = pa.table({"customer_id": [name for name, _ in mixed], "as_of": [at for _, at in mixed]})
    store = open_feature_store(settings)
    with open_history(ledger.url) as history:
        known = history.as_of(contract, asked, batch=333).to_pylist()
    compared = 0
    for row in known:
        if row["as_of"] == NOW:
            found = store.read(row["customer_id"])
            assert found is not None
            assert found.as_of == NOW
            assert dict(zip(contract.names, found.values, strict=True)) == {name: row[name] for name in contract.names}
            compared += 1
    assert compared >= CUSTOMERS

    # Then some of them do something, and are pushed; the rest stay as they were.
    touched = draw.sample(ledger.customer_ids(), 50)
    ledger.append_events(Event(f"new-{n}", n, "purchase", LATER - MINUTE, value=9.99) for n in touched)
    assert push_customers(settings, store, ledger.url, [*touched, "nobody"], LATER) == len(touched)
    with open_history(ledger.url) as history:
        for row in history.latest(contract, LATER).to_pylist():
            found = store.read(row["customer_id"])
            assert found is not None
            if row["customer_id"] in touched:
                assert found.as_of == LATER
                assert found.values == tuple(row[name] for name in contract.names)
            else:
                assert found.as_of == NOW
    assert store.read("nobody") is None
    ledger.close()
