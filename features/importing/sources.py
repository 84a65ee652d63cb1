"""Foreign files as rows: CSV, JSON, JSON lines, Parquet, each also gzipped. One bad row never stops the rest."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from features.errors import MappingError

FORMATS = ("csv", "json", "json_lines", "parquet")
_BY_SUFFIX = {".csv": "csv", ".json": "json", ".jsonl": "json_lines", ".ndjson": "json_lines", ".parquet": "parquet"}
_GZIP = b"\x1f\x8b"
_PARQUET_ROWS = 4_096
_JSON_CHUNK = 1 << 16
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
#: How `surrogateescape` marks bytes that are not UTF-8.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


class Row(NamedTuple):
    """One record. `number` counts records from 1, `line` is where it stands; a bad one has a `reason`, no `values`."""

    number: int
    line: int
    values: dict[str, Any]
    reason: str | None = None


class Source:
    """One file, to be read once from its beginning. Raises MappingError for a file that is none of the formats."""

    def __init__(self, path: Path, file_format: str | None = None, delimiter: str = ",") -> None:
        self.path = path
        self.size = path.stat().st_size
        self._delimiter = delimiter
        self._raw = path.open("rb")
        gzipped = self._raw.read(2) == _GZIP
        self._raw.seek(0)
        self._stream: Any = gzip.GzipFile(fileobj=self._raw) if gzipped else self._raw
        self._opened: list[Any] = [self._raw, self._stream]
        suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
        self.format = file_format or _BY_SUFFIX.get(suffix, "")
        if not self.format:
            self.close()
            raise MappingError(f"{path}: cannot tell the format by the name; say format = one of {', '.join(FORMATS)}")

    def close(self) -> None:
        for stream in reversed(self._opened):
            stream.close()

    def position(self) -> int:
        """How far reading has come, in bytes of the file as it lies on the disk."""
        return self.size if self._raw.closed else min(self._raw.tell(), self.size)

    def columns(self) -> list[str] | None:
        """The names of the columns where the format tells them before the rows, else None. Uses the source up."""
        try:
            if self.format == "csv":
                return next((_header(cells) for cells in self._csv() if any(map(str.strip, cells))), [])
            if self.format == "parquet":
                return list(self._parquet().schema_arrow.names)
        except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
            raise MappingError(f"{self.path}: not a readable {self.format} file: {error}") from error
        finally:
            self.close()
        return None

    def rows(self) -> Iterator[Row]:
        """Every record; blank lines are none. Where the file itself breaks off, the last row says so."""
        readers = {
            "csv": self._csv_rows,
            "json": self._json_rows,
            "json_lines": lambda: _json_lines(self._stream),
            "parquet": self._parquet_rows,
        }
        last = Row(0, 0, {})
        try:
            for last in readers[self.format]():
                yield last
        except (OSError, EOFError, ValueError, zlib.error) as error:
            yield Row(last.number + 1, last.line + 1, {}, f"the file cannot be read any further: {error}")
        finally:
            self.close()

    def _csv(self) -> Any:
        # A byte that is not UTF-8 becomes a surrogate, which marks its row as bad and leaves the others alone.
        text = io.TextIOWrapper(self._stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._opened.append(text)
        return csv.reader(text, delimiter=self._delimiter)

    def _csv_rows(self) -> Iterator[Row]:
        reader, number = self._csv(), 0
        header: list[str] = []
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield Row(number, reader.line_num, {}, f"not CSV: {error}")
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells)
                continue
            number += 1
            yield _csv_row(number, reader.line_num, header, cells)

    def _json_rows(self) -> Iterator[Row]:
        """A JSON file is one list of objects, or in truth JSON lines: its first sign tells."""
        buffered = io.BufferedReader(self._stream)
        self._opened.append(buffered)
        start = buffered.peek(_JSON_CHUNK).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start.startswith(b"["):
            return _json_lines(buffered)
        text = io.TextIOWrapper(buffered, encoding="utf-8-sig")
        self._opened.append(text)
        return _json_list(text)

    def _parquet(self) -> Any:
        from pyarrow import parquet

        # Parquet is read from its end: a gzipped one has to be unpacked first.
        return parquet.ParquetFile(self._raw if self._stream is self._raw else io.BytesIO(self._stream.read()))

    def _parquet_rows(self) -> Iterator[Row]:
        number = 0
        for batch in self._parquet().iter_batches(_PARQUET_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, number, values)


def _header(cells: list[str]) -> list[str]:
    """Raises ValueError for what is no text, or text of another encoding, without repeating it."""
    names = "".join(cells)
    if _CONTROL.search(names):
        raise ValueError("its first line is not text; is it really this format?")
    if _NOT_UTF_8.search(names):
        raise ValueError("its first line is not UTF-8; save it in that encoding")
    return [cell.strip() for cell in cells]


def _csv_row(number: int, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        return Row(number, line, {}, f"{len(cells)} cells, but the header has {len(header)}")
    values = dict(zip(header, cells, strict=True))
    text = "".join(cells)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return Row(number, line, {}, "not UTF-8")
    return Row(number, line, values)


def _json_lines(stream: Iterable[bytes]) -> Iterator[Row]:
    decode, number = msgspec.json.Decoder().decode, 0
    for line, text in enumerate(stream, start=1):
        if line == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text.isspace() or not text:
            continue
        number += 1
        try:
            values = decode(text)
        except ValueError as error:  # both that of msgspec and that of UTF-8
            yield Row(number, line, {}, f"not JSON: {error}")
            continue
        yield _object(number, line, values)


def _object(number: int, line: int, values: Any) -> Row:
    if isinstance(values, dict):
        return Row(number, line, values)
    return Row(number, line, {}, "not a JSON object")


_BETWEEN = re.compile(r"[\s,]*")


def _json_list(text: io.TextIOWrapper) -> Iterator[Row]:
    """The members of one long list, one at a time; a fault in one of them ends the file, for no line tells the next."""
    decode, number, line = json.JSONDecoder().raw_decode, 0, 1
    buffer, place = text.read(_JSON_CHUNK).lstrip()[1:], 0
    while True:
        gap = _BETWEEN.match(buffer, place)
        line += buffer.count("\n", place, gap.end() if gap else place)
        place = gap.end() if gap else place
        if buffer.startswith("]", place):
            return
        try:
            values, end = decode(buffer, place)
        except json.JSONDecodeError as error:
            more = text.read(max(_JSON_CHUNK, len(buffer) - place))  # twice as much each time: no square of copying
            if not more:
                raise ValueError(f"not JSON: {error.msg}") from error
            buffer, place = buffer[place:] + more, 0
            continue
        number += 1
        yield _object(number, line, values)
        line += buffer.count("\n", place, end)
        place = end
