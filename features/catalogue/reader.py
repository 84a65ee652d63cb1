"""Reading a folder of TOML files into a catalogue, with every fault named by file, line and key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from features.catalogue.entry import Wrong
from features.catalogue.lines import Lines
from features.catalogue.makers import MAKERS, check_entry
from features.catalogue.places import Fault, Place, Places
from features.catalogue.values import EMPTY_CATALOGUE, Catalogue
from features.errors import CatalogueError
from features.toml_text import NotToml, decode_toml, parse_toml

#: Sections whose ids must differ from each other's.
_SHARED = dict.fromkeys(("contact_policy", "quiet_hours"), ("contact_policy", "quiet_hours"))


def load_catalogue(folder: Path) -> Catalogue:
    """Reads and checks every `*.toml` of `folder`. A missing or empty folder is an empty catalogue.

    Raises CatalogueError naming file, line and key of the first fault; `read_catalogue` gives them all.
    """
    return parse_catalogue(read_sources(folder))


def read_sources(folder: Path) -> dict[str, bytes]:
    """The files a catalogue is written in, by name."""
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def parse_catalogue(sources: Mapping[str, bytes]) -> Catalogue:
    """The catalogue written in these files, in order of their names. Raises CatalogueError as `load_catalogue` does."""
    catalogue, faults = check_catalogue(sources)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CatalogueError(str(faults[0]) + more, field=faults[0].key)
    return catalogue


def read_catalogue(folder: Path) -> tuple[Catalogue, list[Fault]]:
    """The catalogue, with defaults for what is wrong in it, and every structural fault."""
    return check_catalogue(read_sources(folder))


def check_catalogue(sources: Mapping[str, bytes]) -> tuple[Catalogue, list[Fault]]:
    """The same, of files already read."""
    reader = _Reader()
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(content)
        reader.read(name, content)
    found = reader.found
    if not any(found.values()) and not reader.faults:
        return EMPTY_CATALOGUE, []
    reader.check_references()
    catalogue = Catalogue(
        version=digest.hexdigest()[:12],
        channels=found["channel"],
        groups=tuple(found["group"]),
        actions=found["action"],
        contact_rules=tuple(found["contact_policy"].values()),
        quiet_hours=tuple(found["quiet_hours"].values()),
        intents=found["intent"],
        exclusive_groups=frozenset(group.id for group in found["group"].values() if group.exclusive),
        content=found["content"],
        places=Places(reader.places),
    )
    return catalogue, reader.faults


class _Reader:
    """Collects the tables of several files by section and id, and the faults with their places."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {section: {} for section in MAKERS}
        self.faults: list[Fault] = []
        self.places: dict[tuple[str, str], Place] = {}

    def read(self, name: str, content: bytes) -> None:
        try:
            sections = parse_toml(content)
        except NotToml as error:
            self.faults.append(Fault(name, error.line, "", error.reason))
            return
        lines = Lines(decode_toml(content))
        for section, tables in sections.items():
            line = lines.of(section, 0)
            if section not in MAKERS:
                self.faults.append(Fault(name, line, section, f"unknown section; one of {', '.join(MAKERS)}"))
            elif not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                self.faults.append(Fault(name, line, section, f"write [[{section}]], with two brackets"))
            else:
                for number, table in enumerate(tables):
                    self._one(section, table, Place(name, lines, number))

    def _one(self, section: str, table: dict[str, Any], place: Place) -> None:
        """Makes one entry. One with faults is there all the same, so that what else is wrong with it is found."""
        made, faults = check_entry(section, table)
        identifier = table.get("id")
        if isinstance(identifier, str):
            other = self._taken(section, identifier)
            if other is not None:
                faults.insert(0, Wrong("id", f"{identifier!r} is already defined at {other}"))
            else:
                self.places[section, identifier] = place
                self.found[section][identifier] = made
        named = f"{identifier}: " if isinstance(identifier, str) and identifier else ""
        for wrong in faults:
            line = place.lines.of(section, place.number, wrong.key, wrong.near)
            self.faults.append(Fault(place.file, line, f"{section}.{wrong.key}", named + wrong.message))

    def _taken(self, section: str, identifier: str) -> str | None:
        """Where this id stands already; contact rules and quiet hours share theirs, for a decision names either."""
        for other in _SHARED.get(section, (section,)):
            if (other, identifier) in self.places:
                file, line = Places(self.places).line(other, identifier, "id")
                return f"{file}:{line}"
        return None

    def check_references(self) -> None:
        """Names that point to nothing. Where one is missing altogether, that was told."""
        known = {section: {name for s, name in self.places if s == section} for section in MAKERS}
        known["arm"] = {f"{a.id}@{t.channel}" for a in self.found["action"].values() for t in a.treatments}
        for section, identifier, key, value, kind in self._references():
            if value and value not in known[kind]:
                places = Places(self.places)
                self.faults.append(places.fault(section, identifier, key, f"no {kind} {value!r}", value))

    def _references(self) -> Iterator[tuple[str, str, str, str, str]]:
        """(section, id, key, value, kind of thing it names) of every reference."""
        for action in self.found["action"].values():
            yield "action", action.id, "group", action.group, "group"
            for treatment in action.treatments:
                yield "action", action.id, "treatment.channel", treatment.channel, "channel"
            for reward in action.rewards:
                if reward.channel is not None:
                    yield "action", action.id, "reward.channel", f"{action.id}@{reward.channel}", "arm"
        for rule in self.found["contact_policy"].values():
            if rule.of is not None and rule.scope != "all":
                yield "contact_policy", rule.id, "of", rule.of, rule.scope
        for quiet in self.found["quiet_hours"].values():
            for channel in quiet.channels:
                yield "quiet_hours", quiet.id, "channels", channel, "channel"
        for intent in self.found["intent"].values():
            for weight in intent.weights:
                yield "intent", intent.id, f"weight.{weight.scope}", weight.of, weight.scope
