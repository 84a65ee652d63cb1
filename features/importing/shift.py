"""The constant by which an import moves every time, so that old data end at the present."""

from __future__ import annotations

from collections.abc import Iterable

from features.clock import parse_time
from features.importing.mapping import ImportMapping
from features.ledger import Ledger

#: 2100-01-01.
_ODD = parse_time("2100-01-01")


def find_shift(mapping: ImportMapping, ledger: Ledger, now: int, event_times: Iterable[int]) -> int:
    """Microseconds to add. It is remembered, so that a later import of the same mapping uses the same."""
    if mapping.shift is None:
        return 0
    name = f"import-shift:{mapping.name}"
    noted = ledger.note(name)
    if noted is not None:
        return int(noted)
    newest = _newest(event_times)
    if newest is None:
        return 0
    ledger.put_note(name, str(now - newest))
    return now - newest


def _newest(times: Iterable[int]) -> int | None:
    """The newest time, of those before 2100 if there are any: one odd year 9999 must not move all others by so much."""
    newest: int | None = None
    for time in times:
        if newest is None or (time < _ODD, time) > (newest < _ODD, newest):
            newest = time
    return newest
