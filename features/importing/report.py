"""What an import did: counts for each target, and the file of rejected rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from features.importing.reasons import Reason, Reasons


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

    `left_out` counts for each target the rows that its `where` left out; `lost` is the share of rows that could not be
    taken or read, for each section, as `events`, and each file that is only joined, as `[file.x]`. `reasons` come
    commonest first; `hints` are pairs of what seems to be so and what to write in the mapping; `notes` are sentences
    on what the import did not use.
    """

    mapping: str
    tallies: Mapping[str, Tally]
    unreadable: int
    shift: int
    seconds: float
    rejects: Path | None
    example_catalogue: Path | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    #: Past contacts that count for contact limits since this import.
    contacts: int = 0

    @property
    def taken(self) -> int:
        return sum(tally.added + tally.there for tally in self.tallies.values())


class Rejects:
    """Rejected rows as JSON lines with file, line, target, reason and the row; the file exists only if there are any.

    Each import writes its own afresh, so that it tells what is wrong now.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.reasons = path, 0, Reasons()
        self._stream: IO[bytes] | None = None
        path.unlink(missing_ok=True)

    def add(self, file: str, line: int, target: str | None, reason: str, row: Mapping[str, Any]) -> None:
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("wb")
        record = {"file": file, "line": line, "target": target, "reason": reason, "row": row}
        self._stream.write(_encoded(record) + b"\n")
        self.count += 1
        self.reasons.add(file, line, target, reason)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def _encoded(record: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(record, enc_hook=str)
    except UnicodeEncodeError:  # bytes of another encoding, kept as lone surrogates
        return json.dumps(record, default=str).encode()
