"""Reading and checking a mapping file. Every fault is a MappingError that names file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from features.catalogue import make_entry
from features.catalogue.entry import Entry, Wrong
from features.catalogue.lines import Lines
from features.domain import OutcomeKind
from features.errors import MappingError
from features.importing.cells import among
from features.importing.file_reader import named_value, read_file, with_form
from features.importing.mapping import (
    LATEST_DECISION,
    NEWEST_TO_NOW,
    Condition,
    FileSpec,
    ImportMapping,
    Join,
    Rule,
)
from features.importing.number_form import NumberForm
from features.importing.targets import TARGETS
from features.importing.values import Value
from features.settings import SHIPPED
from features.toml_text import NotToml, decode_toml, parse_toml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ENTRIES = ("channel", "group", "action")


def load_mapping(name_or_path: str, shipped: Path = SHIPPED / "mappings") -> ImportMapping:
    """The mapping at a path, or the shipped one of that name. Raises MappingError."""
    path = Path(name_or_path)
    if not path.is_file():
        path = shipped / f"{name_or_path}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in shipped.glob("*.toml")))
            raise MappingError(f"{name_or_path}: no such file, and no shipped mapping of this name ({known})")
    if not _NAME.fullmatch(path.stem):
        raise MappingError(f"{path}: name the file with letters, digits, '_' and '-' only; its name marks what it made")
    try:
        written = path.read_bytes()
        content = parse_toml(written)
    except NotToml as error:
        raise MappingError(f"{path}:{error.line}: {error.reason}") from error
    return _Reader(path, Lines(decode_toml(written))).read(content)


class _Reader:
    def __init__(self, path: Path, lines: Lines) -> None:
        self._path, self._lines = path, lines

    def read(self, content: dict[str, Any]) -> ImportMapping:
        about, shift = self._top(content)
        files = self._files(content.get("file", {}))
        if not files:
            raise self._fault("file", 0, Wrong("", "is needed: name the files to read, as in [file.orders]"), "file")
        rules: list[Rule] = []
        entries: dict[str, list[dict[str, Any]]] = {section: [] for section in _ENTRIES}
        numbers: dict[tuple[str, str], int] = {}
        for section, tables in content.items():
            if section not in (*TARGETS, *_ENTRIES):
                continue
            if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                raise self._fault(section, 0, Wrong("", f"write [[{section}]], with two brackets"))
            for number, table in enumerate(tables):
                try:
                    if section in TARGETS and (section not in _ENTRIES or "from" in table):
                        rules.append(replace(_rule(section, table, files), number=number))
                    else:
                        make_entry(section, table)
                        entries[section].append(table)
                        numbers[section, table["id"]] = number
                except Wrong as wrong:
                    raise self._fault(section, number, wrong) from wrong
        if shift and not any(rule.target == "event" for rule in rules):
            raise self._fault("shift", 0, Wrong("", "needs an [[event]], whose newest time it moves to the present"))
        fixed = {section: tuple(tables) for section, tables in entries.items()}
        return ImportMapping(self._path.stem, about, shift, files, tuple(rules), fixed, self._lines, numbers)

    def _top(self, content: dict[str, Any]) -> tuple[str, str | None]:
        entry = Entry(content, taken=(*TARGETS, *_ENTRIES, "file"))
        try:
            about = entry.take("about", str, "")
            shift = entry.choice("shift", (NEWEST_TO_NOW,), None) if "shift" in content else None
            entry.take("file", dict, {})
            entry.finish()
        except Wrong as wrong:
            raise self._fault(wrong.key, 0, Wrong("", wrong.message)) from wrong
        return about, shift

    def _files(self, tables: dict[str, Any]) -> dict[str, FileSpec]:
        files = {}
        for name, table in tables.items():
            try:
                if not isinstance(table, dict):
                    raise Wrong("", f"write [file.{name}], with a path below")
                files[name] = read_file(name, table)
            except Wrong as wrong:
                raise self._fault(f"file.{name}", 0, wrong) from wrong
        return files

    def _fault(self, section: str, number: int, wrong: Wrong, key: str | None = None) -> MappingError:
        line = self._lines.of(section, number, wrong.key or None)
        named = key or f"{section}.{wrong.key}".rstrip(".")
        return MappingError(f"{self._path.name}:{line}: {named}: {wrong.message}", field=named)


def _rule(section: str, table: dict[str, Any], files: Mapping[str, FileSpec]) -> Rule:
    target, entry = TARGETS[section], Entry(table, taken=())
    file = entry.take("from", str, None)
    if file not in files:
        raise Wrong("from", f"no [file.{file}]; one of {', '.join(files)}")
    fields: dict[str, Value] = {}
    for name, kind in {**target.needed, **target.optional}.items():
        if name in table:
            fields[name] = named_value(name, entry.take(name, object, None), kind)
        elif name in target.needed:
            raise Wrong(name, "is needed")
    for name, kind in target.tables.items():
        for inner, given in entry.take(name, dict, {}).items():
            fields[f"{name}.{inner}"] = named_value(f"{name}.{inner}", given, kind)
    attach_to, within = _attach(entry, fields) if section == "outcome" else (None, None)
    joins = _joins(entry, files)
    forms = {"": files[file].form, **{join.name: files[join.file].form for join in joins}}
    fields = {name: with_form(value, _form_of(name, value, forms)) for name, value in fields.items()}
    counts = entry.take("counts", bool, True) if section == "decision" else True
    rule = Rule(section, file, fields, _where(entry), joins, attach_to, within, counts)
    entry.finish()
    return rule


def _form_of(key: str, value: Value, forms: Mapping[str, NumberForm]) -> NumberForm:
    """The form of the file in which a value's columns stand; `forms` by the join's name, "" for the rule's own file."""
    holders = [column.partition(".")[0] for column in value.columns]
    found = {forms.get(holder, forms[""]) for holder in holders} or {forms[""]}
    if len(found) > 1 and value.form is None and value.kind.is_number:
        raise Wrong(f"{key}.decimal", "is needed: its columns stand in files that write numbers differently")
    return found.pop()


