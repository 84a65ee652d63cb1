"""No outbound contact while the customer's clock shows a quiet time, at every change of clocks in the world to 2030."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import QuietHours
from features.clock import DAY, HOUR, MINUTE, SECOND, parse_time
from features.domain import ActionClass, Stage
from serving.local_time import next_change, unit_around
from serving.quiet_hours import QuietClock, quiet_at, quiet_until

FIRST, LAST = parse_time("2025-01-01"), parse_time("2031-01-01")
#: Across midnight, by day, ends and starts within the hours that clocks skip or repeat.
HOURS = tuple(
    QuietHours("q", start, end)
    for start, end in ((21 * 60, 8 * 60), (12 * 60, 14 * 60), (22 * 60, 150), (150, 9 * 60), (23 * 60 + 30, 30), (0, 1))
)
NEW_YEAR = parse_time("2026-01-01T00:00:00Z")


@cache
def changes(name: str) -> tuple[int, ...]:
    """Every moment from 2025 to 2030 at which the zone's offset changes."""
    zone, found, at = ZoneInfo(name), [], FIRST
    while at < LAST:
        change = next_change(zone, at, at + DAY)
        if change is not None:
            found.append(change)
        at += DAY
    return tuple(found)


def shown(zone: ZoneInfo, at: int) -> int:
    """Minutes after midnight on the clock there, found without any code of ours."""
    clock = datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone)
    return clock.hour * 60 + clock.minute


def is_quiet(hours: QuietHours, zone: ZoneInfo, at: int) -> bool:
    into = (shown(zone, at) - hours.start) % 1440
    return into < (hours.end - hours.start) % 1440


def around(change: int) -> Iterator[int]:
    """Moments before and after a change: each half hour for a day and a half, and the seconds beside it."""
    yield from range(change - 36 * HOUR, change + 12 * HOUR, 30 * MINUTE)
    yield from (change - SECOND, change - 1, change + 1, change + SECOND)


def check(name: str, change: int) -> None:
    zone = ZoneInfo(name)
    for hours in HOURS:
        for at in around(change):
            opens = quiet_until(hours, zone, at)
            assert opens >= at
            assert not is_quiet(hours, zone, opens), (name, hours, at)
            assert (opens == at) == (not is_quiet(hours, zone, at))
            # The earliest: it is quiet just before, and on the way there.
            if opens > at:
                assert is_quiet(hours, zone, opens - 1)
                assert all(is_quiet(hours, zone, step) for step in range(at, opens, 15 * MINUTE))


def distinct() -> list[tuple[str, int]]:
    """One zone for each change of clocks: of zones that change at the same moment by the same steps, the first."""
    seen: dict[tuple[object, ...], tuple[str, int]] = {}
    for name in sorted(available_timezones()):
        for change in changes(name):
            zone = ZoneInfo(name)
            seen.setdefault((change, shown(zone, change - 1), shown(zone, change)), (name, change))
    return list(seen.values())


def test_every_change_of_clocks_from_2025_to_2030_is_quiet_when_the_clock_says_so() -> None:
    every = distinct()
    assert len(every) > 200
    for name, change in every[::7]:
        check(name, change)


@pytest.mark.slow
def test_every_change_of_every_zone() -> None:
    for name in sorted(available_timezones()):
        for change in changes(name):
            check(name, change)


@pytest.mark.parametrize(
    ("zone", "at", "opens"),
    [
        ("Europe/Berlin", "2026-01-10T22:00:00Z", "2026-01-11T07:00:00Z"),
        ("Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"),  # an hour less to sleep
        ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T07:00:00Z"),  # an hour more
        ("Asia/Kathmandu", "2026-01-10T16:00:00Z", "2026-01-11T02:15:00Z"),
        ("UTC", "2026-01-10T07:59:59.999999Z", "2026-01-10T08:00:00Z"),
        ("UTC", "2026-01-10T08:00:00Z", "2026-01-10T08:00:00Z"),
    ],
)
def test_quiet_hours_end_on_the_customers_clock(zone: str, at: str, opens: str) -> None:
    assert quiet_until(HOURS[0], ZoneInfo(zone), parse_time(at)) == parse_time(opens)


def test_an_end_that_the_clock_skips_is_the_moment_of_the_change() -> None:
    until_half_past_two = QuietHours("q", 22 * 60, 150)
    opens = quiet_until(until_half_past_two, ZoneInfo("Europe/Berlin"), parse_time("2026-03-29T00:00:00Z"))
    assert opens == parse_time("2026-03-29T01:00:00Z")  # 2:00 becomes 3:00


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    from_two_to_half_past = QuietHours("q", 120, 150)
    zone = ZoneInfo("Europe/Berlin")
    first, second = parse_time("2026-10-25T00:15:00Z"), parse_time("2026-10-25T01:15:00Z")
    assert [quiet_at(from_two_to_half_past, zone, at) for at in (first, first + 30 * MINUTE, second)] == [
        True,
        False,
        True,
    ]


