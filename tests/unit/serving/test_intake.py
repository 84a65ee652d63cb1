"""Reports of channels are checked against the ledger; the good ones are taken, the others named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.catalogue import Action, Catalogue, Channel, Reward
from features.clock import DAY, HOUR, MINUTE, format_time, parse_time
from features.domain import Arm, Customer, Decision, Item, OutcomeKind, Versions
from features.errors import InvalidInput, NotFound
from features.ledger import Ledger, no_decision, open_ledger, read_arrow
from features.statements import Statement
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
        (outcome(channel="email"), "invalid_value"),
        (outcome(decision_id=None), "invalid_value"),
        (outcome(decision_id=None, customer_id="anna"), "invalid_value"),
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


CATALOGUE = Catalogue(
    "v",
    {"web": Channel("web", False, display_days=1.0), "email": Channel("email", display_days=2.0)},
    ("g",),
    {"offer": Action("offer", "g", window_days=3.0, rewards=(Reward("converted", None, 10.0, "email"),))},
    (),
)


def told(ledger: Ledger, at: int, channel: str | None = None, now: int | None = None) -> str:
    """The decision that an outcome without one is given, or why there is none."""
    message = outcome("o", at, decision_id=None, customer_id="anna", action="offer", channel=channel)
    taken = Intake(ledger, lambda: CATALOGUE).outcomes([message], now or at)
    assert (taken.appended.accepted, taken.rejected) == (1, ())
    stored = read_arrow(ledger.url, "SELECT decision_id, rank FROM outcomes").to_pylist()
    assert len(stored) == 1
    if taken.unattributed:
        assert (stored[0]["decision_id"], stored[0]["rank"]) == (no_decision("o"), 0)
        return taken.unattributed[0].reason
    return str(stored[0]["decision_id"])


def also_decided(ledger: Ledger, name: str, at: int, channel: str = "web") -> None:
    item = Item(1, Arm("offer", channel), "g", 0.5, 0.1, 0.1, 1.0, 0.1, 0.1, None, at + DAY, at + DAY)
    decision = Decision(name, f"r-{name}", "anna", at, (item,), "action", None, None, Versions(None, "p", "c"))
    ledger.import_decisions([decision])


def test_it_goes_to_the_latest_decision_by_then_on_the_channel_it_names(ledger: Ledger) -> None:
    also_decided(ledger, "d2", NOW - 9, "email")
    also_decided(ledger, "d3", NOW + 9)
    assert told(ledger, NOW) == "d2"


def test_on_the_channel_it_names(ledger: Ledger) -> None:
    also_decided(ledger, "d2", NOW - 9, "email")
    assert told(ledger, NOW, "web") == "d1"


def test_it_goes_to_the_latest_whose_window_can_still_have_been_open(ledger: Ledger) -> None:
    also_decided(ledger, "d0", DECIDED - HOUR, "email")  # counts for 10 days, and 2 to be displayed
    assert told(ledger, DECIDED + 4 * DAY + 1) == "d0"


def test_the_last_moment_of_the_window_counts(ledger: Ledger) -> None:
    assert told(ledger, DECIDED + 4 * DAY) == "d1"  # a day to be displayed, and three


def test_what_belongs_to_no_decision_is_kept_with_the_reason(ledger: Ledger) -> None:
    assert "after the attribution window" in told(ledger, DECIDED + 4 * DAY + 1)


def test_what_came_before_every_decision_is_kept_with_the_reason(ledger: Ledger) -> None:
    assert "no decision before it" in told(ledger, DECIDED - 5 * MINUTE - 1)


def test_a_clock_that_runs_behind_by_a_few_minutes_is_forgiven(ledger: Ledger) -> None:
    assert told(ledger, DECIDED - 5 * MINUTE) == "d1"


def test_of_a_stranger_and_told_again_it_is_kept_once(ledger: Ledger) -> None:
    message = outcome(decision_id=None, customer_id="bert", action="offer")
    first, again = (Intake(ledger).outcomes([message], NOW) for _ in range(2))
    assert (first.appended.accepted, again.appended.accepted, again.appended.duplicates) == (1, 0, 1)
    assert [one.id for one in again.unattributed] == ["o1"]
    assert ledger.learnable_after(0, 10)[1] == []


def test_opting_out_of_a_channel_holds_though_no_decision_is_found_and_is_not_repeated(ledger: Ledger) -> None:
    said = OutcomeMessage(
        "o1", OutcomeKind.OPTED_OUT, format_time(NOW), customer_id="anna", action="other", channel="email"
    )
    Intake(ledger).outcomes([said], NOW)
    found = ledger.customer("anna")
    assert found is not None
    assert found.consents == {"email": "denied"}
    ledger.take_statements({"anna": [Statement("crm", NOW + 1, True, {"consents.email": "granted"})]})
    Intake(ledger).outcomes([said], NOW)
    found = ledger.customer("anna")
    assert found is not None
    assert found.consents == {"email": "granted"}


MAIL_AND_WEB = Catalogue(
    "v", {"email": Channel("email"), "web": Channel("web")}, (), {"offer": Action("offer", "g")}, ()
)


def opts_out(name: str = "o1", **given: object) -> OutcomeMessage:
    fields = {"customer_id": "anna"} | given
    return OutcomeMessage(name, OutcomeKind.OPTED_OUT, format_time(NOW), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_a_channel_nobody_has_is_refused_by_name_with_those_there_are(ledger: Ledger, kind: OutcomeKind) -> None:
    said = OutcomeMessage("o1", kind, format_time(NOW), customer_id="anna", action="offer", channel="Web")
    (rejected,) = Intake(ledger, lambda: MAIL_AND_WEB).outcomes([said], NOW).rejected
    assert (rejected.error.code, rejected.error.status, rejected.error.field) == ("unknown_channel", 422, "channel")
    assert "email, web" in rejected.error.message
    found = ledger.customer("anna")
    assert found is not None
    assert found.consents == {}


@pytest.mark.parametrize(
    ("given", "consents"),
    [
        ({"channel": "email"}, {"email": "denied"}),
        ({"action": "offer", "channel": "web"}, {"web": "denied"}),
        ({"action": "offer"}, {"*": "denied"}),
        ({"action": "no such action"}, {"*": "denied"}),
        ({}, {"*": "denied"}),
        ({"decision_id": "d1"}, {"web": "denied"}),
    ],
)
def test_an_opt_out_is_about_the_channel_named_or_its_decisions_or_about_all(
    ledger: Ledger, given: dict[str, str], consents: dict[str, str]
) -> None:
    intake = Intake(ledger, lambda: MAIL_AND_WEB)
    taken = intake.outcomes([opts_out(**given)], NOW)
    assert (taken.appended.accepted, taken.rejected) == (1, ())
    found = ledger.customer("anna")
    assert found is not None
    assert found.consents == consents
    assert intake.outcomes([opts_out(**given)], NOW).appended.duplicates == 1


def test_an_opt_out_that_belongs_to_no_decision_says_what_it_does(ledger: Ledger) -> None:
    intake = Intake(ledger, lambda: MAIL_AND_WEB)
    taken = intake.outcomes([opts_out(action="Offer"), opts_out("o2", channel="email")], NOW)
    reasons = [one.reason for one in taken.unattributed]
    assert "no action of this name; the customer gets nothing more by any outbound channel" in reasons[0]
    assert reasons[1] == "it names no action; the customer gets nothing more by email"


def test_only_an_opt_out_may_name_nothing_but_a_customer(ledger: Ledger) -> None:
    said = [OutcomeMessage("o1", OutcomeKind.COMPLAINED, format_time(NOW), customer_id="anna")]
    assert [r.error.field for r in Intake(ledger).outcomes(said, NOW).rejected] == ["decision_id"]
    nobody = OutcomeMessage("o2", OutcomeKind.OPTED_OUT, format_time(NOW))
    assert [r.error.field for r in Intake(ledger).outcomes([nobody], NOW).rejected] == ["decision_id"]


def test_a_display_commits_the_contact(ledger: Ledger) -> None:
    Intake(ledger).shown(ShownRequest("d1"), NOW)
    assert ledger.before_decision("-", "anna", 0).slots[0].state == "committed"
    with pytest.raises(NotFound):
        Intake(ledger).shown(ShownRequest("nope"), NOW)


def test_an_outcome_of_another_channel_than_its_decisions_is_rejected_by_that_field_and_of_the_same_is_taken(
    ledger: Ledger,
) -> None:
    taken = Intake(ledger).outcomes([outcome(channel="email"), outcome("o2", channel="web")], NOW)
    assert [(r.id, r.error.field, r.error.message) for r in taken.rejected] == [
        ("o1", "channel", "is not the one of this decision")
    ]
    assert [o.outcome_id for o in ledger.decision("d1").items[0].outcomes] == ["o2"]


def test_a_display_before_the_decision_is_refused_and_shows_nothing(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="before the decision") as caught:
        Intake(ledger).shown(ShownRequest("d1", shown_at=format_time(DECIDED - 5 * MINUTE - 1)), NOW)
    assert (caught.value.code, caught.value.field, caught.value.status) == ("before_the_decision", "shown_at", 422)
    assert ledger.decision("d1").items[0].shown_at is None
    assert ledger.before_decision("-", "anna", 0).slots[0].state == "reserved"


def test_a_display_by_a_clock_a_few_minutes_behind_counts_from_the_decision_on(ledger: Ledger) -> None:
    Intake(ledger).shown(ShownRequest("d1", shown_at=format_time(DECIDED - 5 * MINUTE)), NOW)
    assert ledger.decision("d1").items[0].shown_at == DECIDED


def test_an_event_makes_a_customer_known(ledger: Ledger) -> None:
    message = EventMessage("e1", "purchase", format_time(NOW), customer_id="carl", properties={"value": 12})
    assert Intake(ledger).events([message, message], NOW).appended.accepted == 1
    assert ledger.customer("carl") is not None
    nobody = EventMessage("e2", "purchase", format_time(NOW))
    assert [r.error.field for r in Intake(ledger).events([nobody], NOW).rejected] == ["customer_id"]


def test_an_event_id_used_again_for_another_event_is_rejected_by_name_and_the_same_event_is_a_duplicate(
    ledger: Ledger,
) -> None:
    bought = EventMessage("e1", "purchase", format_time(NOW), customer_id="anna", value=5.0)
    Intake(ledger).events([bought], NOW)
    told_later = EventMessage("e1", "purchase", format_time(NOW + MINUTE), customer_id="anna", value=5.0)
    other = EventMessage("e1", "login", format_time(NOW), customer_id="anna", value=5.0)
    taken = Intake(ledger).events([bought, told_later, other], NOW)
    assert (taken.appended.accepted, taken.appended.duplicates) == (0, 2)
    assert [(r.id, r.error.code, r.error.status, r.error.field) for r in taken.rejected] == [
        ("e1", "event_id_taken", 409, "event_id")
    ]
    assert read_arrow(ledger.url, "SELECT type FROM events").column(0).to_pylist() == ["purchase"]


def test_an_event_of_the_future_is_refused_but_not_one_of_a_clock_that_runs_a_little_ahead(ledger: Ledger) -> None:
    times = {"near": NOW + 5 * MINUTE, "far": NOW + 5 * MINUTE + 1, "next year": NOW + 365 * DAY}
    messages = [EventMessage(name, "purchase", format_time(at), customer_id="anna") for name, at in times.items()]
    taken = Intake(ledger).events(messages, NOW)
    assert taken.appended.accepted == 1
    assert [(r.id, r.error.code, r.error.field) for r in taken.rejected] == [
        ("far", "in_the_future", "occurred_at"),
        ("next year", "in_the_future", "occurred_at"),
    ]
