"""Reports of channels are checked against the ledger; the good ones are taken, the others named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.clock import DAY, HOUR, MINUTE, format_time, parse_time
from features.domain import Arm, Customer, Decision, Item, OutcomeKind, Versions
from features.errors import NotFound
from features.ledger import Ledger, open_ledger
from serving.intake import Intake
from serving.schema import EventMessage, OutcomeMessage, ShownRequest

NOW = parse_time("2026-03-01T12:00:00Z")
DECIDED = NOW - HOUR


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.put_customers([Customer("anna")])
    item = Item(1, Arm("offer", "web"), "g", 0.5, 0.1, 0.1, 1.0, 0.1, 0.1, None, NOW + DAY, NOW + DAY)
    decision = Decision("d1", "r1", "anna", DECIDED, (item,), "action", None, None, Versions(None, "p", "c"))
    ledger.append_decision(decision, request_hash="h", answer=b"{}", contact_version=0, action_classes={})
    yield ledger
    ledger.close()


def outcome(name: str = "o1", at: int = NOW, **given: object) -> OutcomeMessage:
    fields = {"decision_id": "d1"} | given
    return OutcomeMessage(name, OutcomeKind.ACCEPTED, format_time(at), **fields)  # type: ignore[arg-type]


def test_an_outcome_is_taken_once(ledger: Ledger) -> None:
    first = Intake(ledger).outcomes([outcome()], NOW)
    second = Intake(ledger).outcomes([outcome()], NOW)
    assert (first.appended.accepted, first.appended.duplicates) == (1, 0)
    assert (second.appended.accepted, second.appended.duplicates) == (0, 1)
    assert [o.outcome_id for o in ledger.decision("d1").items[0].outcomes] == ["o1"]


def test_an_id_used_again_for_another_outcome_is_rejected_by_name_and_the_same_outcome_is_a_duplicate(
    ledger: Ledger,
) -> None:
    Intake(ledger).outcomes([outcome()], NOW)
    other = OutcomeMessage("o1", OutcomeKind.REJECTED, format_time(NOW), decision_id="d1")
    taken = Intake(ledger).outcomes([other, outcome(), outcome("o2"), outcome("o2", value=3.0)], NOW)
    assert (taken.appended.accepted, taken.appended.duplicates) == (1, 1)
    assert [(r.id, r.error.code, r.error.status) for r in taken.rejected] == [
        ("o1", "outcome_id_taken", 409),
        ("o2", "outcome_id_taken", 409),
    ]
    assert "another kind" in taken.rejected[0].error.message
    assert [o.kind for o in ledger.decision("d1").items[0].outcomes] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (outcome(decision_id="nope"), "unknown_decision"),
        (outcome(rank=2), "unknown_decision"),
        (outcome(at=NOW + 5 * MINUTE + 1), "in_the_future"),
        (outcome(at=DECIDED - 5 * MINUTE - 1), "before_the_decision"),
        (outcome(customer_id="bert"), "invalid_value"),
        (outcome(decision_id=None), "invalid_value"),
        (outcome(decision_id=None, customer_id="bert", action="offer"), "unknown_decision"),
    ],
)
def test_what_cannot_be_joined_is_named_and_stops_nothing(ledger: Ledger, message: OutcomeMessage, code: str) -> None:
    taken = Intake(ledger).outcomes([message, outcome("good")], NOW)
    assert [r.error.code for r in taken.rejected] == [code]
    assert taken.appended.accepted == 1


def test_an_outcome_may_name_customer_and_action_instead(ledger: Ledger) -> None:
    taken = Intake(ledger).outcomes([outcome(decision_id=None, customer_id="anna", action="offer")], NOW)
    assert taken.rejected == ()
    assert ledger.decision("d1").items[0].outcomes[0].outcome_id == "o1"


def test_a_display_commits_the_contact(ledger: Ledger) -> None:
    Intake(ledger).shown(ShownRequest("d1"), NOW)
    assert ledger.before_decision("-", "anna", 0).slots[0].state == "committed"
    with pytest.raises(NotFound):
        Intake(ledger).shown(ShownRequest("nope"), NOW)


def test_an_event_makes_a_customer_known(ledger: Ledger) -> None:
    message = EventMessage("e1", "purchase", format_time(NOW), customer_id="carl", properties={"value": 12})
    assert Intake(ledger).events([message, message], NOW).appended.accepted == 1
    assert ledger.customer("carl") is not None
    nobody = EventMessage("e2", "purchase", format_time(NOW))
    assert [r.error.field for r in Intake(ledger).events([nobody], NOW).rejected] == ["customer_id"]


def test_an_event_of_the_future_is_refused_but_not_one_of_a_clock_that_runs_a_little_ahead(ledger: Ledger) -> None:
    times = {"near": NOW + 5 * MINUTE, "far": NOW + 5 * MINUTE + 1, "next year": NOW + 365 * DAY}
    messages = [EventMessage(name, "purchase", format_time(at), customer_id="anna") for name, at in times.items()]
    taken = Intake(ledger).events(messages, NOW)
    assert taken.appended.accepted == 1
    assert [(r.id, r.error.code, r.error.field) for r in taken.rejected] == [
        ("far", "in_the_future", "occurred_at"),
        ("next year", "in_the_future", "occurred_at"),
    ]
