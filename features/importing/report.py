"""What an import did: counts for each target, and the file of rejected rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec


@dataclass(slots=True)
class Tally:
    """Rows read for a target = added + there (already) + rejected."""

    read: int = 0
    added: int = 0
    there: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`shift` in microseconds; `rejects` is None when no row was rejected; `unreadable` rows belong to no target.

    `example_catalogue` is the home's catalogue where that is the shipped example, for nothing brought another.
    """

    mapping: str
    tallies: Mapping[str, Tally]
    unreadable: int
    shift: int
    seconds: float
    rejects: Path | None
    example_catalogue: Path | None = None

    @property
    def taken(self) -> int:
        return sum(tally.added + tally.there for tally in self.tallies.values())


class Rejects:
    """Rejected rows as JSON lines with file, line, target, reason and the row; the file exists only if there are any.

    Each import writes its own afresh, so that it tells what is wrong now.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._stream: IO[bytes] | None = None
        path.unlink(missing_ok=True)

    def add(self, file: str, line: int, target: str | None, reason: str, row: Mapping[str, Any]) -> None:
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("wb")
        record = {"file": file, "line": line, "target": target, "reason": reason, "row": row}
        self._stream.write(msgspec.json.encode(record, enc_hook=str) + b"\n")
        self.count += 1

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
