"""Where one field's value comes from, and what happens to it on the way: read from TOML, then made a function of a row.

A text names a column, a number or true/false stands for itself, and a table says more:
`{ column = ["a", "b.c"], null_if = [118], map = { x = "y" }, otherwise = "z" }`, `{ constant = "email" }`,
`{ text = "order-{row}" }`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from features.catalogue.entry import Entry, Wrong
from features.domain import Scalar
from features.importing.kinds import AS, BadValue, Kind, as_text, plain
from features.importing.times import Clock, read_clock

Getter = Callable[[dict[str, Any]], Any]

#: Names in a template that are no columns: the number of the row, and the name of its file without endings.
ROW, FILE = "{row}", "{file}"


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value of a mapping. Exactly one of `columns`, `template` and `constant` is its source."""

    kind: Kind
    columns: tuple[str, ...] = ()
    template: str | None = None
    constant: Any = None
    null_if: frozenset[str] = frozenset()
    choices: Mapping[str, Scalar] | None = None
    otherwise: Any = None
    split: str | None = None
    clock: Clock | None = None

    def needs(self) -> list[tuple[str, ...]]:
        """Groups of columns: of each group at least one must be there."""
        if self.template is not None:
            return [(name,) for name in template_names(self.template)]
        return [self.columns] if self.columns else []


def read_value(given: Any, kind: Kind) -> Value:
    """Checks what a mapping says about one field. Raises Wrong."""
    if isinstance(given, str):
        return read_value({"column": given}, kind)
    if not isinstance(given, dict):
        return Value(kind, constant=_constant(given, kind, ""))
    entry = Entry(given, taken=())
    if kind.is_free:
        kind = AS.get(entry.choice("as", ("", *AS), ""), kind)
    sources = [key for key in ("column", "constant", "text") if key in given]
    if len(sources) != 1:
        raise Wrong("", "give exactly one of column, constant, text")
    value = Value(
        kind,
        columns=_columns(entry) if "column" in given else (),
        template=_template(entry) if "text" in given else None,
        constant=_constant(entry.take("constant", object, None), kind, "constant") if "constant" in given else None,
        null_if=frozenset(plain(one) for one in _listed(entry.take("null_if", object, []))),
        choices=_choices(entry),
        otherwise=_constant(entry.take("otherwise", object, None), kind, "otherwise") if "otherwise" in given else None,
        split=entry.take("split", str, "") or None if kind.is_list else None,
        clock=read_clock(entry) if kind.is_time else None,
    )
    entry.finish()
    return value


def getter(value: Value) -> Getter:
    """The function that takes the value out of a row, converted. It raises BadValue."""
    if not value.columns and value.template is None:
        constant = value.constant
        return lambda _row: constant
    find = _template_finder(value.template) if value.template is not None else finder(value.columns)
    convert = value.clock.microseconds if value.clock else value.kind.convert
    null_if, choices, otherwise, split = value.null_if, value.choices, value.otherwise, value.split

    def get(row: dict[str, Any]) -> Any:
        found = find(row)
        if isinstance(found, str):
            found = found.strip()
        # A NaN is how Parquet files written from data frames say that nothing is there.
        if found is None or found == "" or found != found or (null_if and plain(found) in null_if):
            return otherwise
        if choices is not None:
            chosen = choices.get(plain(found))
            if chosen is None:
                if otherwise is None:
                    raise BadValue(f"{found!r} is not in the map")
                return otherwise
            found = chosen
        if split is not None and isinstance(found, str):
            found = found.split(split)
        return convert(found)

    return get


def finder(columns: tuple[str, ...]) -> Getter:
    """The function that gives the first of `columns` that has a value in the row, as it stands there."""
    ways = [_path(column) for column in columns]
    if len(ways) == 1:
        return ways[0]

    def first(row: dict[str, Any]) -> Any:
        for way in ways:
            found = way(row)
            if found is not None and found != "":
                return found
        return None

    return first


def _path(column: str) -> Getter:
    if "." not in column:
        return lambda row: row.get(column)
    steps = column.split(".")

    def walk(row: dict[str, Any]) -> Any:
        found: Any = row
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
            if found is None:
                return row.get(column)  # a CSV header may well hold a dot
        return found

    return walk


def template_names(template: str) -> list[str]:
    """The columns that a template names. Raises ValueError for a lone brace."""
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    return [name for name in names if f"{{{name}}}" not in (ROW, FILE)]


def _template_finder(template: str) -> Getter:
    parts: list[tuple[str, Getter | None]] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        special = name is not None and f"{{{name}}}" in (ROW, FILE)
        parts.append((literal, None if name is None else _path(f"{{{name}}}" if special else name)))

    def fill(row: dict[str, Any]) -> str | None:
        text = ""
        for literal, find in parts:
            text += literal
            if find is not None:
                found = find(row)
                if found is None or found == "":
                    return None  # a name with a hole in it is no name
                text += as_text(found)
        return text

    return fill


def _columns(entry: Entry) -> tuple[str, ...]:
    columns = _listed(entry.take("column", object, None))
    if not columns or not all(isinstance(column, str) and column for column in columns):
        raise Wrong("column", "must be the name of a column, or a list of names of which the first with a value counts")
    return tuple(columns)


def _template(entry: Entry) -> str:
    template: str = entry.take("text", str, None)
    try:
        template_names(template)
    except ValueError as error:
        raise Wrong("text", f"must be text with columns in braces, like '{{type}}_{{row}}': {error}") from error
    return template


def _choices(entry: Entry) -> Mapping[str, Scalar] | None:
    choices: dict[str, Any] | None = entry.take("map", dict, {}) or None
    for key, one in (choices or {}).items():
        if not isinstance(one, str | int | float | bool):
            raise Wrong(f"map.{key}", f"must be text, a number, true or false, not {one!r}")
    return choices


def _constant(given: Any, kind: Kind, key: str) -> Any:
    try:
        return kind.convert(given)
    except BadValue as bad:
        raise Wrong(key, str(bad)) from bad


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
