"""Reading a folder of TOML files into a catalogue, with every fault named by file, line and key."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from features.catalogue.entry import Entry, Wrong
from features.catalogue.lines import Lines
from features.catalogue.values import (
    EMPTY_CATALOGUE,
    REPORTS,
    SCOPES,
    Action,
    Catalogue,
    Channel,
    ContactRule,
    Fault,
    Treatment,
)
from features.domain import DO_NOTHING, ActionClass, OutcomeKind
from features.errors import CatalogueError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_RESERVED = {DO_NOTHING.action: "doing nothing is always a candidate", DO_NOTHING.channel: "it is doing nothing's"}


def load_catalogue(folder: Path) -> Catalogue:
    """Reads and checks every `*.toml` of `folder`. A missing or empty folder is an empty catalogue.

    Raises CatalogueError naming file, line and key of the first fault; `read_catalogue` gives them all.
    """
    catalogue, faults = read_catalogue(folder)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CatalogueError(str(faults[0]) + more, field=faults[0].key)
    return catalogue


def read_catalogue(folder: Path) -> tuple[Catalogue, list[Fault]]:
    """The catalogue as far as it can be read, and every structural fault."""
    reader = _Reader()
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        content = file.read_bytes()
        digest.update(content)
        reader.read(file.name, content)
    found = reader.found
    if not any(found.values()) and not reader.faults:
        return EMPTY_CATALOGUE, []
    reader.check_references()
    catalogue = Catalogue(
        digest.hexdigest()[:12],
        found["channel"],
        tuple(found["group"]),
        found["action"],
        tuple(found["contact_policy"].values()),
    )
    return catalogue, reader.faults


class _Reader:
    """Collects the tables of several files by section and id, and the faults with their places."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {section: {} for section in MAKERS}
        self.faults: list[Fault] = []
        #: (section, id) -> (file, its lines, number of the table within its section)
        self._places: dict[tuple[str, str], tuple[str, Lines, int]] = {}

    def read(self, name: str, content: bytes) -> None:
        try:
            text = content.decode()
            sections = tomllib.loads(text)
        except ValueError as error:  # both that of tomllib and that of UTF-8
            place = re.search(r"line (\d+)", str(error))
            self.faults.append(Fault(name, int(place.group(1)) if place else 1, "", f"not TOML: {error}"))
            return
        lines = Lines(text)
        for section, tables in sections.items():
            line = lines.of(section, 0)
            if section not in MAKERS:
                self.faults.append(Fault(name, line, section, f"unknown section; one of {', '.join(MAKERS)}"))
            elif not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                self.faults.append(Fault(name, line, section, f"write [[{section}]], with two brackets"))
            else:
                for number, table in enumerate(tables):
                    self._one(section, table, (name, lines, number))

    def _one(self, section: str, table: dict[str, Any], place: tuple[str, Lines, int]) -> None:
        identifier = table.get("id")
        file, lines, number = place
        named = f"{identifier}: " if isinstance(identifier, str) and identifier else ""
        try:
            if isinstance(identifier, str):
                self._check_new(section, identifier)
                self._places[section, identifier] = place
            made = make_entry(section, table)
        except Wrong as wrong:
            line = lines.of(section, number, wrong.key)
            self.faults.append(Fault(file, line, f"{section}.{wrong.key}", named + wrong.message))
        else:
            self.found[section][str(identifier)] = made

    def _check_new(self, section: str, identifier: str) -> None:
        if (section, identifier) in self._places:
            file, lines, number = self._places[section, identifier]
            raise Wrong("id", f"{identifier!r} is already defined at {file}:{lines.of(section, number, 'id')}")

    def check_references(self) -> None:
        """Names that point to nothing. A table with a fault of its own is there all the same."""
        names = {section: {name for s, name in self._places if s == section} for section in MAKERS}
        arms = {f"{a.id}@{t.channel}" for a in self.found["action"].values() for t in a.treatments}
        for action in self.found["action"].values():
            if action.group not in names["group"]:
                self._refer("action", action.id, "group", action.group, "group")
            for treatment in action.treatments:
                if treatment.channel not in names["channel"]:
                    self._refer("action", action.id, "treatment.channel", treatment.channel, "channel")
        known: Mapping[str, set[str]] = names | {"arm": arms}
        for rule in self.found["contact_policy"].values():
            if rule.of is not None and rule.of not in known[rule.scope]:
                self._refer("contact_policy", rule.id, "of", rule.of, rule.scope)

    def _refer(self, section: str, identifier: str, key: str, value: str, kind: str) -> None:
        file, lines, number = self._places[section, identifier]
        line = lines.of(section, number, key, value)
        self.faults.append(Fault(file, line, f"{section}.{key}", f"{identifier}: no {kind} {value!r}"))


