"""The simulated past of one customer: what never was is gone, what was sent instead is known, in time."""

from __future__ import annotations

from experiments.change.answers import DELIVERED, Answers
from experiments.change.counters import moved
from experiments.change.history import Contact, History
from experiments.change.recorded import Became, Told
from features.catalogue import Catalogue, Channel, ContactRule
from features.clock import DAY, HOUR, parse_time
from features.domain import Arm, Customer
from features.ledger import ContactSlot, Heard
from serving.contact_policy import contact_plan
from serving.request import Knowledge

NOW = parse_time("2026-06-10T12:00:00Z")
EMAIL, PUSH = Arm("offer", "email"), Arm("offer", "push")
CATALOGUE = Catalogue("v", {"email": Channel("email"), "push": Channel("push")}, ("g",), {}, ())


def plan(*rules: ContactRule):  # type: ignore[no-untyped-def]
    return contact_plan(Catalogue("v", CATALOGUE.channels, ("g",), {}, rules), [EMAIL, PUSH])


WEEK = plan(ContactRule("week", "all", limit=1, window_seconds=7 * 86_400))
MONTH = plan(ContactRule("month", "all", limit=1, window_seconds=30 * 86_400))
NO_MEANS_NO = plan(ContactRule("no", "all", counts="outcome", outcome="rejected", limit=1, window_seconds=30 * 86_400))


def slot(decision: str, arm: Arm, at: int, state: str = "committed", shown_at: int | None = None) -> ContactSlot:
    return ContactSlot(arm, "g", "marketing", at, at + DAY, state, decision, 1, shown_at)


def contact(decision: str, arm: Arm, at: int, kind: str = "rejected", *, as_recorded: bool = False) -> Contact:
    heard = Heard(arm, "g", kind, at + HOUR, decision)
    return Contact(slot(decision, arm, at, "reserved", at), as_recorded, at, None, ((at + HOUR, heard),))


def known(*slots: ContactSlot, heard: tuple[Heard, ...] = (), **consents: str) -> Knowledge:
    return Knowledge(Customer("anna", consents=consents or {"email": "granted"}), slots=slots, heard=heard)


def test_where_both_did_the_same_what_is_known_is_what_was_recorded() -> None:
    history = History()
    history.add(contact("d1", EMAIL, NOW - DAY, as_recorded=True))
    recorded = known(slot("d1", EMAIL, NOW - DAY))
    assert history.knowledge(recorded, WEEK, WEEK, NOW) is recorded
    features = {"contacts_7d": 1.0}
    assert moved(features, history, NOW) is features


def test_a_recorded_contact_that_never_was_is_gone_with_its_answer_and_the_simulated_one_is_known() -> None:
    history = History()
    history.undo(contact("d1", EMAIL, NOW - DAY, as_recorded=True))
    history.add(contact("d1", PUSH, NOW - DAY))
    recorded = known(slot("d1", EMAIL, NOW - DAY), heard=(Heard(EMAIL, "g", "rejected", NOW - DAY + HOUR, "d1"),))
    found = history.knowledge(recorded, NO_MEANS_NO, NO_MEANS_NO, NOW)
    assert [one.arm for one in found.heard] == [PUSH]
    found = history.knowledge(recorded, WEEK, WEEK, NOW)
    assert [(one.arm, one.state, one.shown_at) for one in found.slots] == [(PUSH, "committed", NOW - DAY)]


def test_nothing_is_known_before_it_happens() -> None:
    history = History()
    history.add(contact("d1", PUSH, NOW))
    found = history.knowledge(known(), NO_MEANS_NO, NO_MEANS_NO, NOW + HOUR - 1)
    assert found.heard == ()
    assert len(history.knowledge(known(), NO_MEANS_NO, NO_MEANS_NO, NOW + HOUR).heard) == 1
    promised = History()
    promised.add(Contact(slot("d2", PUSH, NOW, "reserved"), False, made_at=NOW + HOUR, lost_at=None))
    states = [promised.knowledge(known(), WEEK, WEEK, NOW + late).slots[0].state for late in (HOUR - 1, HOUR)]
    assert states == ["reserved", "committed"]
    failed = History()
    failed.add(Contact(slot("d3", PUSH, NOW, "reserved"), False, made_at=None, lost_at=NOW + HOUR))
    assert [len(failed.knowledge(known(), WEEK, WEEK, NOW + late).slots) for late in (HOUR - 1, HOUR)] == [1, 0]


