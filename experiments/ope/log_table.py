"""A file of logged decisions as a table: CSV with any usual delimiter, JSON lines, or Parquet, each also gzipped.

What names things (arms, customers, decisions) is text in CSV, so that ids of twenty digits and leading zeros stay what
they are; the other formats say themselves what is text and what is a number.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.ope.columns import ColumnNames, completed
from features.errors import InvalidInput, NotFound

DELIMITERS = (",", ";", "\t", "|")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DECIMAL_COMMA = r"^\s*[+-]?[0-9]*,[0-9]+\s*$|^\s*[+-]?[0-9]+\s*$"


def read_table(path: Path, names: ColumnNames | None = None, delimiter: str | None = None) -> pa.Table:
    """The file as a table; `delimiter` None finds it out. Raises NotFound, or InvalidInput that names the file."""
    if not path.is_file():
        raise NotFound(f"no file {path}; name a Parquet, CSV or JSON lines file, or say: ledger", field="log")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        kind = Path(path.name.lower().removesuffix(".gz")).suffix
        if kind in (".parquet", ".pq") or content[:4] == b"PAR1":
            table = _parquet(content)
        elif kind in (".json", ".jsonl", ".ndjson"):
            table = _json(content)
        else:
            table = _csv(content, names or ColumnNames(), delimiter)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", field=error.field, code=error.code) from error
    except (pa.ArrowException, OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        why = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{path} cannot be read as Parquet, CSV or JSON lines: {why}", field="log") from error
    _refuse_twins(table.column_names, path)
    return table


def _parquet(content: bytes) -> pa.Table:
    from pyarrow import parquet

    table = parquet.read_table(pa.BufferReader(content))
    return table.rename_columns([name.strip() for name in table.column_names])


def _json(content: bytes) -> pa.Table:
    """JSON lines, or one list of objects. A whole number beyond 64 bits would lose digits, so it becomes text."""
    text = _decoded(content)
    rows = (
        json.loads(text) if text.lstrip().startswith("[") else [json.loads(r) for r in text.splitlines() if r.strip()]
    )
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("every row must be a JSON object")
    return pa.Table.from_pylist([{key.strip(): _narrow(value) for key, value in row.items()} for row in rows])


def _narrow(value: object) -> object:
    return str(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value


def _decoded(content: bytes) -> str:
    if content[:2] in _UTF_16:
        raise InvalidInput("it is UTF-16; save it as UTF-8", field="log", code="not_utf8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidInput(f"line {line} is not UTF-8; save it in that encoding", code="not_utf8") from error


def _csv(content: bytes, names: ColumnNames, delimiter: str | None) -> pa.Table:
    if content[:2] in _UTF_16:
        raise InvalidInput("it is UTF-16; save it as UTF-8", field="log", code="not_utf8")
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    mark = delimiter or _delimiter(content)
    header = _header(content, mark)
    found = completed(names, header)
    table = _parsed(content, header, mark, found, ".")
    # A spreadsheet of half the world writes 0,25. It does so everywhere in a file or nowhere.
    if _with_commas(table, found.action_probability) or (
        pa.types.is_integer(table.column(found.action_probability).type) and _with_commas(table, found.reward)
    ):
        table = _parsed(content, header, mark, found, ",")
    _refuse_swallowed(table, mark)
    return table


def _parsed(content: bytes, header: list[str], mark: str, names: ColumnNames, point: str) -> pa.Table:
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        pa.BufferReader(content),
        # Ours, so that blanks around a name do not count and a twin is told apart from its sister.
        read_options=arrow_csv.ReadOptions(column_names=header, skip_rows_after_names=1),
        parse_options=arrow_csv.ParseOptions(delimiter=mark, newlines_in_values=b'"' in content),
        # As bytes first: one that is not UTF-8 is then told with its row, and only where it is used.
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.binary() for name in names.texts if name in header}, decimal_point=point
        ),
    )


def _delimiter(content: bytes) -> str:
    """The delimiter that splits the first line into the most cells; a comma where none does."""
    line = content.splitlines()[0].decode("utf-8", "replace") if content else ""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _header(content: bytes, mark: str) -> list[str]:
    """The names of the columns; one without a name (an index that a data frame wrote) is called by its place."""
    start = content[: 1 << 20]
    if b"\x00" in start.split(b"\n", 1)[0]:
        raise ValueError("its first line is no text")
    try:
        text = start.split(b"\n", 1)[0].decode() if b'"' not in start else start.decode("utf-8", "surrogateescape")
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])
        "".join(cells).encode()
    except UnicodeError as error:
        raise InvalidInput("its header is not UTF-8; save the file in that encoding", code="not_utf8") from error
    if not any(cell.strip() for cell in cells):
        raise InvalidInput("it is empty: the first line must name the columns", field="log", code="empty")
    named = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    _refuse_twins(named)
    return named


def _refuse_twins(names: Sequence[str], path: Path | None = None) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        where = "" if path is None else f"{path}: "
        raise InvalidInput(f"{where}the header has {', '.join(twice)} more than once", field=twice[0], code="twice")


def _with_commas(table: pa.Table, column: str) -> bool:
    values = table.column(column)
    if not pa.types.is_string(values.type):
        return False
    matches = pc.match_substring_regex(values, _DECIMAL_COMMA)
    return bool(pc.all(matches, min_count=0).as_py()) and bool(pc.any(pc.match_substring(values, ",")).as_py())


def _refuse_swallowed(table: pa.Table, mark: str) -> None:
    """A quote that is never closed swallows rows: a cell then holds lines that are rows themselves."""
    for name in table.column_names:
        column = table.column(name)
        if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
            continue
        several = pc.fill_null(pc.match_substring(column.cast(pa.binary()), b"\n"), False)
        for row in np.flatnonzero(np.asarray(several)):
            value = column[int(row)].as_py()
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if any(line.count(mark) >= len(table.column_names) - 1 for line in text.splitlines()[1:]):
                raise InvalidInput(
                    f"column {name!r} in data row {row + 1} swallows the lines after it: a quote is opened there and "
                    "not closed; close it, or double it where it belongs to the text",
                    field=name,
                    code="unclosed_quote",
                )
