"""When not to contact: quiet hours on the customer's clock, and the moment they end.

Pure wall-clock: what counts is what the clock shows there, so hours that a change of clocks skips or repeats are quiet
exactly when the clock shows a quiet time. For a customer whose zone is unknown it is quiet when it is in any zone
listed, or, where none is, in any zone of the home's other customers, or, where none is known, anywhere on Earth; where
several rules match, all must allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from features.catalogue import QuietHours, covers
from features.clock import DAY, MINUTE, SECOND, format_time
from features.domain import Removal, Stage
from serving.local_time import local, next_change, zones_of

#: Rules that leave no gap within so long never will: they repeat every day.
SEARCH = 3 * DAY
#: A rule, and the zones in which it has to allow.
Pair = tuple[QuietHours, tuple[ZoneInfo, ...]]


def quiet_at(hours: QuietHours, zone: ZoneInfo, at: int) -> bool:
    """Whether the clock there shows a quiet time."""
    clock = local(at, zone)
    minute = clock.hour * 60 + clock.minute
    if hours.start < hours.end:
        return hours.start <= minute < hours.end
    return minute >= hours.start or minute < hours.end


def quiet_until(hours: QuietHours, zone: ZoneInfo, at: int) -> int:
    """The first moment from `at` on that is not quiet there."""
    while quiet_at(hours, zone, at):
        clock = local(at, zone)
        into = clock.second * SECOND + at % SECOND
        minutes = (hours.end - clock.hour * 60 - clock.minute) % 1440
        ahead = at - into + minutes * MINUTE
        # A change of clocks on the way may skip the end, or bring quiet time back.
        at = next_change(zone, at, ahead) or ahead
    return at


class QuietClock:
    """The quiet hours of one customer at one moment, looked at once for each channel and class."""

    def __init__(
        self, rules: Sequence[QuietHours], customer_zone: str | None, now: int, home: tuple[str, ...] | None = None
    ) -> None:
        """`home` are the zones of the home's other customers, where the customer's own is unknown; None in decisions
        of before they were asked for."""
        self._rules = [(rule, zones_of(customer_zone, rule.zones or home or ())) for rule in rules]
        self._now, self._home = now, home
        self._known: dict[tuple[Pair, ...], Removal | None] = {}

    def removal(self, channel: str, action_class: str) -> Removal | None:
        """Why an outbound channel is quiet now for actions of this class, None where it is not."""
        if not self._rules:
            return None
        pairs = self._concerned(channel, action_class)
        if pairs not in self._known:
            self._known[pairs] = self._find(pairs)
        return self._known[pairs]

    def opens_at(self, channel: str, action_class: str, at: int) -> int | None:
        """The first moment from `at` on at which every rule allows it in every zone.

        Where there is none, it is worth asking again when the night of now is over wherever it is; None in decisions of
        before that was said.
        """
        pairs = self._concerned(channel, action_class)
        opens = all_open(pairs, at)
        return nights_over(pairs, at) if opens is None and self._home is not None else opens

    def ends(self, at: int) -> int | None:
        """The first moment at which all rules allow everything; None where there is none."""
        return all_open(self._rules, at)

    def _concerned(self, channel: str, action_class: str) -> tuple[Pair, ...]:
        """The rules for this channel and class, each with the zones to ask."""
        return tuple(
            (rule, zones)
            for rule, zones in self._rules
            if (not rule.channels or channel in rule.channels) and covers(rule.action_class, action_class)
        )

    def _find(self, pairs: tuple[Pair, ...]) -> Removal | None:
        for rule, zones in pairs:
            for zone in zones:
                if quiet_at(rule, zone, self._now):
                    opens = all_open(pairs, self._now)
                    again = "" if opens is None else f"; open again {format_time(opens)}"
                    if opens is None and self._home is not None:
                        again = ", which it always is in one of the zones they may live in"
                    seen = f"{local(self._now, zone):%H:%M} in {zone.key}"
                    return Removal(Stage.CONTACT_POLICY, rule.id, seen, f"quiet {rule.hours}{again}", opens)
        return None


def nights_over(pairs: Sequence[Pair], at: int) -> int:
    """When what is quiet at that moment is quiet no more, each rule in each of its zones by itself."""
    return max(quiet_until(rule, zone, at) for rule, zones in pairs for zone in zones)


def all_open(pairs: Sequence[Pair], at: int) -> int | None:
    """The first moment from `at` on at which no rule is quiet in any of its zones; None where there is none."""
    end = at + SEARCH
    while at < end:
        later = at
        for rule, zones in pairs:
            for zone in zones:
                later = quiet_until(rule, zone, later)
        if later == at:
            return at
        at = later
    return None
