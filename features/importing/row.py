"""One record of a foreign file."""

from __future__ import annotations

from typing import Any, NamedTuple


class Row(NamedTuple):
    """One record. `number` counts records from 1, `line` is where it begins; a bad one has a `reason`, no `values`."""

    number: int
    line: int
    values: dict[str, Any]
    reason: str | None = None
