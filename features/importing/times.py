"""Foreign times: epochs, offsets from a start, ISO text, dates by a format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from features.catalogue.entry import Entry, Wrong
from features.clock import CLOCK_SKEW, DAY, HOUR, LATEST, MINUTE, SECOND, format_time, from_datetime
from features.importing.cells import BadValue, plain, shown
from features.importing.kinds import Kind, as_number, as_zone

#: Microseconds in one of each.
EPOCHS: dict[str, int | Fraction] = {
    "epoch_seconds": SECOND,
    "epoch_milliseconds": 1_000,
    "epoch_microseconds": 1,
    "epoch_nanoseconds": Fraction(1, 1_000),
}
OFFSETS = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}
ISO = "iso"
#: In which an epoch is likely to fall: 1980 to 2100.
_LIKELY = 315_532_800 * SECOND, 4_102_444_800 * SECOND
#: The days 1980 to 2100 as spreadsheets number them.
_SERIALS = 29_221, 73_051
#: More than there are nanoseconds from the year 1 to 9999.
_TOO_MANY = 10**21
#: 0001-01-01, the earliest time ISO 8601 with a four-digit year can say.
EARLIEST = -62_135_596_800 * SECOND


@dataclass(frozen=True, slots=True)
class Clock:
    """How a column says time. `time` is "iso", one of EPOCHS or OFFSETS, or a format with % as strptime has it.

    `since` is where offsets start; `zone` is that of times that name none.
    """

    time: str = ISO
    since: int = 0
    zone: str = "UTC"

    def microseconds(self, value: Any) -> int:
        """Microseconds since 1970 UTC. Raises BadValue."""
        unit = EPOCHS.get(self.time) or OFFSETS.get(self.time)
        if unit is None:
            return _written(value, self.time, self.zone)
        count = _count(value)
        moment = self.since + round(count * unit)
        if self.time in EPOCHS:
            likely = _other_unit(count, moment)
            if likely is not None:
                raise BadValue(f"{shown(value)} as {self.time} is {_year(moment)}; it looks like {likely}")
        return _within(moment, value)


def _within(moment: int, value: Any) -> int:
    if not EARLIEST <= moment <= LATEST:
        raise BadValue(f"{shown(value)} is beyond the years 1 to 9999")
    return moment


def _count(value: Any) -> Any:
    """The number, exact for whole ones, also those written as text, and for decimals: int, float or Fraction."""
    count: Any = value
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
        count = int(value)
    elif isinstance(value, Decimal) and value.is_finite():
        count = Fraction(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        count = as_number(value)
    if not -_TOO_MANY < count < _TOO_MANY:
        raise BadValue(f"{shown(value)} is beyond the years 1 to 9999")
    return count


def _other_unit(count: float | Fraction, moment: int) -> str | None:
    """The unit in which an epoch was more likely meant, where it falls into 1970 or beyond the year 9999."""
    suspect = 0 <= moment < 365 * DAY or moment > LATEST
    return _likely(Fraction(count)) if suspect else None


def _likely(count: Fraction) -> str | None:
    """The unit in which an epoch falls into times that people have data of."""
    return next((name for name, unit in EPOCHS.items() if _LIKELY[0] <= count * unit < _LIKELY[1]), None)


def _year(moment: int) -> str:
    return "in 1970" if 0 <= moment <= LATEST else "beyond the year 9999"


def _written(value: Any, form: str, zone: str) -> int:
    if isinstance(value, datetime):  # Parquet has real times
        return _moment(value, value, zone)
    if isinstance(value, date):
        return _moment(datetime(value.year, value.month, value.day), value, zone)
    if form == ISO and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        raise BadValue(f"{shown(value)} is a number, not a time; {_advice(value)}")
    return _parsed(plain(value), form, zone)


@lru_cache(maxsize=8_192)
def _parsed(text: str, form: str, zone: str) -> int:
    try:
        moment = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)
    except (ValueError, OverflowError) as error:
        wanted = "like 2026-01-31T00:00:00Z" if form == ISO else f"of the form {form}"
        advice = f"; {_advice(int(text))}" if form == ISO and text.isdecimal() and len(text) < 20 else ""
        raise BadValue(f"{shown(text)} is not a time {wanted}{advice}") from error
    return _moment(moment, text, zone)


def _moment(moment: datetime, value: Any, zone: str) -> int:
    try:
        return _within(from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))), value)
    except ValueError as error:  # its zone takes it out of them
        raise BadValue(f"{shown(value)} is beyond the years 1 to 9999 in UTC") from error


def _advice(number: float | Decimal) -> str:
    """What to say in the mapping of a number that was taken for an ISO time."""
    if not _SERIALS[0] <= number < _TOO_MANY:
        return f"say time = one of {', '.join([*EPOCHS, *OFFSETS])}"
    likely = _likely(Fraction(number))
    if likely is not None:
        return f'say time = "{likely}"'
    if _SERIALS[0] <= number < _SERIALS[1]:
        return 'it looks like the day of a spreadsheet: say time = "days", since = 1899-12-30'
    return f"say time = one of {', '.join([*EPOCHS, *OFFSETS])}"


TIME = Kind("time", Clock().microseconds, is_time=True)


#: Times at which something has happened; others, as the dates of an offer, may well lie ahead.
_PAST = ("occurred_at", "decided_at", "created_at", "said_at")


def refuse_future(fields: Mapping[str, Any], now: int) -> None:
    """Raises BadValue for a fact that is yet to come."""
    for name in _PAST:
        if fields.get(name, now) > now + CLOCK_SKEW:
            raise BadValue(f"{name}: {format_time(fields[name])} lies in the future")


def read_clock(entry: Entry) -> Clock:
    """The keys `time`, `since`, `zone` of a value. Raises Wrong."""
    time = entry.take("time", str, ISO)
    zone = entry.take("zone", str, "UTC")
    since = entry.time("since")
    if time not in (ISO, *EPOCHS, *OFFSETS) and not _is_form(time):
        known = ", ".join([ISO, *EPOCHS, *OFFSETS])
        raise Wrong("time", f"must be one of {known}, or a form like %Y-%m-%d, not {time!r}")
    if (time in OFFSETS) != (since is not None):
        raise Wrong("since", f"time = {time!r} {'needs' if time in OFFSETS else 'takes no'} since")
    try:
        as_zone(zone)
    except BadValue as bad:
        raise Wrong("zone", str(bad)) from bad
    return Clock(time, since or 0, zone)


def _is_form(text: str) -> bool:
    """Whether `strptime` knows every sign of it: it reads back what the form makes of a time."""
    try:
        return "%" in text and bool(datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(text), text))
    except (ValueError, re.error):
        return False
