"""A rule made ready: does it take this row, and what are the fields of what it makes?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from features.importing.kinds import BadValue, plain
from features.importing.mapping import Condition, Join, Rule
from features.importing.targets import TARGETS
from features.importing.values import Getter, finder, getter

Fields = dict[str, Any]
#: (file, key column) -> key as plain text -> row
Joined = Mapping[tuple[str, str], Mapping[str, dict[str, Any]]]

#: (field as the mapping names it, key in what is made, its getter, is it needed, microseconds to add)
Member = tuple[str, str, Getter, bool, int]


class ReadyRule:
    """One rule with its columns resolved; `shift` (microseconds) is added to every time it reads."""

    def __init__(self, rule: Rule, joined: Joined, shift: int = 0) -> None:
        self.rule, self.target = rule, rule.target
        names = tuple(f"{join.name}." for join in rule.joins)
        self._early = [_test(c) for c in rule.where if not c.column.startswith(names)]
        self._late = [_test(c) for c in rule.where if c.column.startswith(names)] if names else []
        self._joins = [_lookup(join, joined) for join in rule.joins]
        needed = TARGETS[rule.target].needed
        self._fields: list[Member] = []
        self._tables: dict[str, list[Member]] = {table: [] for table in TARGETS[rule.target].tables}
        for name, value in rule.fields.items():
            table, dot, inner = name.partition(".")
            moved = shift if value.kind.is_time else 0
            if dot:
                self._tables[table].append((name, inner, getter(value), False, 0))
            else:
                self._fields.append((name, name, getter(value), name in needed, moved))

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether the row passes `where`. Rows it joins are put into `row` under their names."""
        for test in self._early:
            if not test(row):
                return False
        for name, look_up in self._joins:
            row[name] = look_up(row)
        return all(test(row) for test in self._late)

    def fields(self, row: dict[str, Any]) -> Fields:
        """The fields that have a value; tables are dicts of those that have one. Raises BadValue, naming the field."""
        made = _collect(self._fields, row)
        for table, members in self._tables.items():
            made[table] = _collect(members, row)
        return made


def _collect(members: list[Member], row: dict[str, Any]) -> Fields:
    made: Fields = {}
    for name, inner, get, needed, shift in members:
        try:
            value = get(row)
        except BadValue as bad:
            raise BadValue(f"{name}: {bad}") from bad
        if value is not None:
            made[inner] = value + shift if shift else value
        elif needed:
            raise BadValue(f"{name}: is missing")
    return made


def _test(condition: Condition) -> Callable[[dict[str, Any]], bool]:
    find, wanted, negated = finder((condition.column,)), condition.values, condition.negated

    def test(row: dict[str, Any]) -> bool:
        found = find(row)
        if isinstance(found, str):
            found = found.strip()
        if wanted is None:
            return (found is None or found == "") == negated
        return (found is not None and plain(found) in wanted) != negated

    return test


def _lookup(join: Join, joined: Joined) -> tuple[str, Callable[[dict[str, Any]], dict[str, Any] | None]]:
    find, rows = finder(join.columns), joined[join.file, join.key]

    def look_up(row: dict[str, Any]) -> dict[str, Any] | None:
        found = find(row)
        return None if found is None else rows.get(plain(found).strip())

    return join.name, look_up