def test_a_limit_that_looks_further_back_than_the_record_did_finds_the_older_contacts() -> None:
    history = History()
    history.add(contact("d1", EMAIL, NOW - 20 * DAY, as_recorded=True))
    assert [one.decision_id for one in history.knowledge(known(), MONTH, WEEK, NOW).slots] == ["d1"]
    assert history.knowledge(known(), WEEK, MONTH, NOW).slots == ()
    # Of outcomes the record says nothing at all where no limit counted them.
    assert len(history.knowledge(known(), NO_MEANS_NO, WEEK, NOW).heard) == 1
    before = History(earlier=(Heard(EMAIL, "g", "rejected", NOW - 40 * DAY), Heard(PUSH, "g", "rejected", NOW - DAY)))
    assert [one.arm for one in before.knowledge(known(), NO_MEANS_NO, WEEK, NOW).heard] == [PUSH]
    assert before.knowledge(known(), NO_MEANS_NO, NO_MEANS_NO, NOW).heard == ()


def test_an_opt_out_counts_in_the_past_that_provoked_it_and_in_no_other() -> None:
    undone = History(differs=True)
    undone.restored["email"] = {"email": "granted"}
    found = undone.knowledge(known(email="denied", push="denied"), WEEK, WEEK, NOW)
    assert found.customer is not None
    assert found.customer.consents == {"email": "granted", "push": "denied"}
    provoked = History(differs=True, denied={"email": NOW})
    for late, state in ((-1, "granted"), (0, "denied")):
        found = provoked.knowledge(known(**{"email": "granted", "service/email": "granted"}), WEEK, WEEK, NOW + late)
        assert found.customer is not None
        assert found.customer.consents == {"email": state, "service/email": state}


def test_features_that_count_contacts_count_those_of_the_simulated_past() -> None:
    history = History()
    history.undo(contact("d1", EMAIL, NOW - DAY, as_recorded=True))
    history.add(contact("d2", PUSH, NOW - 10 * DAY, "accepted"))
    history.add(contact("d3", PUSH, NOW - 3 * DAY, "ignored"))
    recorded = {
        **{"contacts_7d": 2.0, "contacts_30d": 2.0, "contacts_email_30d": 1.0, "contacts_push_30d": 0.0},
        **{"contacts_g_30d": 2.0, "accepts_30d": 0.0, "accepts_push_90d": 0.0, "rejects_30d": 0.0},
        **{"days_since_last_contact": 1.0, "tenure_days": 9.0, "accepts_email_90d": None},
    }
    assert moved(recorded, history, NOW) == {
        **{"contacts_7d": 2.0, "contacts_30d": 3.0, "contacts_email_30d": 0.0, "contacts_push_30d": 2.0},
        **{"contacts_g_30d": 3.0, "accepts_30d": 1.0, "accepts_push_90d": 1.0, "rejects_30d": 0.0},
        **{"days_since_last_contact": 3.0, "tenure_days": 9.0, "accepts_email_90d": None},
    }


def test_what_no_limit_looks_back_to_is_forgotten() -> None:
    history = History()
    for days in (200, 20):
        history.add(contact(f"d{days}", PUSH, NOW - days * DAY))
        history.undo(contact(f"e{days}", EMAIL, NOW - days * DAY, as_recorded=True))
    history.forget(NOW - 100 * DAY)
    assert [one.slot.decision_id for one in history.contacts] == ["d20"]
    assert list(history.undone) == [("e20", 1)]


def test_answers_are_those_recorded_of_the_same_arm_and_succeed_as_often_as_the_model_says() -> None:
    answers = Answers()
    answers.learn(EMAIL, NOW, Became(NOW + 5, "final", 0.0, [Told("rejected", NOW + HOUR, NOW + HOUR)]))
    answers.learn(EMAIL, NOW, Became(NOW + 7, "final", 0.0, [Told("accepted", NOW + DAY, NOW + DAY)]))
    drawn = [answers.imagine(EMAIL, 0.3, "accepted", ("d", n)) for n in range(2_000)]
    assert drawn == [answers.imagine(EMAIL, 0.3, "accepted", ("d", n)) for n in range(2_000)]
    assert {(one.shown_after, one.heard_after) for one in drawn} == {
        (5, (("rejected", HOUR),)),
        (7, (("accepted", DAY),)),
    }
    # Five standard errors of a share of 0.3 among 2,000 keys are 0.05.
    assert abs(sum(one.shown_after == 7 for one in drawn) / 2_000 - 0.3) < 0.05
    # Another action on the channel borrows from it; a channel nobody knows delivers at once.
    assert answers.imagine(Arm("new", "email"), 0.0, "accepted", "k").shown_after == 5
    assert answers.imagine(PUSH, 0.0, "accepted", "k") == DELIVERED
    assert answers.imagine(PUSH, 1.0, "converted", "k").heard_after == (("converted", 0),)
