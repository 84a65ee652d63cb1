"""Rows of JSON files: one object on each line, or one list of objects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from features.importing.row import Row

_CHUNK = 1 << 16
_MARK = b"\xef\xbb\xbf"
_BETWEEN = re.compile(r"[\s,]*")
#: What is wrong with a text, in the words of either reader.
_FAULTS = (ValueError, RecursionError)


def json_rows(stream: io.BufferedReader) -> Iterator[Row]:
    """A JSON file is one list of objects, or in truth JSON lines: its first sign tells."""
    start = stream.peek(_CHUNK).lstrip(_MARK + b" \t\r\n")
    if not start.startswith(b"["):
        yield from json_lines(stream)
        return
    with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        yield from _json_list(text)


def json_lines(stream: Iterable[bytes]) -> Iterator[Row]:
    """The object of each line that is not blank."""
    decode, number = msgspec.json.Decoder().decode, 0
    for line, text in enumerate(stream, start=1):
        if line == 1:
            text = text.removeprefix(_MARK)
        if text.isspace() or not text:
            continue
        number += 1
        try:
            values = decode(text)
        except _FAULTS as error:
            yield _read_again(number, line, text, error)
            continue
        yield _object(number, line, values)


def _read_again(number: int, line: int, text: bytes, error: Exception) -> Row:
    """Python's own programs write NaN and Infinity, which JSON does not have and only Python's reader takes."""
    try:
        return _object(number, line, json.loads(text))
    except _FAULTS:
        return Row(number, line, {}, f"not JSON: {_said(error)}")


def _said(error: Exception) -> str:
    return "too many brackets within each other" if isinstance(error, RecursionError) else str(error)


def _object(number: int, line: int, values: Any) -> Row:
    if isinstance(values, dict):
        return Row(number, line, values)
    return Row(number, line, {}, "not a JSON object")


def _json_list(text: io.TextIOWrapper) -> Iterator[Row]:
    """The members of one long list, one at a time; a fault in one of them ends the file, for no line tells the next."""
    decode, number, line = json.JSONDecoder().raw_decode, 0, 1
    buffer, place = text.read(_CHUNK).lstrip()[1:], 0
    while True:
        gap = _BETWEEN.match(buffer, place)
        line += buffer.count("\n", place, gap.end() if gap else place)
        place = gap.end() if gap else place
        if buffer.startswith("]", place):
            if (buffer[place + 1 :] + text.read(_CHUNK)).strip():
                yield Row(number + 1, line, {}, "not JSON: the file goes on after its list has ended")
            return
        try:
            values, end = decode(buffer, place)
        except json.JSONDecodeError as error:
            more = text.read(max(_CHUNK, len(buffer) - place))  # twice as much each time: no square of copying
            if not more:
                raise ValueError(f"not JSON: {error.msg}") from error
            buffer, place = buffer[place:] + more, 0
            continue
        except RecursionError as error:
            raise ValueError(f"not JSON: {_said(error)}") from error
        if end == len(buffer) and (more := text.read(_CHUNK)):
            buffer, place = buffer[place:] + more, 0  # a number may go on in the next piece
            continue
        number += 1
        yield _object(number, line, values)
        line += buffer.count("\n", place, end)
        place = end
