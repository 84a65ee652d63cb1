"""A customer's clock and calendar: time zones, their changes, and the days, weeks and months they divide time into."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.clock import SECOND, from_datetime


@lru_cache(maxsize=1024)
def zone_named(name: str | None) -> ZoneInfo | None:
    """The zone, or None for none and for a name that is no zone's."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


#: Every whole-hour offset in use: where somebody may be of whom we know nothing.
ANYWHERE = tuple(f"Etc/GMT{'+' if hours >= 0 else '-'}{abs(hours)}" for hours in range(-14, 13))


def zones_of(customer_zone: str | None, listed: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    """The customer's zone; where it is unknown the zones listed; without any, every hour of the Earth."""
    known = zone_named(customer_zone)
    if known is not None:
        return (known,)
    return tuple(ZoneInfo(name) for name in listed or ANYWHERE)


def local(at: int, zone: ZoneInfo) -> datetime:
    """What clock and calendar show there, to the second."""
    return datetime.fromtimestamp(at // SECOND, zone)


def next_change(zone: ZoneInfo, after: int, until: int) -> int | None:
    """The moment in (after, until] at which clocks are put forward or back, None where there is none.

    `until` is at most a day or so later: two changes that undo each other in between would be missed.
    """
    low, high = after // SECOND, -(-until // SECOND)
    offset = local(after, zone).utcoffset()
    if datetime.fromtimestamp(high, zone).utcoffset() == offset:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high * SECOND if high * SECOND <= until else None


def unit_around(at: int, unit: str, zone: ZoneInfo) -> tuple[int, int]:
    """[start, end) of the calendar day, week (from Monday) or month around a moment, as the zone's calendar has it."""
    today = local(at, zone).replace(hour=0, minute=0, second=0, tzinfo=None, fold=0)
    if unit == "week":
        first = today - timedelta(days=today.weekday())
        last = first + timedelta(days=7)
    elif unit == "month":
        first = today.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1)
    else:
        first, last = today, today + timedelta(days=1)
    return _first_moment(first, zone), _first_moment(last, zone)


def _first_moment(midnight: datetime, zone: ZoneInfo) -> int:
    """When a day begins: at its first midnight, or where clocks skip midnight, at the change."""
    moment = from_datetime(midnight.replace(tzinfo=zone))
    if local(moment, zone).replace(tzinfo=None) == midnight:
        return moment
    # Midnight does not exist that day: read with the offset before the change it lies past it, by the gap.
    day = 86_400 * SECOND
    change = next_change(zone, moment - day, moment)
    return moment if change is None else change
