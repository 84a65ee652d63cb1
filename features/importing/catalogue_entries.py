"""Channels, groups and actions that a mapping writes out or makes of rows, on their way into a home's catalogue."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from features.catalogue import Action, Catalogue, Group, load_catalogue, make_entry, write_catalogue
from features.catalogue.entry import Wrong
from features.clock import format_time
from features.importing.cells import BadValue
from features.importing.mapping import ImportMapping
from features.importing.report import Tally
from features.importing.rules import Fields, ReadyRule
from features.settings import SHIPPED

_CONTACT_POLICY = "contact_policy.toml"
_HEADING = """\
Made by the mapping {name}. {about}
This file is yours to edit: importing again leaves what stands here as it is, and adds only what is missing."""


class CatalogueEntries:
    """What a mapping brings, checked against itself and against what the home has already."""

    def __init__(self, mapping: ImportMapping, there: Catalogue) -> None:
        self._mapping = mapping
        made = {section: [make_entry(section, t) for t in tables] for section, tables in mapping.entries.items()}
        self._channels = {channel.id: channel for channel in made["channel"]}
        self._known_channels = {*self._channels, *there.channels}
        self._groups = {group.id: group for group in made["group"]}
        self._actions: dict[str, Action] = {}
        self._rows = 0
        for action in made["action"]:
            try:
                self._take(action)
            except BadValue as bad:
                raise mapping.fault("action", mapping.numbers["action", action.id], "", f"{action.id}: {bad}") from bad

    def add(self, rule: ReadyRule, fields: Fields, row: dict[str, Any]) -> None:
        """One action made of a row. Raises BadValue for what a catalogue would refuse."""
        self._take(_action(fields, lambda channel: rule.fields(row | {"channel": channel}).get("content")))

    def _take(self, action: Action) -> None:
        for treatment in action.treatments:
            if treatment.channel not in self._known_channels:
                raise BadValue(f"channels: no channel {treatment.channel!r}; add a [[channel]] to the mapping")
        if action.group not in self._groups:
            self._groups[action.group] = _group(action.group)
        if self._actions.setdefault(action.id, action) != action:
            raise BadValue(f"id: another row has made a different action {action.id!r}")
        self._rows += 1

    def write(self, folder: Path) -> dict[str, Tally]:
        """Adds what the catalogue does not have yet, and a contact policy where there is none. Counts by section."""
        added = write_catalogue(
            folder,
            f"{self._mapping.name}.toml",
            self._channels.values(),
            self._groups.values(),
            self._actions.values(),
            _HEADING.format(name=self._mapping.name, about=self._mapping.about),
        )
        if not load_catalogue(folder).contact_rules and not (folder / _CONTACT_POLICY).exists():
            shutil.copyfile(SHIPPED / "catalogue" / _CONTACT_POLICY, folder / _CONTACT_POLICY)
        read = {"channel": len(self._channels), "group": len(self._groups), "action": self._rows}
        return {section: Tally(rows, added[section], rows - added[section]) for section, rows in read.items() if rows}


def _group(name: str) -> Group:
    """Raises BadValue for a name that a catalogue would refuse."""
    try:
        made: Group = make_entry("group", {"id": name})
    except Wrong as wrong:
        raise BadValue(f"group: {wrong.message}") from wrong
    return made


def _action(fields: Fields, content: Callable[[str], str | None]) -> Action:
    """`content` maps a channel to what is said there, or None. Raises BadValue for what a catalogue would refuse."""
    table = {key: value for key, value in fields.items() if key not in ("channels", "content", "attributes")}
    for key in ("starts_at", "ends_at"):
        if key in table:
            table[key] = format_time(table[key])
    table["placements"] = list(fields.get("placements", ()))
    table["attributes"] = fields.get("attributes", {})
    treatments = []
    for channel in fields.get("channels", ()):
        said = content(channel)
        treatments.append({"channel": channel} | ({"content": said} if said else {}))
    table["treatment"] = treatments
    try:
        made: Action = make_entry("action", table)
    except Wrong as wrong:
        raise BadValue(f"{wrong.key}: {wrong.message}") from wrong
    return made
