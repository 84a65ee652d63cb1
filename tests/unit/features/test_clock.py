"""Time is whole microseconds, exact in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import DAY, LATEST, format_time, from_datetime, now, parse_time, to_datetime

EARLIEST = -62_135_596_800_000_000  # 0001-01-01


@given(st.integers(EARLIEST, LATEST))
def test_every_microsecond_survives_text_and_datetime(microseconds: int) -> None:
    assert parse_time(format_time(microseconds)) == microseconds
    assert from_datetime(to_datetime(microseconds)) == microseconds


@given(st.integers(0, LATEST // 2), st.integers(0, LATEST // 2))
def test_text_sorts_as_time_does(one: int, other: int) -> None:
    assert (one < other) == (format_time(one) < format_time(other))


def test_a_zone_is_taken_into_account_and_none_means_utc() -> None:
    there = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert from_datetime(there) == from_datetime(datetime(2026, 1, 1, tzinfo=UTC)) == parse_time("2026-01-01")


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-01-01T25:00", "10000-01-01"])
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_the_present_is_between_this_code_and_the_end_of_the_calendar() -> None:
    assert parse_time("2025-01-01") < now() < LATEST
    assert DAY == 86_400_000_000


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:00:00-05:00"])
def test_a_time_that_its_zone_takes_beyond_the_years_is_a_wrong_value_like_any_other(text: str) -> None:
    with pytest.raises(ValueError, match="beyond the years 1 to 9999"):
        parse_time(text)
