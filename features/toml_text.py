"""TOML files as people's editors save them: with a byte order mark or without, and told when they are no TOML."""

from __future__ import annotations

import codecs
import re
import tomllib
from pathlib import Path
from typing import Any

from features.errors import InvalidInput

#: What a file begins with that is written in another encoding of Unicode; the longer marks come first.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class NotToml(ValueError):
    """Why bytes are no TOML (`reason`, with the column where it is known), and at which `line`, from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


def decode_toml(content: bytes) -> str:
    """The text of a TOML file without its byte order mark. Raises NotToml for what is not UTF-8, naming the place."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            raise NotToml(1, f"it is saved as {encoding}; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise NotToml(line, f"byte {column} of the line is not UTF-8; save the file as UTF-8") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML file. Raises NotToml."""
    text = decode_toml(content)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise NotToml(1, "not TOML: too many brackets within each other") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        last = text.count("\n", 0, len(text.rstrip())) + 1
        line = int(found.group(1)) if found else last if "end of document" in str(error) else 1
        raise NotToml(line, f"not TOML: {error}{_key_on(text, line)}") from error
    except ValueError as error:  # Python reads at most 4,300 digits as one number
        raise NotToml(1, "not TOML: a number has too many digits") from error


def _key_on(text: str, line: int) -> str:
    """Which key stands on a line, for people who look for the key."""
    lines = text.splitlines()
    found = re.match(r"\s*([\w.\"'-]+)\s*=", lines[line - 1] if line <= len(lines) else "")
    return f", at the key {found.group(1)}" if found else ""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises InvalidInput that names file, line and what is wrong there."""
    try:
        return parse_toml(path.read_bytes())
    except NotToml as error:
        raise InvalidInput(f"{path}:{error.line}: {error.reason}") from error
