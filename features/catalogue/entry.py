"""Taking the keys of one TOML table, each checked, and complaining of those nobody took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from features.clock import from_datetime, parse_time


class Wrong(Exception):
    """What is wrong with one key of a table."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


class Entry:
    """One table of a file. Every method raises Wrong; `finish` does for a key that was not asked for."""

    def __init__(self, values: dict[str, Any], taken: Iterable[str] = ("id",)) -> None:
        self.values = values
        self._taken = set(taken)

    def take(self, key: str, kind: type, default: Any) -> Any:
        """The value of `key`, of type `kind`; None as default says that it is needed."""
        self._taken.add(key)
        if key not in self.values:
            if default is None:
                raise Wrong(key, "is needed")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Wrong(key, f"must be {NAMES.get(kind, kind.__name__)}, not {value!r}")
        return value

    def number(self, key: str, default: float, at_least: float | None = None) -> float:
        self._taken.add(key)
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Wrong(key, f"must be a number, not {value!r}")
        if at_least is not None and value < at_least:
            raise Wrong(key, f"must be at least {at_least:g}, not {value:g}")
        return float(value)

    def number_or_text(self, key: str, default: float) -> float | str:
        """A number, or text that is not empty: a CEL expression."""
        if isinstance(self.values.get(key), str) and self.values[key]:
            return str(self.take(key, str, None))
        return self.number(key, default)

    def choice(self, key: str, among: Sequence[str], default: str | None) -> str:
        value = self.take(key, str, default)
        if value not in among:
            raise Wrong(key, f"must be one of {', '.join(among)}, not {value!r}")
        return str(value)

    def items(self, key: str, kind: type) -> list[Any]:
        """A list whose members are all of `kind`; empty where the key is missing."""
        values: list[Any] = self.take(key, list, [])
        for value in values:
            if not isinstance(value, kind):
                raise Wrong(key, f"must be a list of {NAMES.get(kind, kind.__name__)}, not with {value!r}")
        return values

    def time(self, key: str) -> int | None:
        self._taken.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, datetime):
            return from_datetime(value)
        try:
            return parse_time(str(value))
        except ValueError as error:
            raise Wrong(key, f"must be a time like 2026-01-31T00:00:00Z, not {value!r}") from error

    def finish(self) -> None:
        unknown = [key for key in self.values if key not in self._taken]
        if unknown:
            raise Wrong(unknown[0], f"unknown key; one of {', '.join(sorted(self._taken))}")


#: Types as people who write TOML call them.
NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
