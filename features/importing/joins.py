"""The rows that others join, by their keys; of several with the same key the first counts, and the others are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from features.importing.cells import BadValue, identity
from features.importing.mapping import ImportMapping
from features.importing.row import Row
from features.importing.rules import Joined
from features.importing.values import finder

#: Gives the readable rows of a file of the mapping, each with the name of the file it stands in.
Rows = Callable[[str], Iterator[tuple[str, Row]]]


@dataclass(slots=True)
class Twins:
    """Rows of a joined file whose key an earlier row has already: how many, and where the first of them stands."""

    file: str
    key: str
    path: str
    line: int
    count: int = 0

    def __str__(self) -> str:
        rows = "1 row" if self.count == 1 else f"{self.count:,} rows"
        return (
            f"{rows} of [file.{self.file}] cannot be joined: the {self.key!r} stands in an earlier row, which counts"
            f" (first: {self.path}, line {self.line})"
        )


@dataclass(slots=True)
class JoinedFiles:
    """What rules look up, and what of it nobody can find."""

    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    twins: dict[tuple[str, str], Twins] = field(default_factory=dict)

    @property
    def joined(self) -> Joined:
        return self.rows


def read_joined(mapping: ImportMapping, rows: Rows, reject: Callable[[str, Row, str], None]) -> JoinedFiles:
    """Reads every file that is joined, once for each of its keys. A key that has lost digits is rejected."""
    found = JoinedFiles()
    for file, key in sorted({(join.file, join.key) for rule in mapping.rules for join in rule.joins}):
        by_key = found.rows.setdefault((file, key), {})
        find = finder((key,))
        for path, row in rows(file):
            value = find(row.values)
            try:
                name = None if value is None else identity(value)
            except BadValue as bad:
                reject(path, row, f"{key}: {bad}")
                continue
            if name is not None and by_key.setdefault(name, row.values) is not row.values:
                found.twins.setdefault((file, key), Twins(file, key, path, row.line)).count += 1
    return found
