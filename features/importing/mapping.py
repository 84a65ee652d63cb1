"""A mapping file: how foreign files become customers, catalogue entries, events, decisions and outcomes.

Everything is checked before a row is read; `features/README.md` shows how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from features.catalogue.lines import Lines
from features.domain import Scalar
from features.errors import MappingError
from features.importing.cells import Among
from features.importing.number_form import POINT, NumberForm
from features.importing.values import Value

#: What `shift` may say: move all times so that the newest event falls at the present.
NEWEST_TO_NOW = "newest_to_now"
#: What `attach_to` may say: the outcome belongs to the latest decision before it for this customer and action.
LATEST_DECISION = "latest_decision"
NO_LINES = Lines("")
UTF_8 = "utf-8"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One foreign file, or several of one shape where `path` is a pattern. `add` gives it columns made of others.

    `each` gives it columns of its own: every row is seen once for each of their values. `encoding` and `form` are how
    its text and its numbers are written.
    """

    name: str
    path: str
    format: str | None = None
    delimiter: str = ","
    add: Mapping[str, Value] = field(default_factory=dict)
    each: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    encoding: str = UTF_8
    form: NumberForm = POINT


@dataclass(frozen=True, slots=True)
class Join:
    """The row of `file` whose column `key` equals one of `columns` here is seen under `name.`."""

    name: str
    file: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A row passes when the column is among `values` (or is not, when `negated`). `said` is how the mapping puts it.

    With `values` None it passes when the column has a value (or has none, when `negated`).
    """

    column: str
    values: Among | None
    negated: bool = False
    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `file` that pass `where` become a `target`. Fields of tables are named `attributes.age`."""

    target: str
    file: str
    fields: Mapping[str, Value]
    where: tuple[Condition, ...] = ()
    joins: tuple[Join, ...] = ()
    attach_to: str | None = None
    attach_within_days: float | None = None
    #: Whether past contacts count for contact limits.
    counts: bool = True
    #: Which of the target's tables of the mapping this is, from 0.
    number: int = 0


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A checked mapping file. `entries` are catalogue tables written out in it, by section."""

    name: str
    about: str
    shift: str | None
    files: Mapping[str, FileSpec]
    rules: tuple[Rule, ...]
    entries: Mapping[str, tuple[dict[str, Any], ...]]
    #: For naming where something stands.
    lines: Lines = field(default=NO_LINES, compare=False, repr=False)
    numbers: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def fault(self, section: str, number: int, key: str, message: str) -> MappingError:
        """Something wrong with `key` in the `number`-th table of a section, with file and line."""
        line, named = self.lines.of(section, number, key or None), f"{section}.{key}".rstrip(".")
        return MappingError(f"{self.name}.toml:{line}: {named}: {message}", field=named)

    def rules_for(self, *targets: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.target in targets)

    def files_of(self, *targets: str) -> list[str]:
        """Files that feed the targets, those of the first of them first."""
        return list(dict.fromkeys(rule.file for target in targets for rule in self.rules_for(target)))
