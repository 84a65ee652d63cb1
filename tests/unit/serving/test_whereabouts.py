"""Customers whose zone is unknown are not silenced for ever without a word."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from features.catalogue import EMPTY_CATALOGUE, QuietHours
from features.clock import DAY, HOUR, parse_time
from features.domain import Customer
from features.ledger import open_ledger
from features.settings import Settings
from serving.batch import Batch, BatchRequest
from serving.cli import commands
from serving.local_time import zones_of
from serving.quiet_hours import QuietClock, all_open
from serving.replay import SAME, Archive, replay, replay_one
from serving.schema import DecideRequest
from serving.whereabouts import NOWHERE, Whereabouts, warnings

Deciding = Callable[..., Any]
NIGHT = QuietHours("night", 21 * 60, 8 * 60)
#: Half past nine in the evening in Lisbon, half past ten in Berlin.
EVENING = parse_time("2026-01-10T21:30:00Z")
#: What was once written as a zone and is none: a customer's silence would leave the zone that was known.
UNKNOWN = "nowhere"
RULE = '\n[[quiet_hours]]\nid = "night"\nstart = "21:00"\nend = "08:00"\n'


def clock(rule: QuietHours, home: tuple[str, ...] | None, now: int = EVENING) -> QuietClock:
    return QuietClock([rule], None, now, home)


def test_an_unknown_zone_is_any_of_the_home_s_other_customers() -> None:
    home = ("Europe/Lisbon", "Europe/Berlin")
    found = clock(NIGHT, home)
    assert found.removal("email", "marketing") is not None
    assert found.opens_at("email", "marketing", EVENING) == parse_time("2026-01-11T08:00:00Z")
    noon = parse_time("2026-01-10T12:00:00Z")
    assert clock(NIGHT, home, noon).removal("email", "marketing") is None
    # Strictest: what is quiet in one of them is quiet.
    late = parse_time("2026-01-10T20:15:00Z")
    assert clock(NIGHT, home, late).removal("email", "marketing") is not None
    assert clock(NIGHT, ("Europe/Lisbon",), late).removal("email", "marketing") is None


def test_zones_that_the_rule_names_come_before_those_of_the_home() -> None:
    named = replace(NIGHT, zones=("Europe/Lisbon",))
    late = parse_time("2026-01-10T20:15:00Z")
    assert clock(named, ("Europe/Berlin",), late).removal("email", "marketing") is None


@pytest.mark.parametrize("home", [(), ("Asia/Tokyo", "America/New_York", "Europe/Berlin")])
def test_where_it_is_always_quiet_somewhere_the_answer_says_when_this_night_is_over(home: tuple[str, ...]) -> None:
    found = clock(NIGHT, home)
    removal = found.removal("email", "marketing")
    assert removal is not None
    assert removal.limit.endswith(", which it always is in one of the zones they may live in")
    again = found.opens_at("email", "marketing", EVENING)
    assert again is not None
    assert EVENING < again <= EVENING + DAY
    # Nobody who sleeps now still does.
    zones = [zone for zone in zones_of(None, home) if QuietClock([NIGHT], zone.key, EVENING).removal("x", "marketing")]
    assert all(all_open([(NIGHT, (zone,))], EVENING) is not None for zone in zones)
    assert again == max(all_open([(NIGHT, (zone,))], EVENING) or 0 for zone in zones)


def test_decisions_of_before_are_looked_at_as_they_were() -> None:
    found = clock(NIGHT, None)
    assert found.opens_at("email", "marketing", EVENING) is None
    removal = found.removal("email", "marketing")
    assert removal is not None
    assert removal.limit == "quiet 21:00-08:00"


def test_the_question_arises_only_for_unknown_zones_and_with_quiet_hours() -> None:
    where, catalogue = Whereabouts(("Europe/Berlin",), 1, 1), replace(EMPTY_CATALOGUE, quiet_hours=(NIGHT,))
    assert where.assumed(Customer("a"), catalogue) == ("Europe/Berlin",)
    assert where.assumed(Customer("a", zone="nowhere"), catalogue) == ("Europe/Berlin",)
    assert where.assumed(Customer("a", zone="Asia/Tokyo"), catalogue) is None
    assert where.assumed(Customer("a"), EMPTY_CATALOGUE) is None
    assert where.assumed(None, catalogue) is None


@pytest.mark.parametrize(
    ("zones", "where", "said"),
    [
        ((), Whereabouts((), 0, 41), "41 of 41 customers .* names none and nobody's is known.* never contacted; name"),
        ((), Whereabouts(("Europe/Berlin",), 30, 11), r"11 of 41 customers .* \(Europe/Berlin\); name where they"),
        ((), Whereabouts(("America/New_York", "Asia/Tokyo", "Europe/Berlin"), 30, 11), "one is always quiet"),
        (("America/New_York", "Asia/Tokyo", "Europe/Berlin"), Whereabouts((), 0, 11), "name fewer"),
        (("Europe/Berlin",), Whereabouts((), 0, 41), None),
        ((), Whereabouts(("Europe/Berlin",), 41, 0), None),
        ((), NOWHERE, None),
    ],
)
def test_quiet_hours_are_warned_of_with_the_number_of_customers(
    zones: tuple[str, ...], where: Whereabouts, said: str | None
) -> None:
    found = warnings(replace(EMPTY_CATALOGUE, quiet_hours=(replace(NIGHT, zones=zones),)), where, EVENING)
    assert len(found) == (said is not None)
    for one in found:
        assert one.key == "quiet_hours.zones"
        assert re.search(str(said), one.message)


def without_zones(world: Any, zones: tuple[str, ...]) -> list[str]:
    """Gives the shop's customers these zones in turn, and quiet hours; those who are left without a zone."""
    ids = world.ledger.customer_ids(400)
    world.ledger.put_customers(Customer(c, 0, zones[n % len(zones)], {"email": "granted"}) for n, c in enumerate(ids))
    file = world.settings.catalogue_folder / "all.toml"
    file.write_text(file.read_text() + RULE)
    world.live.refresh()
    return [c for n, c in enumerate(ids) if zones[n % len(zones)] == UNKNOWN]


