"""Finding the files that a mapping names, and reading them with the columns that the mapping adds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

from features.errors import MappingError
from features.importing.cells import BadValue
from features.importing.mapping import FileSpec, ImportMapping, Rule
from features.importing.row import Row
from features.importing.sources import Source
from features.importing.values import FILE, ROW, getter

#: Rows between two reports of progress.
_STRIDE = 2_000
#: What else than a comma stands between cells.
_DELIMITERS = (";", "\t", "|")
#: (file name, bytes read since the last report)
Watch = Callable[[str, int], None]


def locate(mapping: ImportMapping, source: Path) -> dict[str, list[Path]]:
    """The files by their names in the mapping. Raises MappingError that says what was looked for and what is there."""
    if source.is_file():
        if len(mapping.files) == 1:
            return {name: [source] for name in mapping.files}
        wanted = ", ".join(spec.path for spec in mapping.files.values())
        raise MappingError(f"{source} is one file, but {mapping.name} reads {wanted}: give their folder")
    if not source.is_dir():
        raise MappingError(f"{source}: no such file or folder")
    return {spec.name: _matches(mapping, spec, source) for spec in mapping.files.values()}


def planned_bytes(mapping: ImportMapping, source: Path) -> int:
    """How many bytes an import will have reported when it is done, if nothing was imported by this mapping before."""
    paths = locate(mapping, source)
    sizes = {name: sum(path.stat().st_size for path in found) for name, found in paths.items()}
    passes = mapping.files_of("action") + mapping.files_of("customer")
    passes += mapping.files_of("decision", "event", "outcome")
    passes += [join.file for rule in mapping.rules for join in rule.joins]
    passes += mapping.files_of("event") if mapping.shift else []
    return sum(sizes[name] for name in passes)


def _matches(mapping: ImportMapping, spec: FileSpec, folder: Path) -> list[Path]:
    for pattern in (spec.path, f"{spec.path}.gz"):
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    looked_for = f"looked for {spec.path} and {spec.path}.gz in {folder}, which has {there}"
    raise mapping.fault(f"file.{spec.name}", 0, "path", looked_for)


class Table:
    """The rows of one file of the mapping. Each gets `{row}`, `{file}` and the columns of `each` and `add`."""

    def __init__(self, spec: FileSpec, paths: list[Path], watch: Watch) -> None:
        self.spec, self.paths = spec, paths
        self._watch = watch
        self._add = [(name, getter(value)) for name, value in spec.add.items()]
        self._each = [dict(zip(spec.each, values, strict=True)) for values in product(*spec.each.values())]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def _open(self, path: Path) -> Source:
        return Source(path, self.spec.format, self.spec.delimiter, self.spec.encoding)

    def rows(self) -> Iterator[tuple[str, Row]]:
        """(file name, row), bad ones too."""
        for path in self.paths:
            source = self._open(path)
            stem, reported = path.name.split(".")[0], 0
            for count, row in enumerate(source.rows(), start=1):
                for seen in self._seen(row):
                    yield path.name, self._complete(seen, stem) if seen.reason is None else seen
                if count % _STRIDE == 0:
                    self._watch(path.name, source.position() - reported)
                    reported = source.position()
            self._watch(path.name, source.size - reported)

    def _seen(self, row: Row) -> list[Row]:
        """The row once for each of the values of `each`, and a bad one once."""
        if row.reason is not None or not self.spec.each:
            return [row]
        return [row._replace(values=row.values | more) for more in self._each]

    def _complete(self, row: Row, stem: str) -> Row:
        values = row.values
        values[ROW], values[FILE] = row.number, stem
        for name, get in self._add:
            try:
                values[name] = get(values)
            except BadValue as bad:
                return row._replace(reason=f"add.{name}: {bad}")
        return row

    def columns(self) -> set[str] | None:
        """The columns that every file has, where the format tells them before the rows; empty files do not count."""
        told = {path: self._open(path).columns() for path in self.paths}
        for path, columns in told.items():
            twice = {name for name in columns or () if name and (columns or []).count(name) > 1}
            if twice:
                raise MappingError(f"{path}: the header has {', '.join(sorted(twice))} more than once")
        if not any(columns is None or columns for columns in told.values()):
            raise MappingError(f"{' and '.join(map(str, told))} is empty: there is not even a header")
        known = [set(columns) for columns in told.values() if columns]
        if None in told.values() or not known:
            return None
        return set.intersection(*known) | {*self.spec.add, *self.spec.each}


def check_columns(mapping: ImportMapping, tables: Mapping[str, Table]) -> None:
    """Raises MappingError for a column that a file with a header does not have, before a row is read."""
    known = {name: table.columns() for name, table in tables.items()}
    for spec in mapping.files.values():
        for name, value in spec.add.items():
            for group in value.needs():
                _check(mapping, spec.name, group, known, {}, (f"file.{spec.name}", 0, f"add.{name}"))
    for rule in mapping.rules:
        joins = {join.name: join.file for join in rule.joins}
        for key, group in _needs(rule):
            _check(mapping, rule.file, group, known, joins, (rule.target, rule.number, key))
        for join in rule.joins:
            _check(mapping, join.file, (join.key,), known, {}, (rule.target, rule.number, f"join.{join.name}.key"))
            if join.name in (known[rule.file] or ()):
                taken = f"file.{rule.file} has a column of this name: give the join another"
                raise mapping.fault(rule.target, rule.number, f"join.{join.name}", taken)


def _needs(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in rule.fields.items():
        # `content` is made once for each channel, which it sees as if it were a column.
        yield from ((name, group) for group in value.needs() if (name, group) != ("content", ("channel",)))
    yield from (("where", (condition.column,)) for condition in rule.where)
    yield from ((f"join.{join.name}.on", join.columns) for join in rule.joins)


def _check(
    mapping: ImportMapping,
    file: str,
    group: tuple[str, ...],
    known: Mapping[str, set[str] | None],
    joins: Mapping[str, str],
    place: tuple[str, int, str],
) -> None:
    missing = None
    for column in group:
        joined, dot, rest = column.partition(".")
        holder, name = (joins[joined], rest) if dot and joined in joins else (file, column)
        columns = known[holder]
        if columns is None or name in columns or name.split(".")[0] in columns:
            return
        missing = (name, holder, columns)
    if missing is not None:
        name, holder, columns = missing
        raise mapping.fault(*place, f"file.{holder} has no column {name!r}; it has {_listed(holder, columns)}")


def _listed(file: str, columns: set[str]) -> str:
    """The columns; where there is only one, and it looks like several, the line of the mapping that parts them."""
    listed = ", ".join(sorted(columns))
    sign = next((sign for sign in _DELIMITERS if sign in listed), None) if len(columns) == 1 else None
    return listed if sign is None else f"{listed}; say delimiter = {json.dumps(sign)} in [file.{file}]"
