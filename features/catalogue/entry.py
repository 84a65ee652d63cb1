"""Taking the keys of one TOML table, each checked, and complaining of those nobody took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from typing import Any

from features.clock import from_datetime, parse_time
from features.figures import number
from features.setting_values import nearest

#: No amount, percent or number of days is larger: the ledger keeps money in millionths, as whole numbers of 64 bits.
MOST = 1e12


class Wrong(Exception):
    """What is wrong with one key of a table; `near` is a value on its line, where several lines have such a key."""

    def __init__(self, key: str, message: str, near: str = "") -> None:
        super().__init__(message)
        self.key, self.message, self.near = key, message, near


class Entry:
    """One table of a file; `finish` complains of keys that were not asked for.

    What is wrong is raised as Wrong. Given a list of `faults`, it is added to them instead, the first of each key, and
    a default stands in, so that the rest is looked at too.
    """

    def __init__(
        self, values: dict[str, Any], taken: Iterable[str] = ("id",), faults: list[Wrong] | None = None
    ) -> None:
        self.values = values
        self._taken = set(taken)
        self._faults = faults
        self._told: set[str] = set()
        self._prefix = self._near = ""

    def inner(self, values: dict[str, Any], key: str, near: str = "") -> Entry:
        """A table within this one, under `key`."""
        entry = Entry(values, faults=self._faults)
        entry._prefix, entry._near = f"{key}.", near
        return entry

    def wrong(self, key: str, message: str) -> None:
        """Complains of a key."""
        wrong = Wrong(self._prefix + key, message, self._near)
        if self._faults is None:
            raise wrong
        if key not in self._told:
            self._faults.append(wrong)
        self._told.add(key)

    def told(self, *keys: str) -> bool:
        """Whether one of these was complained of, so that nothing follows from what stands in for it."""
        return not self._told.isdisjoint(keys)

    def take(self, key: str, kind: type, default: Any) -> Any:
        """The value of `key`, of type `kind`; None as default says that it is needed."""
        self._taken.add(key)
        value = self.values.get(key, default)
        if value is None:
            self.wrong(key, "is needed")
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong(key, f"must be {NAMES.get(kind, kind.__name__)}, not {shown(value)}")
        else:
            return value
        return kind() if default is None else default

    def number(self, key: str, default: float, at_least: float | None = None) -> float:
        self._taken.add(key)
        value = self.values.get(key, default)
        if not is_number(value):
            self.wrong(key, f"must be a number, not {shown(value)}")
        elif abs(value) > MOST:
            self.wrong(key, f"must be at most {MOST:,.0f}, not {shown(value)}")
        elif at_least is not None and value < at_least:
            self.wrong(key, f"must be at least {number(at_least)}, not {shown(value)}")
        else:
            return float(value)
        return default

    def number_or_text(self, key: str, default: float) -> float | str:
        """A number, or text that is not empty: a CEL expression."""
        if isinstance(self.values.get(key), str) and self.values[key]:
            return str(self.take(key, str, None))
        return self.number(key, default)

    def choice(self, key: str, among: Sequence[str], default: str | None) -> str:
        value = self.take(key, str, default)
        if value not in among:
            self.wrong(key, f"must be one of {', '.join(among)}, not {value!r}")
            return default or among[0]
        return str(value)

    def items(self, key: str, kind: type) -> list[Any]:
        """A list whose members are all of `kind`; empty where the key is missing."""
        values: list[Any] = self.take(key, list, [])
        for value in values:
            if not isinstance(value, kind):
                self.wrong(key, f"must be a list of {NAMES.get(kind, kind.__name__)}, not with {value!r}")
        return [value for value in values if isinstance(value, kind)]

    def time(self, key: str) -> int | None:
        self._taken.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        try:
            return from_datetime(value) if isinstance(value, datetime) else parse_time(str(value))
        except (ValueError, OverflowError):  # also the first hours of the year 1, east of Greenwich
            self.wrong(key, f"must be a time like 2026-01-31T00:00:00Z, not {shown(value)}")
            return None

    def finish(self) -> None:
        for key in self.values:
            if key not in self._taken:
                meant = nearest(key, self._taken)
                advice = f"did you mean {meant}?" if meant else f"one of {', '.join(sorted(self._taken))}"
                self.wrong(key, f"unknown key; {advice}")


def is_number(value: object) -> bool:
    """Whether it is a number that counts: not true or false, not infinite, and within what a double can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def shown(value: object) -> str:
    """A value as a TOML file has it, not too long to be read: `true` and not `True`."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value}"[:40] if isinstance(value, date | time) else f"{value!r}"[:80]


#: Types as people who write TOML call them.
NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