def _attach(entry: Entry, fields: Mapping[str, Value]) -> tuple[str | None, float | None]:
    """An outcome names its decision, or is attached to one by customer and action; an opt-out needs only a customer."""
    only_opt_outs = fields["kind"].constant == OutcomeKind.OPTED_OUT and "customer_id" in fields
    if "decision_id" in fields or (only_opt_outs and "attach_to" not in entry.values):
        return None, None
    if "attach_to" not in entry.values:
        raise Wrong("attach_to", f"give decision_id, or attach_to = {LATEST_DECISION!r}")
    entry.choice("attach_to", (LATEST_DECISION,), None)
    for name in ("customer_id", "action"):
        if name not in fields:
            raise Wrong(name, f"is needed to find the {LATEST_DECISION}")
    within = entry.number("attach_within_days", 0.0, at_least=0.0)
    return LATEST_DECISION, within or None


def _where(entry: Entry) -> tuple[Condition, ...]:
    return tuple(_condition(column, given) for column, given in entry.take("where", dict, {}).items())


def _condition(column: str, given: Any) -> Condition:
    said = f"{column} = {given}"
    if isinstance(given, dict):
        entry = Entry(given, taken=())
        try:
            if "present" in given:
                condition = Condition(column, None, not entry.take("present", bool, True), said)
            else:
                condition = Condition(column, among(entry.take("not", object, None)), True, said)
            entry.finish()
        except Wrong as wrong:
            raise Wrong(f"where.{column}.{wrong.key}", wrong.message) from wrong
        return condition
    return Condition(column, among(given), False, said)


def _joins(entry: Entry, files: Mapping[str, FileSpec]) -> tuple[Join, ...]:
    joins = []
    for name, given in entry.take("join", dict, {}).items():
        if not isinstance(given, dict):
            raise Wrong(f"join.{name}", "must be a table, like { file = 'offers', key = 'id', on = 'offer_id' }")
        inner = Entry(given, taken=())
        try:
            file = inner.choice("file", tuple(files), None)
            columns: Iterable[str] = (
                inner.items("on", str) if isinstance(given.get("on"), list) else (inner.take("on", str, None),)
            )
            joins.append(Join(name, file, inner.take("key", str, None), tuple(columns)))
            inner.finish()
        except Wrong as wrong:
            raise Wrong(f"join.{name}.{wrong.key}", wrong.message) from wrong
    return tuple(joins)
