"""A rule made ready: does it take this row, and what are the fields of what it makes?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from features.clock import LATEST
from features.importing.cells import BadValue, identity
from features.importing.mapping import Condition, Join, Rule
from features.importing.targets import TARGETS
from features.importing.times import EARLIEST
from features.importing.values import Getter, finder, getter

Fields = dict[str, Any]
#: (file, key column) -> key as `identity` has it -> row
Joined = Mapping[tuple[str, str], Mapping[str, dict[str, Any]]]

Test = Callable[[dict[str, Any]], bool]
#: (field as the mapping names it, key in what is made, its getter, is it needed, microseconds to add)
Member = tuple[str, str, Getter, bool, int]


class ReadyRule:
    """One rule with its columns resolved; `shift` (microseconds) is added to every time it reads."""

    def __init__(self, rule: Rule, joined: Joined, shift: int = 0) -> None:
        self.rule, self.target = rule, rule.target
        #: Rows looked at, and those that passed every condition.
        self.seen = self.taken = 0
        #: Why the row taken last could not be joined.
        self._bad_key: BadValue | None = None
        names = tuple(f"{join.name}." for join in rule.joins)
        #: For each condition how many rows passed it, of those that passed the ones before.
        self.passed = dict.fromkeys(range(len(rule.where)), 0)
        tests = [(number, _test(c), c.column.startswith(names)) for number, c in enumerate(rule.where)]
        self._early = [(number, test) for number, test, late in tests if not (names and late)]
        self._late = [(number, test) for number, test, late in tests if names and late]
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
        self.seen += 1
        if not self._pass(self._early, row):
            return False
        self._bad_key = None
        for name, look_up in self._joins:
            try:
                row[name] = look_up(row)
            except BadValue as bad:
                row[name], self._bad_key = None, BadValue(f"join.{name}: {bad}")
        if not self._pass(self._late, row):
            return False
        self.taken += 1
        return True

    def _pass(self, tests: list[tuple[int, Test]], row: dict[str, Any]) -> bool:
        for number, test in tests:
            if not test(row):
                return False
            self.passed[number] += 1
        return True

    def never_met(self) -> str | None:
        """The first condition that no row met, as the mapping puts it, where rows came to it."""
        came = self.seen
        for number, _ in (*self._early, *self._late):
            if came and not self.passed[number]:
                return self.rule.where[number].said
            came = self.passed[number]
        return None

    def fields(self, row: dict[str, Any]) -> Fields:
        """The fields that have a value, of the row taken last; tables are dicts of those that have one.

        Raises BadValue, naming the field.
        """
        if self._bad_key is not None:
            raise self._bad_key
        made = _collect(self._fields, row)
        for table, members in self._tables.items():
            made[table] = _collect(members, row)
        return made


def time_only(rule: Rule, joined: Joined) -> ReadyRule:
    """The rule as far as it is needed to know when."""
    asked = {condition.column.split(".")[0] for condition in rule.where}
    joins = tuple(join for join in rule.joins if join.name in asked)
    return ReadyRule(replace(rule, fields={"occurred_at": rule.fields["occurred_at"]}, joins=joins), joined)


def _collect(members: list[Member], row: dict[str, Any]) -> Fields:
    made: Fields = {}
    for name, inner, get, needed, shift in members:
        try:
            value = get(row)
        except BadValue as bad:
            raise BadValue(f"{name}: {bad}") from bad
        if value is not None:
            # A time that stands for "never", as 9999-12-31, stays within what a time can be.
            made[inner] = min(max(value + shift, EARLIEST), LATEST) if shift else value
        elif needed:
            raise BadValue(f"{name}: is missing")
    return made


def _test(condition: Condition) -> Test:
    find, wanted, negated = finder((condition.column,)), condition.values, condition.negated

    def test(row: dict[str, Any]) -> bool:
        found = find(row)
        if wanted is None:
            return (found is None) == negated
        # A mapping may well say "" for what is missing.
        return wanted.has("" if found is None else found) != negated

    return test


def _lookup(join: Join, joined: Joined) -> tuple[str, Callable[[dict[str, Any]], dict[str, Any] | None]]:
    find, rows = finder(join.columns), joined[join.file, join.key]

    def look_up(row: dict[str, Any]) -> dict[str, Any] | None:
        found = find(row)
        return None if found is None else rows.get(identity(found))

    return join.name, look_up
