"""What every ledger does for many customers at once, and for replay: on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Item, Outcome, Versions
from features.errors import Conflict
from features.ledger import DrawnItem, Ledger, ToAppend

NOW = 1_790_000_000_000_000
CLASSES = {"offer": "marketing"}


def made(name: str, customer: str, at: int = NOW, arm: Arm = Arm("offer", "email"), version: int = 0) -> ToAppend:
    one = Item(1, arm, "growth", 0.5, 0.2, 0.25, 4.0, 1.0, 1.0, None, at + HOUR, at + 7 * DAY)
    versions = Versions("bundle-1", "uniform/1", "catalogue-1")
    result = "do_nothing" if arm == DO_NOTHING else "action"
    decision = Decision(name, f"r-{name}", customer, at, (one,), result, None, None, versions)
    return ToAppend(decision, "hash", b"answer", version)


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """A ledger with contacts, outcomes, a suppression, and a customer without any of it."""
    people = [Customer(f"c{n}", n, "Etc/UTC", {"email": "granted"}, {"age": n}) for n in range(1, 5)]
    ledger.put_customers(people)
    assert ledger.append_decisions([made("d1", "c1"), made("d2", "c2"), made("d3", "c3")], CLASSES) == []
    assert ledger.append_decisions([made("d4", "c1", NOW + HOUR, version=1)], CLASSES) == []
    ledger.mark_shown("d1", 1, NOW + HOUR)
    ledger.release_slot("d3", 1)
    told = [Outcome(f"o{n}", f"d{n}", f"c{n}", "offer", "rejected", NOW + n * HOUR) for n in (2, 1)]
    ledger.append_outcomes(told, NOW + 3 * HOUR)
    ledger.suppress("c2", "asked", NOW)
    return ledger


@pytest.mark.parametrize("heard_since", [None, NOW])
@pytest.mark.parametrize("since", [0, NOW + 1])
def test_many_customers_are_known_as_each_by_itself(busy: Ledger, since: int, heard_since: int | None) -> None:
    ids = ["c1", "c2", "c3", "c4", "nobody"]
    together = busy.before_decisions(ids, since, heard_since)
    alone = {c: busy.before_decision("a new request", c, since, heard_since) for c in ids}
    assert together == {c: before for c, before in alone.items() if before.customer is not None}


def test_decisions_are_appended_together_as_one_by_one(busy: Ledger) -> None:
    stored = busy.decision("d2")
    assert (stored.customer_id, stored.decided_at, stored.origin) == ("c2", NOW, "live")
    answer = busy.find_answer("r-d2")
    assert answer is not None
    assert (answer.answer, answer.request_hash) == (b"answer", "hash")
    assert busy.count("reservations") == 4


def test_one_whose_contacts_moved_is_refused_and_the_others_stand(busy: Ledger) -> None:
    moved, fine = made("d5", "c1", version=1), made("d6", "c4")
    assert busy.append_decisions([moved, fine], CLASSES) == [moved]
    assert busy.find_answer("r-d5") is None
    assert busy.find_answer("r-d6") is not None


def test_a_request_answered_before_stops_the_whole_block(busy: Ledger) -> None:
    version = busy.before_decisions(["c2"], 0)["c2"].contact_version
    with pytest.raises(Conflict):
        busy.append_decisions([made("d6", "c4"), made("d2", "c2", version=version)], CLASSES)
    assert busy.find_answer("r-d6") is None


def test_requests_decided_before_are_found_with_their_records(busy: Ledger) -> None:
    found = busy.stored_requests(["r-d1", "r-nothing", "r-d4"])
    assert sorted(found) == ["r-d1", "r-d4"]
    assert found["r-d1"][0] == "hash"
    assert found["r-d1"][1].startswith(b'{"decision_id":"d1"')


def test_records_come_in_the_order_they_were_made_with_their_items(busy: Ledger) -> None:
    assert busy.count_live() == 4
    first = busy.live_records(0, 3)
    assert [one.decision_id for one in first] == ["d1", "d2", "d3"]
    assert [one.decision_id for one in busy.live_records(first[-1].position, 3)] == ["d4"]
    (one,) = busy.live_records(0, 3, "d2")
    assert (one.request_id, one.customer_id, one.decided_at) == ("r-d2", "c2", NOW)
    assert one.items == (DrawnItem(1, "offer", "email", 0.5, 0.2, 0.25),)


def test_imported_decisions_are_no_live_ones(ledger: Ledger) -> None:
    ledger.import_decisions([made("past", "c1").decision])
    assert (ledger.count_live(), ledger.live_records(0, 9)) == (0, [])


def test_a_catalogue_is_kept_as_it_was_first(ledger: Ledger) -> None:
    assert ledger.catalogue_files("v1") is None
    ledger.keep_catalogue("v1", {"all.toml": "größe = 1\n"})
    ledger.keep_catalogue("v1", {"all.toml": "other"})
    assert ledger.catalogue_files("v1") == {"all.toml": "größe = 1\n"}


def test_every_snapshot_is_found_by_its_number(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.save_learning(number, position=0, state=f"state {number}", now=NOW, rewards=[])
    assert [ledger.snapshot_state(number) for number in (1, 2, 3)] == ["state 1", "state 2", None]
