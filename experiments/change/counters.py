"""Features that count contacts and answers, moved from the recorded history to the simulated one.

A recorded value is moved by what sets the histories apart: contacts made by the simulation alone count more, recorded
ones that never were count less. Where nothing sets them apart the values are the record's. Names and windows are those
of `features.contract`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from experiments.change.history import Contact, History
from features.clock import DAY
from features.facts import ACCEPTED, REJECTED
from features.names import fitted, joined

SINCE_LAST = "days_since_last_contact"
#: What a fact of a kind counts for: names of features, `{}` the channel or group, with their windows in days.
_COUNTS: Mapping[str, Sequence[tuple[str, int]]] = {
    "contact": (("contacts_7d", 7), ("contacts_30d", 30), ("contacts_{}_30d", 30)),
    "accept": (("accepts_30d", 30), ("accepts_90d", 90), ("accepts_{}_90d", 90)),
    "reject": (("rejects_30d", 30),),
}
_VERDICT: Mapping[str, str] = {str(k): "accept" for k in ACCEPTED} | {str(k): "reject" for k in REJECTED}


def moved(features: Mapping[str, float | None], history: History, now: int) -> Mapping[str, float | None]:
    """The features as the simulated history has them at `now`; a count that is not known stays so."""
    if not history.differs:
        return features
    changes: Counter[str] = Counter()
    for contact in history.contacts:
        if not contact.as_recorded:
            changes.update(_counted(contact, now, features))
    for contact in history.undone.values():
        changes.subtract(_counted(contact, now, features))
    values = dict(features)
    for name, change in changes.items():
        before = values.get(name)
        if before is not None:
            # A feature that was computed before the contact that never was did not count it.
            values[name] = max(0.0, before + change)
    if SINCE_LAST in values:
        values[SINCE_LAST] = _since_last(values[SINCE_LAST], history, now)
    return values


def _counted(contact: Contact, now: int, features: Mapping[str, float | None]) -> Iterator[str]:
    """The names of the features in whose windows a contact and its answers lie, once for each time they count."""
    slot = contact.slot
    for kind, at in _facts(contact, now):
        for name, days in _COUNTS[kind]:
            if 0 < now - at <= days * DAY:
                for called, once_called in _names(name, slot.arm.channel, slot.action_group):
                    yield called if called in features else once_called


@lru_cache(1_024)
def _names(name: str, channel: str, group: str) -> tuple[tuple[str, str], ...]:
    """Each once, with what earlier versions called it: where channel and group have one name, the feature of that name
    is the channel's."""
    kind, _, window = name.partition("_{}_")
    if not window:
        return ((name, name),)
    return tuple(
        (fitted(f"{joined(kind, value)}_{window}"), re.sub(r"[^a-z0-9_]", "_", name.format(value).lower())[:100])
        for value in dict.fromkeys((channel, group))
    )


def _facts(contact: Contact, now: int) -> Iterator[tuple[str, int]]:
    """The contact itself, and the first answer of each verdict known by now."""
    yield "contact", contact.slot.reserved_at
    told = {}
    for known_at, heard in sorted(contact.heard, key=lambda one: one[0], reverse=True):
        if known_at < now and heard.kind in _VERDICT:
            told[_VERDICT[heard.kind]] = heard.occurred_at
    yield from told.items()


def _since_last(recorded: float | None, history: History, now: int) -> float | None:
    """Days; None where nobody was ever contacted. The recorded value counts unless its contact never was."""
    made = [one.slot.reserved_at for one in history.contacts if one.slot.reserved_at < now]
    undone = [one.slot.reserved_at for one in history.undone.values() if one.slot.reserved_at < now]
    happened = [one.slot.reserved_at for one in history.contacts if one.as_recorded and one.slot.reserved_at < now]
    never_was = bool(undone) and max(undone) > max(happened, default=0)
    found = [] if recorded is None or never_was else [recorded]
    found += [(now - max(made)) / DAY] if made else []
    return min(found, default=None)
