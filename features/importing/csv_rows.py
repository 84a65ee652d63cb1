"""Records of a CSV file. A quote that is never closed costs the row it stands in, not the rows after it.

A quoted cell may hold line breaks, so an unclosed quote looks like a cell that goes on, over the rows after it, to the
next quote or the end of the file. It is told from a real one by what follows it: see `_swallows`. Then the line that
opens the quote is put aside, and reading goes on with the next line.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

#: What `csv` says of a cell that goes on for more than 131,072 signs.
_ENDLESS = "field larger than field limit"
UNCLOSED = "a quote is opened and not closed"
_SIGNS = (re.compile(r"[0-9]"), re.compile(r"[^\W\d_]"), re.compile(r"[^\w\s]|_"))


class Record(NamedTuple):
    """The cells of one record and the `line` on which it begins; a bad one has a `reason` instead of cells."""

    line: int
    cells: list[str]
    reason: str | None = None


class _Lines:
    """The lines of a text, from 1. Those read since `begin` may be put back."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text, self._again = text, deque[str]()
        self.read: list[str] = []
        self.number, self.ended = 0, False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.read.append(line)
        self.number += 1
        return line

    def begin(self) -> int:
        """Forgets what was read; gives the number of the line to come."""
        self.read, self.ended = [], False
        return self.number + 1

    def put_back(self) -> None:
        """All that was read since `begin`, but its first line."""
        self._again.extendleft(reversed(self.read[1:]))
        self.number -= len(self.read) - 1


def csv_records(text: Iterator[str], delimiter: str) -> Iterator[Record]:
    """The header, then every record that is not blank. `text` gives lines with their ends."""
    lines, width = _Lines(text), 0
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        begin = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            endless = len(lines.read) > 1 and _ENDLESS in str(error)
            if endless:
                lines.put_back()
            yield Record(begin, [], UNCLOSED if endless else f"not CSV: {error}")
            continue
        # The reader asks for a further line only within quotes, or at the end.
        if (len(lines.read) > 1 or lines.ended) and _swallows(lines, cells, delimiter, width):
            opening = lines.read[0]
            lines.put_back()
            yield Record(begin, [], UNCLOSED)
            if width:
                continue
            # Without its header nothing of the file could be read, and names have no quotes.
            cells = next(csv.reader([opening.replace('"', "")], delimiter=delimiter))
        if any(map(str.strip, cells)):
            width = width or len(cells)
            yield Record(begin, cells)


def _swallows(lines: _Lines, cells: list[str], delimiter: str, width: int) -> bool:
    """Whether a record of several lines is a quote that was never closed. `width` is the header's, 0 for the header.

    It is, where its quotes do not come out even, as a quote has to stand at the beginning or the end of a cell; or
    where the line that opens it and most of those that it runs over are rows in themselves: as many cells as the
    header has, of which the first is made of the same sorts of signs.
    """
    first, *others = lines.read
    if lines.ended or not _strict(lines.read, delimiter):
        return True
    within = others[:-1]  # the last line has the quote that closes
    if width == 0:
        return bool(within) and _share(within, delimiter, len(cells), None) >= 0.5
    *whole, opened = next(csv.reader([first], delimiter=delimiter))
    if width == 1 or len(whole) + len(opened.split(delimiter)) != width:
        return False
    return _share(within or others, delimiter, width, _signs(first, delimiter)) >= 0.5


def _strict(lines: list[str], delimiter: str) -> bool:
    try:
        return len(list(csv.reader(lines, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False


def _share(lines: list[str], delimiter: str, width: int, signs: list[bool] | None) -> float:
    """How many of the lines are rows in themselves."""
    alike = sum(
        len(next(csv.reader([line], delimiter=delimiter), ())) == width
        and (signs is None or _signs(line, delimiter) == signs)
        for line in lines
    )
    return alike / len(lines)


def _signs(line: str, delimiter: str) -> list[bool]:
    """Whether the first cell has digits, letters, other signs."""
    cell = line.split(delimiter, 1)[0]
    return [bool(sort.search(cell.replace('"', ""))) for sort in _SIGNS]
