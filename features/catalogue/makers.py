"""From one TOML table to one value of the catalogue, or a complaint that names the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from features.catalogue.entry import Entry, Wrong, is_number, shown
from features.catalogue.limit_makers import contact_rule, quiet_hours
from features.catalogue.reward_makers import reward_keys, window_days
from features.catalogue.values import REPORTS, Action, Channel, Content, ContextWeight, Group, Intent, Treatment
from features.domain import DO_NOTHING, ActionClass, OutcomeKind

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
#: Of content: as treatments name it, most often with slashes.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}")
_RESERVED = {DO_NOTHING.action: "doing nothing is always a candidate", DO_NOTHING.channel: "it is doing nothing's"}


def make_entry(section: str, table: dict[str, Any]) -> Any:
    """The value of one table of a section: a Channel, an Action, ... Raises Wrong."""
    made, faults = check_entry(section, table)
    if faults:
        raise faults[0]
    return made


def check_entry(section: str, table: dict[str, Any]) -> tuple[Any, list[Wrong]]:
    """The same, and everything that is wrong with the table; a default stands in for it."""
    faults: list[Wrong] = []
    entry = Entry(table, faults=faults)
    identifier = table.get("id")
    shape, more = (_KEY, ", '/'") if section == "content" else (_ID, "")
    if not isinstance(identifier, str) or not shape.fullmatch(identifier):
        entry.wrong("id", f"an id of letters, digits, '_', '-', '.'{more}, at most 128, is needed")
        identifier = ""
    if identifier in _RESERVED:
        entry.wrong("id", f"this id is taken: {_RESERVED[identifier]}")
    made = MAKERS[section](identifier, entry)
    entry.finish()
    return made, faults


def _channel(identifier: str, entry: Entry) -> Channel:
    return Channel(
        identifier,
        entry.take("outbound", bool, True),
        entry.number("cost", 0.0, at_least=0.0),
        entry.choice("reports", REPORTS, "acceptances"),
        entry.take("reports_display", bool, False),
        entry.number("display_days", 3.0, at_least=0.0),
    )


def _group(identifier: str, entry: Entry) -> Group:
    return Group(identifier, entry.take("name", str, ""), entry.take("exclusive", bool, False))


def _action(identifier: str, entry: Entry) -> Action:
    action = Action(
        id=identifier,
        group=entry.take("group", str, None),
        action_class=ActionClass(entry.choice("class", tuple(ActionClass), ActionClass.MARKETING)),
        name=entry.take("name", str, identifier),
        value=entry.number_or_text("value", 1.0),
        cost=entry.number("cost", 0.0, at_least=0.0),
        lever=entry.number("lever", 0.0, at_least=-100.0),
        outcome=entry.choice("outcome", tuple(OutcomeKind), OutcomeKind.ACCEPTED),
        window_days=window_days(entry, 7.0),
        starts_at=entry.time("starts_at"),
        ends_at=entry.time("ends_at"),
        eligible=entry.take("eligible", str, "") or None,
        applicable=entry.take("applicable", str, "") or None,
        suitable=entry.take("suitable", str, "") or None,
        placements=tuple(entry.items("placements", str)),
        attributes=_scalars(entry, "attributes"),
        treatments=tuple(_treatment(one, entry) for one in entry.items("treatment", dict)),
        purpose=entry.take("purpose", str, "") or None,
        **reward_keys(entry),
    )
    if action.starts_at is not None and action.ends_at is not None and action.starts_at >= action.ends_at:
        entry.wrong("ends_at", "the action ends before it starts")
    if action.purpose is not None and ("/" in action.purpose or "*" in action.purpose):
        entry.wrong("purpose", "a name without '/' and '*', as consents have it before the channel")
    channels = [treatment.channel for treatment in action.treatments if treatment.channel]
    if len(set(channels)) != len(channels):
        entry.wrong("treatment", "two treatments for one channel")
    return action


def _content(identifier: str, entry: Entry) -> Content:
    title, body, url = (entry.take(key, str, "") for key in ("title", "body", "url"))
    return Content(identifier, title, body, url, _scalars(entry, "data"))


def _scalars(entry: Entry, key: str) -> dict[str, Any]:
    """A table of texts, numbers and truths."""
    scalars: dict[str, Any] = entry.take(key, dict, {})
    for name, value in scalars.items():
        if not isinstance(value, str | bool) and not is_number(value):
            entry.wrong(f"{key}.{name}", f"must be text, a number, true or false, not {shown(value)}")
    return scalars


def _treatment(values: dict[str, Any], action: Entry) -> Treatment:
    entry = action.inner(values, "treatment", near=str(values.get("channel", "")))
    treatment = Treatment(
        entry.take("channel", str, None),
        entry.take("content", str, "") or None,
        entry.number("cost", 0.0, at_least=0.0),
    )
    entry.finish()
    return treatment


def _intent(identifier: str, entry: Entry) -> Intent:
    return Intent(identifier, tuple(_weight(one, entry) for one in entry.items("weight", dict)))


def _weight(values: dict[str, Any], intent: Entry) -> ContextWeight:
    """`{ group = "retention", percent = 80 }`, or the same with `action`."""
    entry = intent.inner(values, "weight", near=str(values.get("group", values.get("action", ""))))
    named = [(scope, entry.take(scope, str, "")) for scope in ("group", "action")]
    given = [(scope, of) for scope, of in named if of]
    if len(given) != 1:
        entry.wrong("group", "give either a group or an action")
    if "percent" not in values:
        entry.wrong("percent", "is needed")
    weight = ContextWeight(*(given or [("group", "")])[0], entry.number("percent", 0.0, at_least=-100.0))
    entry.finish()
    return weight


#: Section of a catalogue file -> what makes one of its tables a value.
MAKERS: Mapping[str, Callable[[str, Entry], Any]] = {
    "channel": _channel,
    "group": _group,
    "action": _action,
    "contact_policy": contact_rule,
    "quiet_hours": quiet_hours,
    "intent": _intent,
    "content": _content,
}