def make_entry(section: str, table: dict[str, Any]) -> Any:
    """The value of one table of a section: a Channel, an Action, ... Raises Wrong."""
    identifier = table.get("id")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise Wrong("id", "an id of letters, digits, '_', '-', '.', at most 128, is needed")
    if identifier in _RESERVED:
        raise Wrong("id", f"this id is taken: {_RESERVED[identifier]}")
    entry = Entry(table)
    made = MAKERS[section](identifier, entry)
    entry.finish()
    return made


def _channel(identifier: str, entry: Entry) -> Channel:
    return Channel(
        identifier,
        entry.take("outbound", bool, True),
        entry.number("cost", 0.0, at_least=0.0),
        entry.choice("reports", REPORTS, "acceptances"),
    )


def _group(identifier: str, entry: Entry) -> str:
    entry.take("name", str, "")
    return identifier


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
        window_days=entry.number("window_days", 7.0, at_least=1e-6),
        starts_at=entry.time("starts_at"),
        ends_at=entry.time("ends_at"),
        eligible=entry.take("eligible", str, "") or None,
        applicable=entry.take("applicable", str, "") or None,
        suitable=entry.take("suitable", str, "") or None,
        placements=tuple(entry.items("placements", str)),
        attributes=_attributes(entry),
        treatments=tuple(_treatment(one) for one in entry.items("treatment", dict)),
    )
    if action.starts_at is not None and action.ends_at is not None and action.starts_at >= action.ends_at:
        raise Wrong("ends_at", "the action ends before it starts")
    if len({t.channel for t in action.treatments}) != len(action.treatments):
        raise Wrong("treatment", "two treatments for one channel")
    return action


def _attributes(entry: Entry) -> dict[str, Any]:
    attributes: dict[str, Any] = entry.take("attributes", dict, {})
    for name, value in attributes.items():
        if not isinstance(value, str | int | float | bool):
            raise Wrong(f"attributes.{name}", f"must be text, a number, true or false, not {value!r}")
    return attributes


def _treatment(values: dict[str, Any]) -> Treatment:
    entry = Entry(values)
    try:
        treatment = Treatment(
            entry.take("channel", str, None),
            entry.take("content", str, "") or None,
            entry.number("cost", 0.0, at_least=0.0),
        )
        entry.finish()
    except Wrong as wrong:
        raise Wrong(f"treatment.{wrong.key}", wrong.message) from wrong
    return treatment


def _rule(identifier: str, entry: Entry) -> ContactRule:
    scope = entry.choice("scope", SCOPES, "all")
    of = entry.take("of", str, "") or None
    limit = entry.take("limit", int, None)
    seconds = entry.number("window_seconds", 0.0, at_least=0.0)
    seconds += 86_400 * entry.number("window_days", 0.0, at_least=0.0)
    action_class = ActionClass(entry.choice("class", tuple(ActionClass), ActionClass.MARKETING))
    if (scope == "all") != (of is None):
        raise Wrong("of", f"scope {scope!r} {'takes no' if scope == 'all' else 'needs an'} 'of'")
    if limit < 1:
        raise Wrong("limit", "at least 1; to stop contacts altogether, end the action or switch the channel off")
    if seconds < 1:
        raise Wrong("window_seconds", "give window_seconds or window_days, at least a second")
    return ContactRule(identifier, scope, limit, int(seconds), of, action_class)


#: Section of a catalogue file -> what makes one of its tables a value.
MAKERS: Mapping[str, Callable[[str, Entry], Any]] = {
    "channel": _channel,
    "group": _group,
    "action": _action,
    "contact_policy": _rule,
}
