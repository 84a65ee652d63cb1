"""Where each entry of a catalogue stands, so that a fault found at any time can name file, line and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from features.catalogue.lines import Lines


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a catalogue file."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.key, self.message) if part)


@dataclass(frozen=True, slots=True)
class Place:
    """The `number`-th table (from 0) of a section in a file."""

    file: str
    lines: Lines
    number: int


@dataclass(frozen=True, slots=True)
class Places:
    """(section, id) -> where the entry stands."""

    of: Mapping[tuple[str, str], Place] = field(default_factory=dict)

    def line(self, section: str, identifier: str, key: str, value: str = "") -> tuple[str, int]:
        """(file, line) of a key; ("catalogue", 0) for an entry that was not read from a file."""
        place = self.of.get((section, identifier))
        if place is None:
            return "catalogue", 0
        return place.file, place.lines.of(section, place.number, key, value)

    def fault(self, section: str, identifier: str, key: str, message: str, value: str = "") -> Fault:
        """What is wrong with `key` of an entry; `value` tells the line where the key stands several times."""
        file, line = self.line(section, identifier, key, value)
        return Fault(file, line, f"{section}.{key}", f"{identifier}: {message}")


NO_PLACES = Places()
