"""The `[file.NAME]` tables of a mapping."""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import Any

from features.catalogue.entry import Entry, Wrong
from features.domain import Scalar
from features.importing.cells import BadValue, identity
from features.importing.kinds import FREE, Kind
from features.importing.mapping import UTF_8, FileSpec
from features.importing.number_form import POINT, NumberForm
from features.importing.sources import FORMATS
from features.importing.values import Value, read_form, read_value


def read_file(name: str, table: dict[str, Any]) -> FileSpec:
    entry = Entry(table, taken=())
    spec = FileSpec(
        name,
        entry.take("path", str, None),
        entry.choice("format", FORMATS, None) if "format" in table else None,
        entry.take("delimiter", str, ","),
        {column: named_value(f"add.{column}", given, FREE) for column, given in entry.take("add", dict, {}).items()},
        {column: _each(f"each.{column}", given) for column, given in entry.take("each", dict, {}).items()},
        _encoding(entry),
        read_form(entry) or POINT,
    )
    entry.finish()
    if len(spec.delimiter) != 1:
        raise Wrong("delimiter", f"must be a single character, not {spec.delimiter!r}")
    if spec.delimiter in '"\r\n':
        raise Wrong("delimiter", "cannot be a quote or the end of a line")
    return replace(spec, add={column: with_form(value, spec.form) for column, value in spec.add.items()})


def _encoding(entry: Entry) -> str:
    encoding = str(entry.take("encoding", str, UTF_8))
    try:
        "".encode(encoding)
    except LookupError as error:
        raise Wrong("encoding", f"must be one that Python knows, like utf-8 or cp1252, not {encoding!r}") from error
    return codecs.lookup(encoding).name


def _each(key: str, given: Any) -> tuple[Scalar, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(one, str | int | float | bool) for one in given):
        raise Wrong(key, f"must be a list of texts or numbers, like [0, 168], not {given!r}")
    if len({_same(key, one) for one in given}) < len(given):
        raise Wrong(key, "has a value more than once")
    return tuple(given)


def _same(key: str, given: Scalar) -> str:
    try:
        return identity(given)
    except BadValue as bad:
        raise Wrong(key, str(bad)) from bad


def named_value(key: str, given: Any, kind: Kind) -> Value:
    try:
        return read_value(given, kind)
    except Wrong as wrong:
        raise Wrong(f"{key}.{wrong.key}".rstrip("."), wrong.message) from wrong


def with_form(value: Value, form: NumberForm) -> Value:
    """The value with the form of its file, where it says none of its own."""
    return replace(value, form=form) if value.form is None and value.kind.is_number else value
