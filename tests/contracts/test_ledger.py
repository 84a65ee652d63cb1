"""What every ledger does, on whatever database: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.errors import Conflict, ContactTaken, NotFound
from features.ledger import (
    Appended,
    ContactSlot,
    DecidedItem,
    Heard,
    Ledger,
    RewardRow,
    Suppression,
    open_ledger,
    read_arrow,
)
from features.statements import Statement, described

NOW = 1_790_000_000_000_000
MAIL = Arm("offer", "email")


def contacts(ledger: Ledger, since: int) -> tuple[int, list[ContactSlot]]:
    """The contact version and the contacts of customer c1, as a decision sees them."""
    before = ledger.before_decision("a request never made", "c1", since)
    return before.contact_version, list(before.slots)


def event(number: int, customer: str = "c1", at: int = NOW, **given: Any) -> Event:
    return Event(f"e{number}", customer, given.pop("type", "purchase"), at, **given)


def item(arm: Arm = MAIL, rank: int = 1, at: int = NOW, closes_at: int | None = None) -> Item:
    return Item(
        rank=rank,
        arm=arm,
        action_group="growth",
        action_probability=0.5,
        p_model=0.2,
        p_accept=0.25,
        action_value=4.0,
        expected_value=1.0,
        priority=1.0,
        content=None,
        expires_at=at + HOUR,
        closes_at=at + 7 * DAY if closes_at is None else closes_at,
    )


def decision(
    name: str, customer: str = "c1", at: int = NOW, items: Sequence[Item] = (), request: str | None = None
) -> Decision:
    return Decision(
        decision_id=name,
        request_id=request or f"request-{name}",
        customer_id=customer,
        decided_at=at,
        items=tuple(items) or (item(at=at),),
        result="action",
        reason=None,
        fallback_reason=None,
        versions=Versions("bundle-1", "policy-1", "catalogue-1"),
    )


def append(ledger: Ledger, made: Decision, version: int = 0, answer: bytes = b"answer") -> None:
    ledger.append_decision(
        made, request_hash="hash", answer=answer, contact_version=version, action_classes={"offer": "marketing"}
    )


def outcome(number: int, decided: str = "d1", kind: str = "accepted", at: int = NOW + HOUR, rank: int = 1) -> Outcome:
    return Outcome(f"o{number}", decided, "c1", "offer", kind, at, rank)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each action returned, or the error it raised, when all start together."""
    results: list[Any] = [None] * len(actions)
    gate = threading.Barrier(len(actions))

    def run(place: int, action: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results[place] = action()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def known(ledger: Ledger) -> Ledger:
    """A ledger that knows the customer c1."""
    ledger.put_customers([Customer("c1", NOW - 100 * DAY)])
    return ledger


# -- customers, events, outcomes ---------------------------------------------------------------------------------------


def test_an_empty_append_takes_nothing(ledger: Ledger) -> None:
    nothing = Appended(0, 0)
    assert ledger.put_customers([]) == nothing
    assert ledger.append_events([]) == nothing
    assert ledger.append_outcomes([], NOW) == nothing
    assert ledger.import_decisions([]) == nothing


def test_a_customer_comes_back_as_put(ledger: Ledger) -> None:
    zoe = Customer(
        "Zoë 'x'", NOW, "Europe/Berlin", {"email": "granted"}, {"age": 5, "vip": True, "city": None, "x": 1.5}
    )
    ledger.put_customers([zoe, Customer("bare")])
    assert ledger.customer("Zoë 'x'") == zoe
    assert ledger.customer("bare") == Customer("bare")
    assert ledger.customer("nobody") is None
    assert set(ledger.customer_ids()) == {"bare", "Zoë 'x'"}
    assert len(ledger.customer_ids(limit=1)) == 1


def test_customers_are_counted_by_zone(ledger: Ledger) -> None:
    zones = ("Europe/Berlin", None, "Europe/Berlin", "")
    ledger.put_customers(Customer(f"z{n}", 0, zone) for n, zone in enumerate(zones))
    assert ledger.zones() == {"Europe/Berlin": 2, None: 1, "": 1}


def test_a_known_customer_gets_the_new_values_and_is_counted_as_known(ledger: Ledger) -> None:
    assert ledger.put_customers([Customer("c1", NOW)]) == Appended(1, 0)
    assert ledger.put_customers([Customer("c1", NOW, "UTC"), Customer("c2")]) == Appended(1, 1)
    assert ledger.customer("c1") == Customer("c1", NOW, "UTC")


def test_of_one_customer_twice_in_a_batch_the_last_counts(ledger: Ledger) -> None:
    assert ledger.put_customers([Customer("c1", 1), Customer("c1", 2)]) == Appended(1, 1)
    assert ledger.customer("c1") == Customer("c1", 2)


def test_new_values_of_a_customer_leave_the_contacts_alone(known: Ledger) -> None:
    append(known, decision("d1"))
    known.put_customers([Customer("c1", zone="UTC")])
    assert contacts(known, 0)[0] == 1


def test_events_are_taken_once_also_within_one_batch(ledger: Ledger) -> None:
    assert ledger.append_events([event(1), event(2), event(1)]) == Appended(2, 1)
    assert ledger.append_events([event(2), event(3)]) == Appended(1, 1)
    assert ledger.count("events") == 3


def test_an_event_id_seen_before_keeps_the_first_event(ledger: Ledger) -> None:
    ledger.append_events([event(1, value=5.0)])
    ledger.append_events([event(1, value=9.0)])
    assert read_arrow(ledger.url, "SELECT value FROM events").column(0).to_pylist() == [5.0]


def test_an_event_id_used_again_for_something_else_is_a_conflict_and_has_no_effect(ledger: Ledger) -> None:
    told = event(1, value=5.0, source="till", channel="web", properties={"a": 1, "b": None})
    ledger.append_events([told])
    same = replace(told, occurred_at=NOW + 2 * HOUR, properties={"b": None, "a": 1})  # a new stamp says no more
    others = [
        *(replace(told, type="login"), replace(told, customer_id="stranger"), replace(told, value=None)),
        *(replace(told, source=None), replace(told, channel="app"), replace(told, properties={"a": 2, "b": None})),
    ]
    assert ledger.append_events([*others[:3], same, *others[3:]]) == Appended(0, 1, (0, 1, 2, 4, 5, 6))
    assert ledger.append_events([event(2), event(2, type="login"), same]) == Appended(1, 1, (1,))
    assert ledger.customer("stranger") is None
    assert read_arrow(ledger.url, "SELECT type FROM events").column(0).to_pylist() == ["purchase", "purchase"]


def test_a_customer_first_seen_in_an_event_becomes_known_since_then(ledger: Ledger) -> None:
    ledger.append_events([event(1, at=NOW), event(2, at=NOW - DAY)])
    assert ledger.customer("c1") == Customer("c1", NOW - DAY)


def test_an_event_leaves_a_known_customer_as_he_was(ledger: Ledger) -> None:
    ledger.put_customers([Customer("c1", NOW, "UTC")])
    ledger.append_events([event(1, at=NOW - DAY)])
    assert ledger.customer("c1") == Customer("c1", NOW, "UTC")


def test_the_newest_event_is_told(ledger: Ledger) -> None:
    assert ledger.latest_event_at() is None
    ledger.append_events([event(1, at=NOW), event(2, at=NOW - 5)])
    assert ledger.latest_event_at() == NOW


def test_events_seen_twice_by_writers_at_once_are_there_once(ledger: Ledger) -> None:
    batch = [event(n, f"c{n % 7}") for n in range(300)]
    results = at_once(*[lambda: ledger.append_events(batch)] * 4)
    assert sum(r.accepted for r in results) == 300
    assert ledger.count("events") == 300


def test_a_hundred_thousand_events_take_seconds(ledger: Ledger) -> None:
    began = time.perf_counter()
    for start in range(0, 100_000, 10_000):
        ledger.append_events([event(n, f"c{n % 5_000}") for n in range(start, start + 10_000)])
    assert ledger.count("events") == 100_000
    assert time.perf_counter() - began < 60  # about 2 s on SQLite, 4 s on PostgreSQL; 60 tells minutes from seconds


def test_outcomes_are_taken_once(ledger: Ledger) -> None:
    assert ledger.append_outcomes([outcome(1), outcome(1), outcome(2)], NOW) == Appended(2, 1)
    assert ledger.append_outcomes([outcome(2)], NOW + 1) == Appended(0, 1)
    assert ledger.append_outcomes([outcome(2, at=NOW + 2 * HOUR)], NOW + 1) == Appended(
        0, 1
    )  # a new stamp says no more


def test_an_outcome_id_used_again_for_something_else_is_a_conflict_and_has_no_effect(known: Ledger) -> None:
    append(known, decision("d1"))
    known.append_outcomes([outcome(1, kind="failed")], NOW)
    others = [outcome(1), outcome(1, "d2"), outcome(1, kind="failed"), outcome(2), outcome(2, kind="opted_out")]
    assert known.append_outcomes(others[:3], NOW) == Appended(0, 1, (0, 1))
    assert contacts(known, 0)[1] == []  # the failure that freed the slot still stands
    assert known.append_outcomes(others[3:], NOW) == Appended(1, 0, (1,))
    told = known.customer("c1")
    assert told is not None
    assert "email" not in told.consents


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_a_decision_is_found_again_with_its_answer(known: Ledger) -> None:
    append(known, decision("d1"), answer=b'{"a":1}')
    stored = known.decision("d1")
    found = known.find_answer("request-d1")
    assert found is not None
    assert (found.request_hash, found.answer) == ("hash", b'{"a":1}')
    assert (stored.customer_id, stored.decided_at, stored.origin) == ("c1", NOW, "live")
    assert [(i.rank, i.arm, i.p_model, i.p_accept, i.bundle) for i in stored.items] == [
        (1, MAIL, 0.2, 0.25, "bundle-1")
    ]
    assert stored.record is not None
    assert b'"policy-1"' in stored.record
    assert known.find_answer("other") is None
    with pytest.raises(NotFound):
        known.decision("d2")


def test_a_decision_reserves_a_slot_for_every_item_that_contacts(known: Ledger) -> None:
    append(known, decision("d1", items=[item(), item(DO_NOTHING, 2)]))
    version, slots = contacts(known, NOW)
    assert version == 1
    assert [(s.arm, s.action_group, s.action_class, s.state) for s in slots] == [
        (MAIL, "growth", "marketing", "reserved")
    ]
    assert contacts(known, NOW + 1) == (1, [])


def test_doing_nothing_takes_no_slot_but_is_refused_too_once_the_contacts_moved(known: Ledger) -> None:
    append(known, decision("d1", items=[item(DO_NOTHING)]), version=0)
    assert contacts(known, 0) == (0, [])
    append(known, decision("d2"), version=0)
    with pytest.raises(ContactTaken):
        append(known, decision("d3", items=[item(DO_NOTHING)]), version=0)
    assert known.count("decisions") == 2
    append(known, decision("d3", items=[item(DO_NOTHING)]), version=1)
    assert contacts(known, 0)[0] == 1


def test_doing_nothing_for_somebody_unknown_is_recorded(known: Ledger) -> None:
    append(known, decision("d1", "stranger", items=[item(DO_NOTHING)]), version=0)
    assert known.count("decisions") == 1


def test_a_moved_contact_version_refuses_and_writes_nothing(known: Ledger) -> None:
    append(known, decision("d1"), version=0)
    with pytest.raises(ContactTaken):
        append(known, decision("d2"), version=0)
    assert [known.count(t) for t in ("decisions", "decision_items", "reservations")] == [1, 1, 1]
    append(known, decision("d2"), version=1)


def test_of_requests_that_race_for_one_slot_exactly_one_wins(known: Ledger) -> None:
    results = at_once(*[lambda n=n: append(known, decision(f"d{n}")) for n in range(6)])
    assert sum(r is None for r in results) == 1
    assert sum(isinstance(r, ContactTaken) for r in results) == 5
    assert [known.count(t) for t in ("decisions", "decision_items", "reservations")] == [1, 1, 1]


def test_a_request_is_answered_once_and_a_conflict_leaves_nothing_behind(known: Ledger) -> None:
    append(known, decision("d1", request="r"))
    with pytest.raises(Conflict):
        append(known, decision("d2", request="r"), version=1)
    assert [known.count(t) for t in ("decisions", "decision_items", "reservations")] == [1, 1, 1]
    assert contacts(known, 0)[0] == 1


def test_of_equal_requests_at_once_exactly_one_is_recorded(known: Ledger) -> None:
    nothing = [item(DO_NOTHING)]
    results = at_once(*[lambda n=n: append(known, decision(f"d{n}", items=nothing, request="r")) for n in range(6)])
    assert sum(r is None for r in results) == 1
    assert sum(isinstance(r, Conflict) for r in results) == 5
    assert known.count("decisions") == 1


def test_what_a_decision_looked_at_of_the_customer_is_there_to_be_learned_from(ledger: Ledger) -> None:
    ledger.put_customers([Customer("c1")])
    looked_at = msgspec.structs.replace(item(), covariates=(256, -700, 0))
    append(ledger, decision("d1", items=[looked_at, item(DO_NOTHING, rank=2)]))
    assert [i.covariates for i in ledger.decision("d1").items] == [(256, -700, 0), ()]
    assert [i.covariates for i in ledger.live_records(0, 10)[0].items] == [(256, -700, 0), ()]


def test_past_decisions_are_imported_once_and_never_learned_from_online(ledger: Ledger) -> None:
    past = [decision("d1"), decision("d2"), decision("d1")]
    assert ledger.import_decisions(past) == Appended(2, 1, contacts=2)
    assert ledger.import_decisions(past) == Appended(0, 3)
    assert ledger.decision("d1").origin == "import"
    assert ledger.decision("d1").record is None
    ledger.append_outcomes([outcome(1)], NOW)
    position, items = ledger.learnable_after(0, 10)
    assert position > 0
    assert items == []
    assert ledger.due(NOW + 100 * DAY, 10) == []


def test_contacts_made_elsewhere_count_like_our_own_and_move_decisions_under_way(known: Ledger) -> None:
    nothing = decision("d2", at=NOW + 2, items=[item(DO_NOTHING)])
    past = [decision("d1", at=NOW + 1), nothing, decision("d3", at=NOW + 3, items=[item(Arm("call", "phone"))])]
    assert known.import_decisions(past, {"call": "service"}) == Appended(3, 0, contacts=2)
    version, slots = contacts(known, 0)
    assert [(s.arm, s.reserved_at, s.action_class, s.state) for s in slots] == [
        (MAIL, NOW + 1, "marketing", "imported"),
        (Arm("call", "phone"), NOW + 3, "service", "imported"),
    ]
    with pytest.raises(ContactTaken):
        append(known, decision("d9"), version=0)
    assert known.import_decisions(past) == Appended(0, 3)
    assert contacts(known, 0) == (version, slots)
    assert known.release_expired(NOW + 100 * DAY) == 0


def test_contacts_made_elsewhere_count_for_nothing_where_that_is_said_and_do_once_it_is_not(known: Ledger) -> None:
    assert known.import_decisions([decision("d1")], counts=False) == Appended(1, 0)
    assert contacts(known, 0) == (0, [])
    assert known.import_decisions([decision("d1")]) == Appended(0, 1, contacts=1)


def test_an_imported_contact_whose_id_is_taken_by_another_decision_counts_for_nothing(known: Ledger) -> None:
    append(known, decision("d1", items=[item(DO_NOTHING)]))
    known.import_decisions([decision("d2")])
    others = [decision("d1"), decision("d2", at=NOW + 1), decision("d2", "c2")]
    assert known.import_decisions(others) == Appended(0, 0, (0, 1, 2))
    assert [s.decision_id for s in contacts(known, 0)[1]] == ["d2"]


@pytest.mark.parametrize("kinds", [("failed",), ("failed", "seen"), ("seen", "failed"), ("ignored",)])
def test_a_contact_made_elsewhere_that_failed_counts_not_unless_it_was_made_after_all(
    known: Ledger, kinds: tuple[str, ...]
) -> None:
    known.import_decisions([decision("d1")])
    for number, kind in enumerate(kinds):
        known.append_outcomes([outcome(number, kind=kind)], NOW)
    assert [s.state for s in contacts(known, 0)[1]] == ([] if kinds == ("failed",) else ["committed"])


def test_the_items_of_a_customer_and_action_are_found_latest_first(ledger: Ledger) -> None:
    push = Arm("offer", "push")
    ledger.import_decisions(
        [
            decision("d1", at=NOW),
            decision("d2", at=NOW + 5, items=[item(push, at=NOW + 5)]),
            decision("d3", at=NOW + 7),
            decision("d4", "c2", at=NOW + 9),
        ]
    )

    def found(*wanted: Any) -> list[str]:
        return [one.decision_id for one in ledger.decided_before(*wanted)]

    assert found("c1", "offer", None, NOW + 9, 9) == ["d3", "d2", "d1"]
    assert found("c1", "offer", None, NOW + 6, 9) == ["d2", "d1"]
    assert found("c1", "offer", "email", NOW + 6, 9) == ["d1"]
    assert found("c1", "offer", None, NOW + 9, 1) == ["d3"]
    assert found("c1", "other", None, NOW + 9, 9) == []
    (one,) = ledger.decided_before("c1", "offer", "push", NOW + 9, 9)
    assert one == DecidedItem("d2", 1, "c1", push, NOW + 5, NOW + 5 + 7 * DAY)
    assert ledger.decided_items(["d1", "d9"]) == {("d1", 1): DecidedItem("d1", 1, "c1", MAIL, NOW, NOW + 7 * DAY)}
    assert ledger.decided_for(["c1", "c9"]) == {
        ("c1", "offer"): [(NOW, "d1", 1, "email"), (NOW + 5, "d2", 1, "push"), (NOW + 7, "d3", 1, "email")]
    }


def test_more_ids_than_one_statement_takes_are_found_too(ledger: Ledger) -> None:
    ledger.import_decisions([decision(f"d{n}", f"c{n}") for n in range(1_201)])
    assert len(ledger.decided_items(f"d{n}" for n in range(1_201))) == 1_201
    assert len(ledger.decided_for(f"c{n}" for n in range(1_201))) == 1_201


def test_a_shown_item_commits_its_slot_once(known: Ledger) -> None:
    append(known, decision("d1"))
    known.mark_shown("d1", 1, NOW + 1)
    known.mark_shown("d1", 1, NOW + 2)
    assert contacts(known, 0)[1][0].state == "committed"
    assert read_arrow(known.url, "SELECT shown_at FROM decision_items").column(0).to_pylist() == [NOW + 1]
    with pytest.raises(NotFound):
        known.mark_shown("d1", 2, NOW)


def test_slots_never_shown_are_released_when_they_expire(known: Ledger) -> None:
    append(known, decision("d1"))
    append(known, decision("d2"), version=1)
    known.mark_shown("d2", 1, NOW)
    assert known.release_expired(NOW + HOUR - 1) == 0
    assert known.release_expired(NOW + HOUR) == 1
    assert known.release_expired(NOW + HOUR) == 0
    assert [s.state for s in contacts(known, 0)[1]] == ["committed"]


# -- what became of contacts, and who is not to be contacted -----------------------------------------------------------


def states(ledger: Ledger) -> list[str]:
    rows = read_arrow(ledger.url, "SELECT state FROM reservations ORDER BY decision_id, rank")
    return rows.column(0).to_pylist()


def test_a_slot_carries_its_decision_and_when_it_was_shown(known: Ledger) -> None:
    append(known, decision("d1", items=[item(), item(Arm("offer", "web"), 2)]))
    known.mark_shown("d1", 2, NOW + 5)
    found = {(s.decision_id, s.rank): (s.arm.channel, s.shown_at) for s in contacts(known, 0)[1]}
    assert found == {("d1", 1): ("email", None), ("d1", 2): ("web", NOW + 5)}


def test_a_failed_delivery_frees_the_slot_unless_the_contact_was_made(known: Ledger) -> None:
    append(known, decision("d1"))
    append(known, decision("d2"), version=1)
    known.mark_shown("d2", 1, NOW)
    known.append_outcomes([outcome(1, "d1", "failed"), outcome(2, "d2", "failed")], NOW)
    assert states(known) == ["released", "committed"]
    assert known.release_slot("d1", 1) is False
    append(known, decision("d3"), version=2)
    assert known.release_slot("d3", 1) is True


def test_what_a_customer_did_commits_the_slot_in_any_order_with_a_failure(known: Ledger) -> None:
    for n, kinds in enumerate((["clicked"], ["failed", "clicked"], ["clicked", "failed"])):
        append(known, decision(f"d{n}"), version=n)
        for k, kind in enumerate(kinds):
            known.append_outcomes([outcome(10 * n + k, f"d{n}", kind)], NOW)
    assert states(known) == ["committed"] * 3


def test_a_contact_made_after_its_slot_expired_counts_all_the_same(known: Ledger) -> None:
    append(known, decision("d1"))
    assert known.release_expired(NOW + HOUR) == 1
    known.mark_shown("d1", 1, NOW + 2 * HOUR)
    assert [(s.state, s.shown_at) for s in contacts(known, 0)[1]] == [("committed", NOW + 2 * HOUR)]


def test_outcomes_come_with_their_arm_when_asked_for(known: Ledger) -> None:
    append(known, decision("d1"))
    known.append_outcomes([outcome(1, kind="rejected", at=NOW + 9), outcome(2, kind="seen", at=NOW + 5)], NOW)
    assert known.before_decision("-", "c1", 0).heard == ()
    heard = known.before_decision("-", "c1", 0, NOW + 5).heard
    assert heard == (
        Heard(MAIL, "growth", "seen", NOW + 5, "d1", 1),
        Heard(MAIL, "growth", "rejected", NOW + 9, "d1", 1),
    )
    assert [h.kind for h in known.before_decision("-", "c1", 0, NOW + 6).heard] == ["rejected"]
    assert known.before_decision("-", "c2", 0, 0).heard == ()


def test_opting_out_denies_the_channel_for_every_purpose_from_then_on(known: Ledger) -> None:
    known.put_customers([Customer("c1", consents={"email": "granted", "service/email": "granted", "sms": "granted"})])
    append(known, decision("d1"), version=1)
    known.append_outcomes([outcome(1, kind="opted_out")], NOW)
    denied = {"email": "denied", "service/email": "denied", "sms": "granted"}
    assert known.customer("c1") == Customer("c1", NOW - 100 * DAY, consents=denied)
    with pytest.raises(ContactTaken):  # a decision under way saw the old consents
        append(known, decision("d2"), version=2)


def test_an_opt_out_told_again_does_not_undo_a_consent_given_since(known: Ledger) -> None:
    append(known, decision("d1"))
    known.append_outcomes([outcome(1, kind="opted_out")], NOW)
    known.take_statements({"c1": [Statement("crm", NOW + 2 * HOUR, True, {"consents.email": "granted"})]})
    known.append_outcomes([outcome(1, kind="opted_out", at=NOW + 3 * HOUR)], NOW)
    assert consents_of(known) == {"email": "granted"}


def consents_of(ledger: Ledger, customer_id: str = "c1") -> dict[str, str]:
    found = ledger.customer(customer_id)
    assert found is not None
    return dict(found.consents)


def test_an_opt_out_outlives_every_grant_that_is_not_dated_later(known: Ledger) -> None:
    append(known, decision("d1"))
    known.append_outcomes([outcome(1, kind="opted_out", at=NOW)], NOW)
    known.put_customers([Customer("c1", consents={"email": "granted"})], source="crm", at=NOW + DAY)
    known.take_statements({"c1": [Statement("crm", NOW, True, {"consents.email": "granted"})]})
    assert consents_of(known) == {"email": "denied"}
    known.take_statements({"c1": [Statement("crm", NOW + 1, True, {"consents.email": "granted"})]})
    assert consents_of(known) == {"email": "granted"}


@pytest.mark.parametrize(
    ("refused", "items", "consents"),
    [
        ({}, [item()], {"email": "denied", "push": "granted"}),
        ({"o1": "push"}, [item()], {"email": "granted", "push": "denied"}),
        ({"o1": "*"}, [item()], {"*": "denied", "email": "denied", "push": "denied"}),
        ({}, [item(DO_NOTHING)], {"*": "denied", "email": "denied", "push": "denied"}),
    ],
    ids=["of its decision", "of the channel it names", "of all", "of a decision to do nothing"],
)
def test_an_opt_out_is_about_the_channel_it_names_or_its_decisions_or_all(
    known: Ledger, refused: dict[str, str], items: list[Item], consents: dict[str, str]
) -> None:
    known.put_customers([Customer("c1", consents={"email": "granted", "push": "granted"})])
    append(known, decision("d1", items=items), version=1)
    known.append_outcomes([outcome(1, kind="opted_out")], NOW, refused)
    assert consents_of(known) == consents


def test_an_opt_out_of_a_stranger_is_kept_and_holds_when_they_become_known(ledger: Ledger) -> None:
    said = Outcome("o1", "none", "new", "", "opted_out", NOW)
    ledger.append_outcomes([said], NOW, {"o1": "sms"})
    ledger.append_events([event(1, "new", NOW + 1)])
    ledger.put_customers([Customer("new", consents={"sms": "granted", "email": "granted"})], source="crm", at=NOW + 2)
    assert ledger.customer("new") == Customer("new", NOW, None, {"sms": "denied", "email": "granted"})


def test_what_one_source_says_leaves_what_another_said_as_it_is(ledger: Ledger) -> None:
    people = Customer("c1", NOW, "Europe/Rome", {"email": "denied"}, {"tier": "gold"})
    ledger.put_customers([people], source="shop:people", at=1)
    ledger.put_customers([Customer("c1", attributes={"score": 7.0})], source="shop:scores", at=2)
    assert ledger.customer("c1") == replace(people, attributes={"tier": "gold", "score": 7.0})


def test_the_same_said_again_changes_nothing_even_if_others_have_spoken_since(ledger: Ledger) -> None:
    for source, at, tier in (("old", 1, "gold"), ("new", 2, "silver"), ("old", 3, "gold")):
        ledger.put_customers([Customer("c1", attributes={"tier": tier})], source=source, at=at)
    assert ledger.customer("c1") == Customer("c1", attributes={"tier": "silver"})
    ledger.put_customers([Customer("c1", attributes={"tier": "bronze"})], source="old", at=4)
    assert ledger.customer("c1") == Customer("c1", attributes={"tier": "bronze"})


def test_a_change_of_consents_moves_decisions_under_way_and_other_changes_do_not(known: Ledger) -> None:
    known.put_customers([Customer("c1", zone="UTC", attributes={"age": 5})])
    assert contacts(known, 0)[0] == 0
    known.put_customers([Customer("c1", consents={"email": "granted"})])
    known.put_customers([Customer("c1", consents={"email": "granted"})])
    assert contacts(known, 0)[0] == 1


MOMENTS = st.integers(1, 4)
SAID = st.one_of(
    st.tuples(st.just("attributes.tier"), st.sampled_from(["gold", "silver", 5, True, None])),
    st.tuples(st.just("zone"), st.sampled_from(["UTC", "Europe/Rome"])),
    st.tuples(st.just("created_at"), st.integers(1, 3)),
    st.tuples(
        st.sampled_from(["consents.email", "consents.service/email", "consents.marketing/*", "consents.push"]),
        st.sampled_from(["granted", "denied", "revoked", "unknown", "granted@2026-12-31"]),
    ),
    st.tuples(st.sampled_from(["opt_out.email", "opt_out.*"]), st.just(value=True)),
)
DATED = st.builds(
    lambda source, at, fields: Statement(source, at, True, dict(fields)),
    st.sampled_from(["crm", "shop"]),
    MOMENTS,
    st.lists(SAID, min_size=1, max_size=4),
)


@pytest.mark.parametrize("rounds", [40])
def test_dated_statements_make_the_same_customer_in_any_order_and_portions(ledger: Ledger, rounds: int) -> None:
    made = 0

    @given(st.lists(DATED, min_size=1, max_size=7), st.randoms(use_true_random=False), st.integers(1, 4))
    @settings(max_examples=rounds)
    def law(statements: list[Statement], draw: random.Random, portion: int) -> None:
        nonlocal made
        made += 1
        shuffled = draw.sample(statements, len(statements)) + draw.sample(statements, 1)
        ledger.take_statements({f"a{made}": statements})
        for start in range(0, len(shuffled), portion):
            ledger.take_statements({f"b{made}": shuffled[start : start + portion]})
        one, other = ledger.customer(f"a{made}"), ledger.customer(f"b{made}")
        assert one is not None
        assert other is not None
        assert one == replace(other, customer_id=one.customer_id)
        assert one == described(one.customer_id, statements)

    law()


def test_writers_at_once_lose_nothing_of_what_they_say_of_one_customer(ledger: Ledger) -> None:
    def tell(n: int) -> None:
        ledger.put_customers([Customer("c1", attributes={f"a{n}": n})], source=f"s{n}", at=n)

    assert at_once(*[lambda n=n: tell(n) for n in range(8)]) == [None] * 8
    assert ledger.customer("c1") == Customer("c1", attributes={f"a{n}": n for n in range(8)})


def test_a_suppressed_customer_is_read_as_such_until_it_is_lifted(known: Ledger) -> None:
    known.suppress("c1", "deceased", NOW)
    known.suppress("c1", "court order", NOW + 1)
    known.suppress("stranger", "list of 2026", NOW)
    seen = known.before_decision("-", "c1", 0)
    assert seen.customer is not None
    assert (seen.customer.suppressed, seen.contact_version) == ("court order", 2)
    assert known.customer("c1") == seen.customer
    assert known.suppressions() == [
        Suppression("c1", "court order", NOW + 1),
        Suppression("stranger", "list of 2026", NOW),
    ]
    known.put_customers([Customer("stranger")])
    assert known.customer("stranger") == Customer("stranger", suppressed="list of 2026")
    assert known.lift_suppression("c1") is True
    assert known.lift_suppression("c1") is False
    assert known.customer("c1") == Customer("c1", NOW - 100 * DAY)


def test_a_decision_under_way_does_not_pass_a_suppression(known: Ledger) -> None:
    version = contacts(known, 0)[0]
    known.suppress("c1", "fraud", NOW)
    with pytest.raises(ContactTaken):
        append(known, decision("d1"), version=version)


# -- learning ----------------------------------------------------------------------------------------------------------


def test_any_order_of_outcomes_gives_the_same_items(ledger_url: str) -> None:
    told = [outcome(n, kind=kind, at=NOW + n) for n, kind in enumerate(["seen", "clicked", "accepted", "rejected"])]
    ledger = open_ledger(ledger_url)
    ledger.put_customers([Customer("c1")])
    append(ledger, decision("d1"))
    shuffled = told[:]
    random.Random(5).shuffle(shuffled)
    for one in shuffled:
        ledger.append_outcomes([one], NOW)
    assert ledger.decision("d1").items[0].outcomes == tuple(told)
    ledger.close()


def test_an_outcome_may_come_before_its_decision(known: Ledger) -> None:
    known.append_outcomes([outcome(1)], NOW)
    append(known, decision("d1"))
    assert known.decision("d1").items[0].outcomes == (outcome(1),)


def test_only_items_that_were_heard_of_since_are_learnable(known: Ledger) -> None:
    append(known, decision("d1", items=[item(), item(Arm("offer", "push"), 2)]))
    append(known, decision("d2"), version=1)
    assert known.learnable_after(0, 10) == (0, [])
    known.append_outcomes([outcome(1)], NOW)
    first, items = known.learnable_after(0, 10)
    assert [(i.decision_id, i.rank, i.reward_state, i.reward_units, i.outcomes) for i in items] == [
        ("d1", 1, "open", 0, (outcome(1),))
    ]
    known.append_outcomes([outcome(2, "d2"), outcome(3, "unheard of")], NOW)
    second, items = known.learnable_after(first, 10)
    assert second > first
    assert [i.decision_id for i in items] == ["d2"]
    assert known.learnable_after(second, 10) == (second, [])


def test_the_log_of_outcomes_is_read_in_steps_without_gaps(known: Ledger) -> None:
    for n in range(5):
        append(known, decision(f"d{n}"), version=n)
    known.append_outcomes([outcome(n, f"d{n}") for n in range(5)], NOW)
    position, heard = 0, []
    for _ in range(3):
        position, items = known.learnable_after(position, 2)
        heard.append([i.decision_id for i in items])
    assert heard == [["d0", "d1"], ["d2", "d3"], ["d4"]]


def test_items_are_due_when_their_window_closes_oldest_first(known: Ledger) -> None:
    for n, days in enumerate([3, 1, 2]):
        append(known, decision(f"d{n}", items=[item(closes_at=NOW + days * DAY)]), version=n)
    assert [i.decision_id for i in known.due(NOW + 2 * DAY, 10)] == ["d1", "d2"]
    assert [i.decision_id for i in known.due(NOW + 9 * DAY, 1)] == ["d1"]
    assert known.due(NOW, 10) == []


def test_doing_nothing_is_final_from_the_start(known: Ledger) -> None:
    append(known, decision("d1", items=[item(DO_NOTHING)]))
    assert known.decision("d1").items[0].reward_state == "final"
    assert known.due(NOW + 100 * DAY, 10) == []


def row(name: str, state: str, units: int = 0, success: int | None = None, due: int | None = None) -> RewardRow:
    return RewardRow(name, 1, state, units, success, due, None)


def rewards(ledger: Ledger) -> list[tuple[Any, ...]]:
    columns = "decision_id, reward_state, reward_units, success_units, due_at"
    return [
        tuple(one.values())
        for one in read_arrow(ledger.url, f"SELECT {columns} FROM decision_items ORDER BY decision_id").to_pylist()
    ]


def test_a_round_of_learning_is_saved_whole(known: Ledger) -> None:
    assert known.policy_snapshot() is None
    for n in range(3):
        append(known, decision(f"d{n}"), version=n)
    first = {("offer@email", 20_000): (1, 2, 3), ("offer@email", 20_001): (9, 9, 9)}
    told = [row("d0", "final", 3_000_000, 1_000_000), row("d2", "provisional", -7, 0, NOW + DAY)]
    known.save_learning(1, position=7, state="{}", now=NOW, rewards=told, statistics={"b": first})
    assert known.policy_snapshot() == (1, 7, "{}")
    assert rewards(known) == [
        ("d0", "final", 3_000_000, 1_000_000, None),
        ("d1", "open", 0, None, NOW + 7 * DAY),
        ("d2", "provisional", -7, 0, NOW + DAY),
    ]
    known.save_learning(2, position=8, state="{}", now=NOW, statistics={"b": {("offer@email", 20_000): (-4, 10**30)}})
    assert known.policy_statistics(["b", "c"]) == {
        "b": {("offer@email", 20_000): (-4, 10**30), ("offer@email", 20_001): (9, 9, 9)},
        "c": {},
    }


def test_a_second_learner_is_refused_and_nothing_of_it_is_kept(known: Ledger) -> None:
    append(known, decision("d1"))
    known.save_learning(1, position=7, state="a", now=NOW)
    with pytest.raises(Conflict):
        known.save_learning(
            1, position=8, state="b", now=NOW, rewards=[row("d1", "final", 5)], statistics={"b": {("a@b", 1): (1,)}}
        )
    assert known.policy_snapshot() == (1, 7, "a")
    assert known.decision("d1").items[0].reward_units == 0
    assert known.policy_statistics(["b"]) == {"b": {}}


def test_a_late_outcome_makes_a_final_item_learnable_again(known: Ledger) -> None:
    append(known, decision("d1"))
    known.save_learning(1, position=0, state="", now=NOW, rewards=[row("d1", "final")])
    known.append_outcomes([outcome(1)], NOW)
    assert [i.reward_state for i in known.learnable_after(0, 10)[1]] == ["final"]


def test_a_display_told_after_an_item_was_judged_makes_it_due(known: Ledger) -> None:
    append(known, decision("d1"))
    append(known, decision("d2"), version=1)
    known.save_learning(1, position=0, state="", now=NOW, rewards=[row("d1", "final")])
    known.mark_shown("d1", 1, NOW + 5)
    known.mark_shown("d2", 1, NOW + 5)
    assert [(i.decision_id, i.shown_at) for i in known.due(NOW + 5, 10)] == [("d1", NOW + 5)]


def test_of_displays_told_in_any_order_the_first_counts(known: Ledger) -> None:
    append(known, decision("d1"))
    for at in (9, 5, 7):
        known.mark_shown("d1", 1, NOW + at)
    assert known.decision("d1").items[0].shown_at == NOW + 5


def test_a_display_told_while_the_learner_thinks_keeps_the_item_due(known: Ledger) -> None:
    append(known, decision("d1", items=[item(closes_at=NOW + DAY)]))
    known.mark_shown("d1", 1, NOW + 5)
    known.save_learning(1, position=0, state="", now=NOW, rewards=[row("d1", "final")])  # of what it was before
    assert [i.decision_id for i in known.due(NOW + DAY, 10)] == ["d1"]


def test_a_reader_skips_no_position_while_writers_are_at_work(ledger: Ledger) -> None:
    """Eight writers commit in any order; who follows the log from position to position sees every event."""
    done = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        positions: dict[str, int] = {}
        while True:
            last_round = done.wait(0.001)  # a reader that spins takes the interpreter from the writers
            positions, touched = ledger.touched_after(positions, 50)
            seen.extend(touched)
            if last_round and not touched:
                return

    def write(writer: int) -> Callable[[], None]:
        def run() -> None:
            for n in range(25):
                ledger.append_events([event(writer * 1_000 + n, f"c{writer}-{n}")])

        return run

    reader = threading.Thread(target=follow)
    reader.start()
    assert at_once(*[write(writer) for writer in range(8)]) == [None] * 8
    done.set()
    reader.join()
    assert sorted(seen) == sorted(f"c{writer}-{n}" for writer in range(8) for n in range(25))


def test_touched_customers_are_told_once_for_each_step(ledger: Ledger) -> None:
    ledger.append_events([event(1), event(2), event(3, "c2")])
    positions, touched = ledger.touched_after({}, 10)
    assert touched == ["c1", "c2"]
    assert ledger.touched_after(positions, 10) == (positions, [])
    assert ledger.log_ends() == positions


def test_decisions_and_outcomes_touch_a_customer_too(known: Ledger) -> None:
    start = known.log_ends()
    append(known, decision("d1"))
    decided, touched = known.touched_after(start, 10)
    assert touched == ["c1"]
    known.append_outcomes([outcome(1)], NOW)
    assert known.touched_after(decided, 10)[1] == ["c1"]


# -- notes, and whole tables -------------------------------------------------------------------------------------------


def test_a_note_is_kept_and_replaced(ledger: Ledger) -> None:
    assert ledger.note("shift") is None
    ledger.put_note("shift", "1")
    ledger.put_note("shift", "2")
    assert ledger.note("shift") == "2"


def test_what_is_written_is_there_after_opening_again(ledger_url: str) -> None:
    first = open_ledger(ledger_url)
    first.append_events([event(1)])
    first.close()
    again = open_ledger(ledger_url)
    assert again.append_events([event(1)]) == Appended(0, 1)
    again.close()


def test_arrow_gives_the_rows_also_where_a_column_starts_without_values(ledger: Ledger) -> None:
    """More empty rows than ADBC looks at by default (1,024) come before the first value."""
    ledger.append_events([event(n, at=NOW + n) for n in range(3_000)])
    ledger.append_events([event(3_000, at=NOW + 3_000, value=1.5, source="till", properties={"a": 1})])
    table = read_arrow(ledger.url, "SELECT value, source, occurred_at, properties FROM events ORDER BY occurred_at")
    assert table.num_rows == 3_001
    assert table.slice(3_000).to_pylist() == [
        {"value": 1.5, "source": "till", "occurred_at": NOW + 3_000, "properties": '{"a":1}'}
    ]
    assert [str(field.type) for field in table.schema] == ["double", "string", "int64", "string"]


def test_arrow_gives_no_rows_of_an_empty_table(ledger: Ledger) -> None:
    assert read_arrow(ledger.url, "SELECT event_id FROM events").num_rows == 0


def test_arrow_reads_a_database_whose_path_has_signs_of_an_address(tmp_path: Any) -> None:
    folder = tmp_path / "a b#c?d%20e"
    folder.mkdir()
    from sqlalchemy import URL

    ledger = open_ledger(URL.create("sqlite", database=str(folder / "l.db")).render_as_string())
    ledger.append_events([event(1)])
    assert read_arrow(ledger.url, "SELECT event_id FROM events").num_rows == 1
    ledger.close()


def test_an_imported_decision_whose_id_stands_for_another_one_is_a_conflict(known: Ledger) -> None:
    first, later = decision("d1"), decision("d1", at=NOW + 1)
    another_arm = decision("d1", items=[item(Arm("call", "phone"))])
    assert known.import_decisions([first]) == Appended(1, 0, contacts=1)
    assert known.import_decisions([later, another_arm, first, decision("d2")]) == Appended(1, 1, (0, 1), contacts=1)


def test_of_two_imported_decisions_of_one_id_the_first_counts(known: Ledger) -> None:
    assert known.import_decisions([decision("d1"), decision("d1", at=NOW + 1)]) == Appended(1, 0, (1,), contacts=1)
