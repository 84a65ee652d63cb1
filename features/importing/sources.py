"""Foreign files as rows: CSV, JSON, JSON lines, Parquet, each also gzipped. One bad row never stops the rest."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.errors import MappingError
from features.importing.csv_rows import UNCLOSED, Record, csv_records
from features.importing.json_rows import json_lines, json_rows
from features.importing.mapping import UTF_8
from features.importing.parquet_rows import open_parquet, parquet_rows
from features.importing.row import Row

FORMATS = ("csv", "json", "json_lines", "parquet")
_BY_SUFFIX = {".csv": "csv", ".json": "json", ".jsonl": "json_lines", ".ndjson": "json_lines", ".parquet": "parquet"}
_GZIP = b"\x1f\x8b"
#: What a text begins with that says its own encoding; the longer marks come first.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
#: How `surrogateescape` marks bytes that are not of the encoding.
_ESCAPED = re.compile("[\udc80-\udcff]")
#: What goes wrong where a file breaks off.
_BREAKS = (OSError, EOFError, ValueError, zlib.error)


class Source:
    """One file, to be read once from its beginning. Raises MappingError for a file that is none of the formats."""

    def __init__(self, path: Path, file_format: str | None = None, delimiter: str = ",", encoding: str = UTF_8) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._delimiter, self._encoding = delimiter, encoding
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
        """The names of the columns where the format tells them before the rows, else None. Uses the source up.

        No names are those of an empty file.
        """
        try:
            if self.format == "csv":
                return next((self._header(record) for record in self._csv() if record.reason != UNCLOSED), [])
            if self.format == "parquet":
                return list(open_parquet(self._seekable()).schema_arrow.names)
        except _BREAKS as error:
            raise MappingError(f"{self.path}: not a readable {self.format} file: {error}") from error
        finally:
            self.close()
        return None

    def rows(self) -> Iterator[Row]:
        """Every record; blank lines are none. Where the file itself breaks off, the last row says so."""
        last = Row(0, 0, {})
        try:
            for last in self._read():
                yield last
        except _BREAKS as error:
            yield Row(last.number + 1, last.line + 1, {}, f"the file cannot be read any further: {error}")
        finally:
            self.close()

    def _read(self) -> Iterator[Row]:
        if self.format == "csv":
            return self._csv_rows()
        if self.format == "parquet":
            return parquet_rows(self._seekable())
        stream = io.BufferedReader(self._as_utf_8())
        self._opened.append(stream)
        return json_rows(stream) if self.format == "json" else json_lines(stream)

    def _seekable(self) -> Any:
        return self._raw if self._stream is self._raw else io.BytesIO(self._stream.read())

    def _said_encoding(self) -> str:
        """What the file's first bytes say, else what the mapping says."""
        start = self._stream.read(4)
        self._stream.seek(0)
        marked = next((encoding for mark, encoding in _MARKS.items() if start.startswith(mark)), None)
        return marked or self._encoding

    def _named(self) -> str:
        return self._encoding.upper() if self._encoding == UTF_8 else self._encoding

    def _as_utf_8(self) -> Any:
        encoding = self._said_encoding()
        if encoding in (UTF_8, "utf-8-sig"):
            return self._stream
        return io.BytesIO(self._stream.read().decode(encoding).encode())

    def _csv(self) -> Iterator[Record]:
        # A byte of another encoding becomes a surrogate, which marks its row as bad and leaves the others alone.
        text = io.TextIOWrapper(self._stream, self._said_encoding(), "surrogateescape", newline="")
        self._opened.append(text)
        return csv_records(text, self._delimiter)

    def _csv_rows(self) -> Iterator[Row]:
        number, header = 0, None
        for record in self._csv():
            if header is None:
                if record.reason == UNCLOSED:
                    yield Row(0, record.line, {}, f"in the header: {record.reason}")
                else:
                    header = self._header(record)
                continue
            number += 1
            yield self._csv_row(number, record, header)

    def _header(self, record: Record) -> list[str]:
        """Raises ValueError for what is no CSV, no text, or text of another encoding, without repeating it."""
        if record.reason is not None:
            raise ValueError(f"its first line is {record.reason}")
        names = "".join(record.cells)
        if _CONTROL.search(names):
            raise ValueError("its first line is not text; is it really this format?")
        if _ESCAPED.search(names):
            known = "say in its [file...] what it is, as in encoding = 'cp1252'"
            raise ValueError(f"its first line is not {self._named()}; {known}")
        return [cell.strip() for cell in record.cells]

    def _csv_row(self, number: int, record: Record, header: list[str]) -> Row:
        cells, reason = record.cells, record.reason
        if reason is None and len(cells) != len(header):
            reason = f"{len(cells)} cells, but the header has {len(header)}"
        if reason is None and _ESCAPED.search("".join(cells)):
            reason = f"not {self._named()}"
        if reason is None and cells[0].strip() == header[0] and [cell.strip() for cell in cells] == header:
            reason = "the header once more"
        if reason is not None:
            return Row(number, record.line, {}, reason)
        return Row(number, record.line, dict(zip(header, cells, strict=True)))
