"""The life of a contact through decisions, reports and the ledger: refused, failed, opted out, suppressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from features.clock import DAY, HOUR, format_time, parse_time
from features.domain import Arm, Customer, Decision, Item, Outcome, OutcomeKind, Versions
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from serving.assignment import holdout_layer
from serving.decider import Decider
from serving.intake import Intake
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.schema import DecideRequest, OutcomeMessage

NOW = parse_time("2026-03-11T12:00:00Z")
CATALOGUE = """
[[group]]
id = "g"
[[channel]]
id = "email"
[[action]]
id = "offer"
group = "g"
value = 4000.0
treatment = [{ channel = "email" }]
[[contact_policy]]
id = "one-a-day"
limit = 1
window_days = 1
[[contact_policy]]
id = "rest"
scope = "action"
of = "offer"
counts = "outcome"
outcome = "rejected"
limit = 1
window_days = 1
pause_days = 30
"""

Ask = Callable[[int], dict[str, Any]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.put_customers([Customer("anna", zone="UTC", consents={"email": "granted"})])
    yield opened
    opened.close()


@pytest.fixture
def ask(ledger: Ledger, tmp_path: Path) -> Ask:
    """Asks for anna, again and again at that moment until the draw is no longer doing nothing by chance."""
    settings = Settings(home=tmp_path, holdout_share=0.0, deadline_seconds=60.0)
    settings.catalogue_folder.mkdir()
    (settings.catalogue_folder / "c.toml").write_text(CATALOGUE)
    live = Live(settings, ledger, lambda: None)
    live.refresh()
    decider = Decider(settings, ledger, live, [holdout_layer(0.0)], Metrics(), Journal(None))
    numbers = iter(range(10**6))

    def decide(at: int) -> dict[str, Any]:
        while True:
            answer = msgspec.json.decode(decider.decide(DecideRequest(f"r{next(numbers)}", "anna"), at).body)
            if answer["reason"] is not None or answer["result"] == "action":
                return answer

    return decide


def report(ledger: Ledger, answer: dict[str, Any], kind: OutcomeKind, at: int) -> None:
    message = OutcomeMessage(f"o-{answer['decision_id']}", kind, format_time(at), decision_id=answer["decision_id"])
    assert Intake(ledger).outcomes([message], at).appended.accepted == 1


def test_a_contact_holds_back_the_next_and_the_answer_says_until_when(ask: Ask) -> None:
    assert ask(NOW)["result"] == "action"
    held = ask(NOW + HOUR)
    assert (held["reason"], held["defer_until"]) == ("no_eligible_action", format_time(NOW + DAY))
    assert ask(NOW + DAY)["result"] == "action"


def test_a_refusal_pauses_the_action(ask: Ask, ledger: Ledger) -> None:
    report(ledger, ask(NOW), OutcomeKind.REJECTED, NOW + HOUR)
    held = ask(NOW + 2 * DAY)
    assert (held["reason"], held["defer_until"]) == ("no_eligible_action", format_time(NOW + HOUR + 30 * DAY))
    assert ask(NOW + HOUR + 30 * DAY)["result"] == "action"


def test_a_delivery_that_failed_takes_no_contact(ask: Ask, ledger: Ledger) -> None:
    report(ledger, ask(NOW), OutcomeKind.FAILED, NOW + HOUR)
    assert ask(NOW + HOUR)["result"] == "action"


def test_a_slot_that_expired_unused_takes_no_contact_and_one_that_was_used_does(ask: Ask, ledger: Ledger) -> None:
    first = ask(NOW)
    ledger.release_expired(NOW + DAY)
    second = ask(NOW + DAY)
    assert second["result"] == "action"
    ledger.mark_shown(first["decision_id"], 1, NOW + HOUR)
    ledger.mark_shown(second["decision_id"], 1, NOW + DAY + HOUR)
    assert ask(NOW + DAY + 2 * HOUR)["reason"] == "no_eligible_action"


def test_a_contact_another_tool_made_holds_back_the_next_unless_it_failed(ask: Ask, ledger: Ledger) -> None:
    item = Item(1, Arm("offer", "email"), "g", 1.0, None, None, 0.0, 0.0, 0.0, None, NOW, NOW)
    past = Decision("d0", "d0", "anna", NOW - HOUR, (item,), "action", None, None, Versions(None, "x", "x"))
    ledger.import_decisions([past])
    held = ask(NOW)
    assert (held["reason"], held["defer_until"]) == ("no_eligible_action", format_time(NOW - HOUR + DAY))
    ledger.append_outcomes([Outcome("o0", "d0", "anna", "offer", "failed", NOW)], NOW)
    assert ask(NOW)["result"] == "action"


def test_who_opts_out_is_contacted_no_more(ask: Ask, ledger: Ledger) -> None:
    report(ledger, ask(NOW), OutcomeKind.OPTED_OUT, NOW + HOUR)
    held = ask(NOW + 400 * DAY)
    assert (held["reason"], held["defer_until"]) == ("no_eligible_action", None)


def test_who_is_suppressed_is_contacted_only_after_it_is_lifted(ask: Ask, ledger: Ledger) -> None:
    ledger.suppress("anna", "court order", NOW)
    assert ask(NOW)["reason"] == "no_eligible_action"
    ledger.lift_suppression("anna")
    assert ask(NOW)["result"] == "action"
