"""Foreign times: epochs, offsets from a start, ISO text, dates by a format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from features.catalogue.entry import Entry, Wrong
from features.clock import CLOCK_SKEW, DAY, HOUR, LATEST, MINUTE, SECOND, format_time, from_datetime
from features.importing.kinds import BadValue, Kind, as_number, as_zone, plain

EPOCHS = {"epoch_seconds": SECOND, "epoch_milliseconds": 1_000, "epoch_microseconds": 1}
OFFSETS = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}
ISO = "iso"
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
        moment = self.since + _scaled(value, unit) if unit else _written(value, self.time, self.zone)
        if not EARLIEST <= moment <= LATEST:
            raise BadValue(f"{value!r} is beyond the years 1 to 9999")
        return moment


def _scaled(value: Any, unit: int) -> int:
    """Exact for whole numbers, also those written as text; else to the nearest microsecond."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value * unit
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
        return int(value) * unit
    return round(as_number(value) * unit)


def _written(value: Any, form: str, zone: str) -> int:
    if isinstance(value, datetime):  # Parquet has real times
        return from_datetime(value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone)))
    if isinstance(value, date):
        return from_datetime(datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(zone)))
    if form == ISO and not isinstance(value, str):
        raise BadValue(f"{value!r} is a number; say time = one of {', '.join([*EPOCHS, *OFFSETS])}")
    return _parsed(plain(value), form, zone)


@lru_cache(maxsize=8_192)
def _parsed(text: str, form: str, zone: str) -> int:
    try:
        moment = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, OverflowError) as error:
        wanted = "like 2026-01-31T00:00:00Z" if form == ISO else f"of the form {form}"
        raise BadValue(f"{text!r} is not a time {wanted}") from error


TIME = Kind("time", Clock().microseconds, is_time=True)


#: Times at which something has happened; others, as the dates of an offer, may well lie ahead.
_PAST = ("occurred_at", "decided_at", "created_at")


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
    if time not in (ISO, *EPOCHS, *OFFSETS) and "%" not in time:
        known = ", ".join([ISO, *EPOCHS, *OFFSETS])
        raise Wrong("time", f"must be one of {known}, or a form like %Y-%m-%d, not {time!r}")
    if (time in OFFSETS) != (since is not None):
        raise Wrong("since", f"time = {time!r} {'needs' if time in OFFSETS else 'takes no'} since")
    try:
        as_zone(zone)
    except BadValue as bad:
        raise Wrong("zone", str(bad)) from bad
    return Clock(time, since or 0, zone)
