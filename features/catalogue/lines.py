"""Where in a TOML file an entry or its key stands. tomllib tells no lines, so the headers are counted."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]")


class Lines:
    """The lines of one file, for asking where something stands. Lines count from 1."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._headers = [(n, found.group(1)) for n, line in enumerate(self._lines) if (found := _HEADER.match(line))]

    def of(self, section: str, number: int, key: str | None = None, value: str = "") -> int:
        """The line of `key` in the `number`-th table (from 0) of `section`, or of that table's own first line.

        Where `key` stands several times, as `channel` in a list of treatments, `value` tells which is meant.
        """
        starts = [n for n, name in self._headers if name == section]
        if number >= len(starts):  # written as an inline list, or not at all
            return self._find(rf"\s*{re.escape(section)}\b", 0, len(self._lines)) or 1
        start = starts[number]
        end = next(
            (n for n, name in self._headers if n > start and not name.startswith(f"{section}.")), len(self._lines)
        )
        if key is None:
            return start + 1
        said = rf".*[\"']{re.escape(value)}[\"']"
        for word in reversed(key.split(".")):
            # A key of an inner table stands on a line of its own or after a brace: treatment = [{ channel = "web" }].
            own, inner = rf"\s*{re.escape(word)}\s*=", rf".*[{{,.\[]\s*{re.escape(word)}\s*[=\]]"
            with_value = (rf"(?={said}){own}", rf"(?={said}){inner}") if value else ()
            for pattern in (*with_value, own, inner):
                line = self._find(pattern, start, end)
                if line is not None:
                    return line
        return start + 1

    def _find(self, pattern: str, start: int, end: int) -> int | None:
        return next((n + 1 for n in range(start, end) if re.match(pattern, self._lines[n])), None)
