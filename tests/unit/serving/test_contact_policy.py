"""Limits by every scope, window, counted event and effect; more contacts never open an arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from features.catalogue import Catalogue, load_catalogue
from features.clock import DAY, HOUR, MINUTE, parse_time
from features.domain import Arm
from features.ledger import ContactSlot, Heard
from serving.contact_policy import ContactPlan, ContactState, contact_plan, contact_state

NOW = parse_time("2026-03-11T12:00:00Z")  # a Wednesday
BASE = """
[[group]]
id = "sell"
[[group]]
id = "help"
[[channel]]
id = "email"
[[channel]]
id = "sms"
[[channel]]
id = "web"
outbound = false
[[action]]
id = "offer"
group = "sell"
treatment = [{ channel = "email" }, { channel = "sms" }, { channel = "web" }]
[[action]]
id = "extra"
group = "sell"
treatment = [{ channel = "email" }]
[[action]]
id = "repair"
group = "help"
class = "service"
treatment = [{ channel = "email" }, { channel = "web" }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def plan(folder: Path, *rules: str) -> ContactPlan:
    text = "".join(f'[[contact_policy]]\nid = "r{n}"\n{rule}\n' for n, rule in enumerate(rules))
    (folder / "c.toml").write_text(BASE + text)
    catalogue: Catalogue = load_catalogue(folder)
    return contact_plan(catalogue, list(catalogue.arms()))


def slot(arm: str = "offer@email", ago: int = HOUR, state: str = "committed", **given: object) -> ContactSlot:
    action, channel = arm.split("@")
    group, kind = ("help", "service") if action == "repair" else ("sell", "marketing")
    at = NOW - ago
    return replace(ContactSlot(Arm(action, channel), group, kind, at, at + DAY, state), **given)  # type: ignore[arg-type]


def heard(kind: str, arm: str = "offer@email", ago: int = HOUR, decision: str = "") -> Heard:
    action, channel = arm.split("@")
    return Heard(Arm(action, channel), "help" if action == "repair" else "sell", kind, NOW - ago, decision)


def state(
    of: ContactPlan, slots: object = (), said: object = (), zone: str | None = "UTC", now: int = NOW
) -> ContactState:
    return contact_state(of, tuple(slots), tuple(said), zone, now)  # type: ignore[arg-type]


def held(of: ContactPlan, found: ContactState) -> set[str]:
    return {arm.key for row, arm in enumerate(of.catalogue.arms()) if found.removal(row)}


MARKETING_MAIL = {"offer@email", "offer@sms", "extra@email"}
DAILY = "limit = 1\nwindow_days = 1\n"


@pytest.mark.parametrize(
    ("rule", "contact", "closed"),
    [
        (DAILY, "offer@email", MARKETING_MAIL),
        (DAILY, "repair@email", set()),  # a service message counts for no marketing limit
        (DAILY, "offer@web", set()),  # a visit is no contact
        (DAILY + 'class = "regulatory"', "repair@email", {*MARKETING_MAIL, "repair@email"}),
        (DAILY + 'class = "service"', "offer@email", {*MARKETING_MAIL, "repair@email"}),
        (DAILY + 'scope = "channel"\nof = "sms"', "offer@sms", {"offer@sms"}),
        (DAILY + 'scope = "channel"\nof = "sms"', "offer@email", set()),
        (DAILY + 'scope = "channel"\nof = "web"', "offer@web", {"offer@web"}),
        (DAILY + 'scope = "group"\nof = "sell"', "extra@email", MARKETING_MAIL),
        (DAILY + 'scope = "group"\nof = "help"', "extra@email", set()),
        (DAILY + 'scope = "action"\nof = "offer"', "offer@sms", {"offer@email", "offer@sms"}),
        (DAILY + 'scope = "action"\nof = "offer"', "extra@email", set()),
        (DAILY + 'scope = "arm"\nof = "offer@web"', "offer@web", {"offer@web"}),
        (DAILY + 'scope = "arm"\nof = "offer@sms"', "offer@email", set()),
        (DAILY + 'counts = "seen"', "offer@web", {*MARKETING_MAIL, "offer@web"}),
        (DAILY + 'counts = "seen"', "offer@email", set()),  # sent, and not yet opened
        (DAILY + 'counts = "delivered"', "offer@email", MARKETING_MAIL),
        ('mode = "forbid"\nscope = "channel"\nof = "sms"', None, {"offer@sms"}),
    ],
)
def test_each_scope_closes_what_it_names_and_no_more(
    folder: Path, rule: str, contact: str | None, closed: set[str]
) -> None:
    of = plan(folder, rule)
    assert held(of, state(of, [slot(contact)] if contact else [])) == closed


@pytest.mark.parametrize(
    ("rule", "slots", "opens"),
    [
        ("limit = 1\nwindow_seconds = 7200", [HOUR], NOW + HOUR),
        ("limit = 1\nwindow_seconds = 3600", [HOUR], None),  # exactly so long ago counts no more
        ("limit = 2\nwindow_days = 1", [HOUR], None),
        ("limit = 2\nwindow_days = 1", [20 * HOUR, HOUR], NOW + 4 * HOUR),
        ("limit = 2\nwindow_days = 1", [20 * HOUR, 2 * HOUR, HOUR], NOW + 22 * HOUR),  # two must leave
        ('limit = 1\ncalendar = "day"', [12 * HOUR], parse_time("2026-03-12")),
        ('limit = 1\ncalendar = "day"', [12 * HOUR + 1], None),
        ('limit = 1\ncalendar = "week"', [2 * DAY], parse_time("2026-03-16")),
        ('limit = 1\ncalendar = "week"', [3 * DAY], None),
        ('limit = 1\ncalendar = "month"', [10 * DAY], parse_time("2026-04-01")),
        ('limit = 1\ncalendar = "month"', [11 * DAY], None),
        ("limit = 1\nwindow_days = 1\npause_days = 10", [9 * DAY], NOW + DAY),
        ("limit = 1\nwindow_days = 1\npause_days = 10", [10 * DAY], None),
        ("limit = 2\nwindow_days = 1\npause_days = 10", [5 * DAY, 3 * DAY], None),  # never two within a day
        ("limit = 2\nwindow_days = 1\npause_days = 10", [5 * DAY, 5 * DAY - HOUR], NOW + 5 * DAY + HOUR),
        ('limit = 2\ncalendar = "day"\npause_days = 10', [5 * DAY, 5 * DAY + 13 * HOUR], None),
        ('limit = 2\ncalendar = "day"\npause_days = 10', [5 * DAY, 5 * DAY + 11 * HOUR], NOW + 5 * DAY),
    ],
)
def test_each_window_and_effect_opens_again_when_it_says(
    folder: Path, rule: str, slots: list[int], opens: int | None
) -> None:
    of = plan(folder, rule)
    contacts = [slot(ago=ago) for ago in slots]
    removal = state(of, contacts).removal(0)
    assert (removal.opens_at if removal else None) == opens
    if opens is not None:
        assert state(of, contacts, now=opens - 1).removal(0) is not None
        assert state(of, contacts, now=opens).removal(0) is None


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_calendar_day_is_as_long_as_the_clock_makes_it(folder: Path, day: str, hours: int) -> None:
    of = plan(folder, 'limit = 1\ncalendar = "day"')
    start = parse_time(f"{day}T00:00:00{'+01:00' if hours == 23 else '+02:00'}")
    contact = [slot(reserved_at=start)]
    removal = state(of, contact, zone="Europe/Berlin", now=start).removal(0)
    assert removal is not None
    assert removal.opens_at == start + hours * HOUR


@pytest.mark.parametrize(
    ("rule", "slots", "said", "closed"),
    [
        ("delivered", [slot(state="reserved")], [], True),  # promised: it may be made at any moment
        ("delivered", [slot(state="reserved", expires_at=NOW)], [], False),
        ("decided", [slot(state="reserved", expires_at=NOW)], [], False),
        ("decided", [slot(ago=25 * HOUR)], [], False),
        ("delivered", [slot(ago=25 * HOUR, shown_at=NOW - HOUR)], [], True),  # counts from when it was made
        ("decided", [slot(ago=25 * HOUR, shown_at=NOW - HOUR)], [], False),
        ("seen", [], [heard("seen")], True),
        ("seen", [], [heard("clicked")], False),
        ("seen", [], [heard("seen", ago=25 * HOUR)], False),
    ],
)
def test_what_is_counted_is_what_the_rule_says(
    folder: Path, rule: str, slots: list[ContactSlot], said: list[Heard], closed: bool
) -> None:
    of = plan(folder, f'counts = "{rule}"\n{DAILY}')
    assert (state(of, slots, said).removal(0) is not None) is closed


def test_what_was_displayed_and_told_as_seen_too_was_seen_once(folder: Path) -> None:
    of = plan(folder, 'counts = "seen"\nlimit = 2\nwindow_days = 1')
    displayed = slot("offer@web", decision_id="d1")
    told = heard("seen", "offer@web", decision="d1")
    assert state(of, [displayed], [told, told]).removals == {}
    assert state(of, [displayed], [heard("seen", "offer@web", decision="d2")]).removals != {}


def test_after_so_many_refusals_an_action_rests_on_every_channel(folder: Path) -> None:
    of = plan(
        folder,
        'scope = "action"\nof = "offer"\ncounts = "outcome"\noutcome = "rejected"\nlimit = 2\nwindow_days = 30\n'
        'effect = "pause"\npause_days = 90',
    )
    once = [heard("rejected", ago=80 * DAY)]
    twice = [*once, heard("rejected", "offer@web", ago=60 * DAY)]
    assert held(of, state(of, said=once)) == set()
    found = state(of, said=twice)
    assert held(of, found) == {"offer@email", "offer@sms", "offer@web"}
    removal = found.removals[0]
    assert (removal.rule, removal.seen, removal.opens_at) == ("r0", "2 rejected", NOW + 30 * DAY)
    assert removal.limit == "2 rejected in 30 days, then a pause of 90 days; open again 2026-04-10T12:00:00.000000Z"
    assert held(of, state(of, said=[*once, heard("rejected", ago=40 * DAY)])) == set()  # 40 days apart
    assert held(of, state(of, said=[*once, heard("rejected", "extra@email", ago=60 * DAY)])) == set()


def test_a_removal_names_rule_count_limit_and_the_moment_it_opens(folder: Path) -> None:
    of = plan(folder, "limit = 2\nwindow_days = 1")
    removal = state(of, [slot(), slot(ago=2 * HOUR), slot(ago=3 * HOUR)]).removal(0)
    assert removal is not None
    assert (removal.stage, removal.rule, removal.seen) == ("contact_policy", "r0", "3 decided")
    assert removal.limit == "at most 2 decided in a day; open again 2026-03-12T10:00:00.000000Z"


def test_an_arm_opens_when_the_last_of_its_rules_does(folder: Path) -> None:
    of = plan(folder, DAILY, 'limit = 1\nwindow_days = 7\nscope = "channel"\nof = "email"')
    found = state(of, [slot()])
    rows = {arm.key: row for row, arm in enumerate(of.catalogue.arms())}
    assert found.opens_at(rows["offer@sms"]) == NOW + 23 * HOUR
    assert found.opens_at(rows["offer@email"]) == NOW + 7 * DAY - HOUR
    assert found.opens_at(rows["offer@web"]) == NOW
    forbidden = plan(folder, DAILY, 'mode = "forbid"')
    assert state(forbidden, [slot()]).opens_at(0) is None


def test_a_slate_takes_no_more_than_a_rule_has_room_for(folder: Path) -> None:
    of = plan(folder, "limit = 2\nwindow_days = 1", 'limit = 1\nwindow_days = 1\nscope = "channel"\nof = "sms"')
    arms = [arm.key for arm in of.catalogue.arms()]
    rows = np.arange(len(arms))

    def may_follow(found: ContactState, *taken: str) -> set[str]:
        allowed = found.room_after([arms.index(key) for key in taken], rows)
        return {arm for arm, may in zip(arms, allowed, strict=True) if may}

    assert may_follow(state(of)) == set(arms)
    assert may_follow(state(of), "offer@sms") == set(arms) - {"offer@sms"}
    assert may_follow(state(of), "offer@web") == set(arms)
    assert may_follow(state(of), "offer@email", "extra@email") == {"offer@web", "repair@email", "repair@web"}
    assert may_follow(state(of, [slot()]), "extra@email") == {"offer@web", "repair@email", "repair@web"}


def test_the_plan_says_how_far_back_to_read(folder: Path) -> None:
    assert plan(folder).contacts_back == 0
    assert plan(folder, DAILY).heard_back is None
    of = plan(folder, DAILY, 'counts = "outcome"\noutcome = "rejected"\nlimit = 1\nwindow_days = 30\npause_days = 60')
    assert (of.contacts_back, of.heard_back) == (DAY, 90 * DAY)
    assert plan(folder, 'limit = 1\ncalendar = "month"').contacts_back >= 31 * DAY + HOUR


RULES = (
    "limit = 2\nwindow_seconds = 40000",
    'limit = 2\ncalendar = "day"\nzones = ["Asia/Tokyo", "America/Lima"]',
    'limit = 3\ncalendar = "week"\npause_days = 3',
    "limit = 2\nwindow_days = 1\npause_days = 2",
    'limit = 2\nwindow_days = 2\ncounts = "delivered"',
    'limit = 2\nwindow_days = 3\ncounts = "seen"',
    'scope = "group"\nof = "sell"\ncounts = "outcome"\noutcome = "rejected"\n'
    "limit = 2\nwindow_days = 2\npause_days = 1",
)
agos = st.integers(0, 6 * 24 * 60).map(lambda minutes: minutes * MINUTE)
slots_drawn = st.lists(
    st.builds(
        slot,
        st.sampled_from(["offer@email", "offer@web", "extra@email", "repair@email"]),
        agos,
        st.sampled_from(["reserved", "committed"]),
    ),
    max_size=6,
)
heard_drawn = st.lists(
    st.builds(heard, st.sampled_from(["seen", "rejected"]), st.sampled_from(["offer@email", "extra@email"]), agos),
    max_size=4,
)


@pytest.fixture(scope="module")
def every_rule(tmp_path_factory: pytest.TempPathFactory) -> ContactPlan:
    return plan(tmp_path_factory.mktemp("rules"), *RULES)


@given(
    slots=slots_drawn, more=slots_drawn, said=heard_drawn, also=heard_drawn, zone=st.sampled_from([None, "Asia/Tokyo"])
)
def test_more_contacts_and_outcomes_never_open_anything(
    every_rule: ContactPlan,
    slots: list[ContactSlot],
    more: list[ContactSlot],
    said: list[Heard],
    also: list[Heard],
    zone: str | None,
) -> None:
    few = state(every_rule, slots, said, zone)
    many = state(every_rule, [*slots, *more], [*said, *also], zone)
    assert few.removals.keys() <= many.removals.keys()
    for number, removal in few.removals.items():
        later = many.removals[number].opens_at
        assert later is not None
        assert removal.opens_at is not None
        assert NOW < removal.opens_at <= later


@given(slots=slots_drawn, said=heard_drawn)
def test_a_closed_rule_is_open_at_the_moment_it_named_and_not_before(
    every_rule: ContactPlan, slots: list[ContactSlot], said: list[Heard]
) -> None:
    settled = [replace(one, state="committed") for one in slots]  # a promise may yet expire
    for number, removal in state(every_rule, settled, said).removals.items():
        assert removal.opens_at is not None
        assert number in state(every_rule, settled, said, now=removal.opens_at - 1).removals
        assert number not in state(every_rule, settled, said, now=removal.opens_at).removals


@given(slots=slots_drawn, now=st.integers(NOW, NOW + 400 * DAY))
def test_an_unknown_zone_is_allowed_nothing_that_a_listed_zone_forbids(
    every_rule: ContactPlan, slots: list[ContactSlot], now: int
) -> None:
    moved = [replace(one, reserved_at=one.reserved_at + now - NOW, state="committed") for one in slots]
    number = 1
    closed = [
        number in state(every_rule, moved, zone=zone, now=now).removals for zone in ("Asia/Tokyo", "America/Lima")
    ]
    assert (number in state(every_rule, moved, zone=None, now=now).removals) == any(closed)


def test_without_a_list_of_zones_a_stranger_may_live_anywhere(folder: Path) -> None:
    of = plan(folder, 'limit = 1\ncalendar = "day"')
    for hours in range(1, 22):
        assert state(of, [slot(ago=hours * HOUR)], zone=None).removals != {}
