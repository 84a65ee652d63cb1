"""From TOML tables to contact rules and quiet hours."""

from __future__ import annotations

from datetime import time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.catalogue.entry import Entry, shown
from features.catalogue.limits import CALENDARS, CLASSES, COUNTS, SCOPES, ContactRule, QuietHours
from features.domain import ActionClass, OutcomeKind

EFFECTS = ("block", "pause")
MODES = ("limit", "forbid")


def contact_rule(identifier: str, entry: Entry) -> ContactRule:
    """One `[[contact_policy]]`."""
    scope = entry.choice("scope", SCOPES, "all")
    of = entry.take("of", str, "") or None
    if scope == "all" and of is not None and not entry.told("scope"):
        entry.wrong("of", "scope 'all' takes no 'of'")
    if scope != "all" and of is None and not entry.told("of"):
        entry.wrong("scope", f"scope {scope!r} needs an 'of'")
    action_class = ActionClass(entry.choice("class", CLASSES, ActionClass.MARKETING))
    if entry.choice("mode", MODES, "limit") == "forbid":
        if entry.take("limit", int, 0) != 0:
            entry.wrong("limit", "mode 'forbid' is a limit of 0; leave it out, or leave the mode out")
        for key in ("window_seconds", "window_days"):  # for ever, whatever they say
            entry.number(key, 0.0, at_least=0.0)
        return ContactRule(identifier, scope, 0, 0, of, action_class)
    limit = entry.take("limit", int, None)
    if limit < 1:
        entry.wrong("limit", 'at least 1; to forbid contacts altogether say mode = "forbid"')
    counts, outcome = _counted(entry)
    seconds, calendar = _window(entry)
    pause_days = _pause(entry)
    return ContactRule(
        identifier, scope, limit, seconds, of, action_class, counts, outcome, calendar, pause_days, _zones(entry)
    )


def _counted(entry: Entry) -> tuple[str, str | None]:
    counts = entry.choice("counts", COUNTS, "decided")
    if counts == "outcome":
        return counts, entry.choice("outcome", tuple(OutcomeKind), None)
    outcome = entry.take("outcome", str, "")
    if outcome and not entry.told("counts"):
        entry.wrong("outcome", 'only counts = "outcome" has one')
    return counts, None


def _window(entry: Entry) -> tuple[int, str | None]:
    """(seconds, None) of a rolling window, (0, unit) of a calendar one."""
    seconds = entry.number("window_seconds", 0.0, at_least=0.0)
    seconds += 86_400 * entry.number("window_days", 0.0, at_least=0.0)
    if "calendar" in entry.values:
        if seconds:
            entry.wrong("calendar", "give either calendar or window_seconds or window_days")
        return 0, entry.choice("calendar", CALENDARS, None)
    if not 1 <= seconds <= 3_660 * 86_400 and not entry.told("window_seconds", "window_days"):
        entry.wrong(
            "window_seconds", "give window_seconds, window_days or calendar: a second at least, ten years at most"
        )
    return int(seconds), None


def _pause(entry: Entry) -> float:
    days = entry.number("pause_days", 0.0, at_least=0.0)
    effect = entry.choice("effect", EFFECTS, "pause" if days else "block")
    if entry.told("effect"):
        return days
    if effect == "pause" and not 0 < days <= 3_660:
        entry.wrong("pause_days", "effect 'pause' needs pause_days, above 0 and ten years at most")
    if effect == "block" and days:
        entry.wrong("pause_days", 'only effect = "pause" has it')
    return days


def quiet_hours(identifier: str, entry: Entry) -> QuietHours:
    """One `[[quiet_hours]]`."""
    start, end = _minute(entry, "start"), _minute(entry, "end")
    if start == end and not entry.told("start", "end"):
        entry.wrong("end", "start and end are the same; to forbid contacts altogether use a contact_policy")
    channels = tuple(entry.items("channels", str))
    action_class = ActionClass(entry.choice("class", CLASSES, ActionClass.MARKETING))
    return QuietHours(identifier, start, end, channels, _zones(entry), action_class)


def _minute(entry: Entry, key: str) -> int:
    """Minutes after midnight of `"21:30"`, or of TOML's own 21:30:00."""
    value: Any = entry.take(key, object, None)
    try:
        at = value if isinstance(value, time) else time.fromisoformat(value)
    except (TypeError, ValueError):
        at = None
    if at is None or at.second or at.microsecond or at.tzinfo is not None:
        entry.wrong(key, f'must be a time of day like "21:30", not {shown(value)}')
        return 0
    return at.hour * 60 + at.minute


def _zones(entry: Entry) -> tuple[str, ...]:
    zones = tuple(entry.items("zones", str))
    for zone in zones:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            entry.wrong("zones", f'no time zone {zone!r}; write one like "Europe/Berlin"')
    return zones