@pytest.mark.parametrize("zones", [(UNKNOWN,), ("Europe/Berlin", UNKNOWN)])
def test_the_answer_says_when_to_ask_again_and_replays(
    deciding: Deciding, caplog: pytest.LogCaptureFixture, zones: tuple[str, ...]
) -> None:
    world = deciding(deadline_seconds=30.0)
    with caplog.at_level(logging.WARNING):
        unknown = without_zones(world, zones)
        world.live.refresh()
    assert caplog.text.count(f"{len(unknown)} of 400 customers have no known zone") == 1
    decider, deferred = world.decider(), 0
    for n, customer in enumerate(unknown[:20]):
        body = decider.decide(DecideRequest(f"r{n}", customer, ("email",)), EVENING + n * HOUR).body
        answer = json.loads(body)
        if answer["reason"] == "no_eligible_action":
            assert answer["defer_until"] is not None
            deferred += 1
    assert deferred
    if len(zones) == 1:
        batch = Batch(
            world.settings, world.ledger, world.live.strategy, world.live.features, world.layers, None,
            world.live.whereabouts,
        )  # fmt: skip
        (block,) = batch.decide(BatchRequest("b", ("email",)), unknown[20:60], lambda: EVENING)
        held = [one for one in block if one.reason == "no_eligible_action"]
        assert held
        assert all(one.defer_until is not None for one in held)
    assert {v.kind for v in replay(world.ledger, world.settings.bundle_folder)} == {SAME}


def test_a_decision_recorded_before_replays_without_a_time_to_ask_again(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0)
    decider = world.decider()
    asked = (DecideRequest(f"old-{c}", c, ("email",)) for c in without_zones(world, (UNKNOWN,)))
    answers = (json.loads(decider.decide(one, EVENING).body) for one in asked)
    answer = next(one for one in answers if one["defer_until"] is not None)
    (found,) = world.ledger.live_records(0, 1, answer["decision_id"])
    record = json.loads(found.record)
    del record["inputs"]["knowledge"]["zones"], record["inputs"]["edition"]
    record["defer_until"] = None
    for removal in record["candidates"]["removals"]:
        removal["limit"] = removal["limit"].replace(", which it always is in one of the zones they may live in", "")
    old = replace(found, record=json.dumps(record).encode())
    assert replay_one(old, Archive(world.ledger, world.settings.bundle_folder)).kind == SAME


def test_the_check_names_rule_place_and_number(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.catalogue_folder.mkdir()
    file = settings.catalogue_folder / "c.toml"
    file.write_text('[[channel]]\nid = "web"\noutbound = false\n' + RULE)
    app = typer.Typer()
    commands(app)
    asked = ["catalogue", "check", "--home", str(tmp_path)]
    assert CliRunner().invoke(app, asked).output.splitlines()[0].endswith("no faults")
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("a", 0, "Europe/Berlin"), Customer("b", 0, None), Customer("c", 0, None)])
    ledger.close()
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0
    first, second, *_ = result.output.splitlines()
    assert first.endswith("no faults, 1 warning")
    assert second.startswith("warning: c.toml:5: quiet_hours.zones: night: 2 of 3 customers have no known zone")
    file.write_text(file.read_text() + 'zones = ["Europe/Berlin"]\n')
    assert "warning" not in CliRunner().invoke(app, asked).output
