"""Time: one unit everywhere, whole microseconds since 1970 in UTC, and ISO 8601 text on the wire.

Integers are stored and compared exactly on every database; `datetime` objects are never handed to sqlite3, because
Feast registers a process-wide adapter that would turn them into something else.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Clocks of others may run this far ahead of ours; what is dated later has not happened.
CLOCK_SKEW = 5 * MINUTE

# 9999-12-31: the last time ISO 8601 with a four-digit year can say.
LATEST = 253_402_300_799 * SECOND


def now() -> int:
    """The present, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def parse_time(text: str) -> int:
    """Microseconds since 1970 UTC of an ISO 8601 time; a time without a zone is taken as UTC.

    >>> parse_time("1970-01-02T00:00:00Z") == DAY
    True
    >>> parse_time("2026-01-01T01:00:00+01:00") == parse_time("2026-01-01T00:00:00")
    True

    Raises ValueError for anything else.
    """
    return from_datetime(datetime.fromisoformat(text))


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 UTC; exact, because it never passes through a float.

    Raises ValueError for the first hours of the year 1 and the last of 9999 where their zone takes them out of these.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        since = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{moment.isoformat()} is beyond the years 1 to 9999 in UTC") from error
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def to_datetime(microseconds: int) -> datetime:
    """The same moment as an aware `datetime` in UTC."""
    seconds, rest = divmod(microseconds, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def format_time(microseconds: int) -> str:
    """ISO 8601 in UTC, as the wire has it.

    >>> format_time(DAY + 1)
    '1970-01-02T00:00:00.000001Z'
    """
    return to_datetime(microseconds).isoformat(timespec="microseconds").replace("+00:00", "Z")
