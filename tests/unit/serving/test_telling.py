"""`segue decide` and `segue explain` say the choice first, then the runners-up, then what held back the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.cli import commands
from serving.telling import HeldBack, held_back, share


def removed(action: str, channel: str, stage: str, rule: str, seen: object, limit: object) -> dict[str, Any]:
    return {"action": action, "channel": channel, "stage": stage, "rule": rule, "seen": seen, "limit": limit}


def test_what_was_held_back_is_grouped_by_rule_the_most_first_in_plain_english() -> None:
    found = held_back(
        [
            removed("a", "web", "eligibility", "applicable", "customer.x = 1", "customer.x > 2"),
            removed("a", "email", "consent", "consent.email", "denied", "granted for marketing"),
            {"action": "do_nothing", "channel": None, "stage": None},
            removed("b", "email", "consent", "consent.email", "denied", "granted for marketing"),
            removed("c", "web", "contact_policy", "two-a-day", 2, 2),
        ]
    )
    assert found[0] == HeldBack(
        "the customer has not agreed to it",
        "consent.email",
        ("a by email", "b by email"),
        ("denied",),
        ("granted for marketing",),
    )
    assert [(g.why, len(g.arms)) for g in found[1:]] == [
        ("it has no use for the customer now", 1),
        ("a contact limit or quiet hours", 1),
    ]


def test_a_probability_is_told_in_percent_with_the_digits_it_needs() -> None:
    assert [share(p) for p in (0.9125, 1.0, 0.00021)] == ["91.2 %", "100 %", "0.021 %"]


@pytest.fixture
def command(deciding: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("COLUMNS", "160")
    parts, app = deciding(), typer.Typer()
    commands(app)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--home", str(parts.settings.home)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    run.customer = parts.ledger.customer_ids(2)[1]  # type: ignore[attr-defined]
    return run


def test_a_decision_is_told_briefly_and_in_full_as_json(command: Callable[..., str]) -> None:
    customer: str = command.customer  # type: ignore[attr-defined]
    told = command("decide", customer, "--channel", "web")
    assert len(told.splitlines()) < 40
    order = [told.index(words) for words in (" chosen", "What else was possible", "What held back the others")]
    assert order == sorted(order)
    assert "on a channel that was not asked for" in told
    answer = json.loads(command("decide", customer, "--channel", "web", "--json"))
    assert {"decision_id", "items", "versions"} <= set(answer)


def test_an_explanation_groups_and_with_all_tells_of_every_arm(command: Callable[..., str]) -> None:
    customer: str = command.customer  # type: ignore[attr-defined]
    found = re.search(r"Recorded as (\S+);", command("decide", customer, "--channel", "web"))
    assert found is not None
    short, full = command("explain", found[1]), command("explain", found[1], "--all")
    arms = ("upgrade by email", "keep by email")
    assert sum(arm in short for arm in arms) == 1  # the example of its group
    assert all(arm in full for arm in arms)
    assert short.splitlines()[0] == full.splitlines()[0]
    assert {"candidates", "summary"} <= set(json.loads(command("explain", found[1], "--technical")))