def clock(rules: list[QuietHours], zone: str | None, at: int = NEW_YEAR) -> QuietClock:
    return QuietClock(rules, zone, at)


def test_a_removal_tells_the_clock_the_hours_and_when_they_end() -> None:
    removal = clock([QuietHours("night", 21 * 60, 8 * 60)], "America/New_York", NEW_YEAR + 5 * HOUR).removal(
        "email", "marketing"
    )
    assert removal is not None
    assert (removal.stage, removal.rule, removal.seen) == (
        Stage.CONTACT_POLICY,
        "night",
        "00:00 in America/New_York",
    )
    assert removal.opens_at == NEW_YEAR + 13 * HOUR
    assert removal.limit == "quiet 21:00-08:00; open again 2026-01-01T13:00:00.000000Z"


def test_quiet_hours_hold_for_their_channels_and_classes_only() -> None:
    rules = [
        QuietHours("sms", 0, 600, channels=("sms",)),
        QuietHours("law", 0, 60, action_class=ActionClass.REGULATORY),
    ]
    quiet = clock(rules, "UTC", NEW_YEAR + 2 * HOUR)
    assert quiet.removal("sms", "marketing") is not None
    assert quiet.removal("sms", "service") is None
    assert quiet.removal("email", "marketing") is None
    assert clock(rules, "UTC").removal("email", "regulatory") is not None


def test_where_several_rules_match_all_must_allow() -> None:
    rules = [QuietHours("night", 21 * 60, 8 * 60), QuietHours("morning", 8 * 60, 10 * 60)]
    assert clock(rules, "UTC").opens_at("email", "marketing", NEW_YEAR) == NEW_YEAR + 10 * HOUR


def test_rules_that_leave_no_gap_never_open() -> None:
    rules = [QuietHours("night", 20 * 60, 8 * 60), QuietHours("day", 8 * 60, 20 * 60)]
    quiet = clock(rules, "UTC")
    assert quiet.opens_at("email", "marketing", NEW_YEAR) is None
    removal = quiet.removal("email", "marketing")
    assert removal is not None
    assert removal.opens_at is None


def test_without_a_zone_and_without_a_list_it_is_night_somewhere() -> None:
    rules = [QuietHours("night", 21 * 60, 8 * 60)]
    for hour in range(24):
        assert clock(rules, None, NEW_YEAR + hour * HOUR).removal("email", "marketing") is not None


ZONES = ("Europe/Lisbon", "Europe/Helsinki", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe")
minutes = st.integers(0, 1439)


@given(
    at=st.integers(FIRST, LAST),
    spans=st.lists(st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=3),
    listed=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    unknown=st.sampled_from([None, "", "Mars/Olympus"]),
)
def test_an_unknown_zone_is_quiet_exactly_when_one_of_those_listed_is(
    at: int, spans: list[tuple[int, int]], listed: list[str], unknown: str | None
) -> None:
    rules = [QuietHours(f"q{n}", *span, zones=tuple(listed)) for n, span in enumerate(spans)]
    quiet = [clock(rules, zone, at).removal("email", "marketing") is not None for zone in listed]
    stranger = clock(rules, unknown, at)
    assert (stranger.removal("email", "marketing") is not None) == any(quiet)
    opens = stranger.opens_at("email", "marketing", at)
    if opens is not None:
        assert opens >= at
        assert not any(is_quiet(rule, ZoneInfo(zone), opens) for rule in rules for zone in listed)


@pytest.mark.parametrize(
    ("zone", "at", "unit", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "day", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "day", 25),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "week", 167),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "month", 31 * 24 + 1),
        ("Africa/Cairo", "2026-04-24T12:00:00Z", "day", 23),  # clocks skip midnight itself
        ("UTC", "2026-02-10T12:00:00Z", "month", 28 * 24),
    ],
)
def test_days_weeks_and_months_are_as_long_as_the_clock_makes_them(zone: str, at: str, unit: str, hours: int) -> None:
    start, end = unit_around(parse_time(at), unit, ZoneInfo(zone))
    assert (end - start) == hours * HOUR
    assert start <= parse_time(at) < end


def test_days_follow_each_other_without_gap_across_every_change_of_clocks() -> None:
    for name, change in distinct():
        zone = ZoneInfo(name)
        end = unit_around(change - DAY, "day", zone)[1]
        while end < change + DAY:
            start, after = unit_around(end, "day", zone)
            assert start == end, (name, change)
            assert unit_around(end - 1, "day", zone)[1] == end, (name, change)
            assert 22 * HOUR <= after - start <= 26 * HOUR  # Troll moves by two hours
            end = after
