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
from features.importing.cells import Among, BadValue, among, clean, comparable, identity, shown
from features.importing.kinds import AS, Kind, as_text
from features.importing.number_form import DECIMALS, POINT, THOUSANDS, NumberForm
from features.importing.times import Clock, read_clock

Getter = Callable[[dict[str, Any]], Any]

#: Names in a template that are no columns: the number of the row, and the name of its file without endings.
ROW, FILE = "{row}", "{file}"
NOTHING = Among(frozenset())


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value of a mapping. Exactly one of `columns`, `template` and `constant` is its source.

    `form` is how its numbers are written; None where that is as in the rest of its file.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    template: str | None = None
    constant: Any = None
    null_if: Among = NOTHING
    choices: Mapping[str, Scalar] | None = None
    otherwise: Any = None
    split: str | None = None
    clock: Clock | None = None
    form: NumberForm | None = None

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
        null_if=among(entry.take("null_if", object, [])),
        choices=_choices(entry),
        otherwise=_constant(entry.take("otherwise", object, None), kind, "otherwise") if "otherwise" in given else None,
        split=entry.take("split", str, "") or None if kind.is_list else None,
        clock=read_clock(entry) if kind.is_time else None,
        form=read_form(entry) if kind.is_number else None,
    )
    entry.finish()
    return value


def getter(value: Value) -> Getter:
    """The function that takes the value out of a row, converted. It raises BadValue."""
    if not value.columns and value.template is None:
        constant = value.constant
        return lambda _row: constant
    find = _template_finder(value.template) if value.template is not None else finder(value.columns, value.null_if)
    convert = value.clock.microseconds if value.clock else value.kind.convert
    choices, otherwise, split = value.choices, value.otherwise, value.split
    form = value.form if value.form != POINT else None

    def get(row: dict[str, Any]) -> Any:
        found = find(row)
        if found is None:
            return otherwise
        if choices is not None:
            chosen = choices.get(comparable(found))
            if chosen is None and otherwise is None:
                raise BadValue(f"{shown(found)} is not in the map")
            return otherwise if chosen is None else convert(chosen)
        if isinstance(found, str):
            if split is not None:
                found = found.split(split)
            elif form is not None:
                found = _in_form(found, form)
        return convert(found)

    return get


def _in_form(text: str, form: NumberForm) -> str:
    """A number of the form as our own, other text as it is. Raises BadValue for a number of another form."""
    number = form.plain(text)
    if number is None and POINT.plain(text) is not None:
        raise BadValue(f"{shown(text)} is not a number written with {', '.join(str(form).splitlines())}")
    return text if number is None else number


def finder(columns: tuple[str, ...], null_if: Among = NOTHING) -> Getter:
    """The function that gives the first of `columns` that has a value in the row, as `clean` leaves it."""
    ways = [_path(column) for column in columns]
    if len(ways) == 1 and not null_if:
        return ways[0]

    def first(row: dict[str, Any]) -> Any:
        for way in ways:
            found = way(row)
            if found is not None and not (null_if and null_if.has(found)):
                return found
        return None

    return first


def _path(column: str) -> Getter:
    if "." not in column:
        return lambda row: clean(row.get(column))
    steps = column.split(".")

    def walk(row: dict[str, Any]) -> Any:
        found: Any = row
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
            if found is None:
                return clean(row.get(column))  # a CSV header may well hold a dot
        return clean(found)

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
                if found is None:
                    return None  # a name with a hole in it is no name
                text += as_text(identity(found))
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
    choices: dict[str, Any] = {}
    for key, one in entry.take("map", dict, {}).items():
        if not isinstance(one, str | int | float | bool):
            raise Wrong(f"map.{key}", f"must be text, a number, true or false, not {one!r}")
        if choices.setdefault(comparable(key), one) != one:
            raise Wrong(f"map.{key}", f"{comparable(key)!r} stands in the map already, as something else")
    return choices or None


def read_form(entry: Entry) -> NumberForm | None:
    """The keys `decimal` and `thousands`, None where neither is said. Raises Wrong."""
    if not {"decimal", "thousands"} & entry.values.keys():
        entry.take("decimal", str, "")
        entry.take("thousands", str, "")
        return None
    decimal = entry.choice("decimal", DECIMALS, ".")
    form = NumberForm(decimal, entry.choice("thousands", ("", *THOUSANDS), ""))
    if form.thousands == form.decimal:
        raise Wrong("thousands", f"must differ from decimal, which is {decimal!r}")
    return form


def _constant(given: Any, kind: Kind, key: str) -> Any:
    try:
        return kind.convert(given)
    except BadValue as bad:
        raise Wrong(key, str(bad)) from bad


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
