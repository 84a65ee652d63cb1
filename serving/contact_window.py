"""The span of time in which a contact rule counts: the last seconds, or a calendar unit of the customer's zone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from features.catalogue import ContactRule
from features.clock import SECOND
from serving.local_time import unit_around, zones_of


class Window(Protocol):
    """A rule's window as of one moment. `moments` are in order of time."""

    def count(self, moments: Sequence[int]) -> int:
        """How many lie in it."""

    def opens_at(self, moments: Sequence[int], limit: int) -> int | None:
        """When it will hold fewer than `limit`; None where it does already."""

    def last_reached(self, moments: Sequence[int], limit: int) -> int | None:
        """The last moment at which a window that ended there held `limit`; None where none did."""


class Rolling:
    """The last `length` microseconds: what happened exactly so long ago counts no more."""

    def __init__(self, length: int, now: int) -> None:
        self._length, self._now = length, now

    def count(self, moments: Sequence[int]) -> int:
        return len(moments) - bisect_right(moments, self._now - self._length)

    def opens_at(self, moments: Sequence[int], limit: int) -> int | None:
        return moments[-limit] + self._length if self.count(moments) >= limit else None

    def last_reached(self, moments: Sequence[int], limit: int) -> int | None:
        for last in range(len(moments) - 1, limit - 2, -1):
            if moments[last] - moments[last - limit + 1] < self._length:
                return moments[last]
        return None


class Calendar:
    """A day, week or month in each of some zones: what any of them forbids is forbidden."""

    def __init__(self, unit: str, zones: Sequence[ZoneInfo], now: int) -> None:
        self._unit, self._zones = unit, zones
        self._around = [unit_around(now, unit, zone) for zone in zones]

    def count(self, moments: Sequence[int]) -> int:
        return max(len(moments) - bisect_left(moments, start) for start, _ in self._around)

    def opens_at(self, moments: Sequence[int], limit: int) -> int | None:
        closed = [end for start, end in self._around if len(moments) - bisect_left(moments, start) >= limit]
        return max(closed, default=None)

    def last_reached(self, moments: Sequence[int], limit: int) -> int | None:
        for last in range(len(moments) - 1, limit - 2, -1):
            first = moments[last - limit + 1]
            if any(unit_around(moments[last], self._unit, zone)[0] <= first for zone in self._zones):
                return moments[last]
        return None


def window_of(rule: ContactRule, customer_zone: str | None, now: int) -> Window:
    """The rule's window as of now."""
    if rule.calendar is None:
        return Rolling(rule.window_seconds * SECOND, now)
    return Calendar(rule.calendar, zones_of(customer_zone, rule.zones), now)
