"""TOML files as editors save them: a mark at the beginning does not matter, anything else is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInput
from features.toml_text import NotToml, decode_toml, parse_toml, read_toml


def refused(content: bytes) -> tuple[int, str]:
    with pytest.raises(NotToml) as caught:
        parse_toml(content)
    return caught.value.line, caught.value.reason


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse_toml(b"\xef\xbb\xbfport = 3000\r\n") == {"port": 3000}
    assert decode_toml(b"\xef\xbb\xbfport = 3000\n") == "port = 3000\n"


def test_text_of_any_script_is_read_as_utf_8() -> None:
    assert parse_toml('name = "Zoë 東京"'.encode()) == {"name": "Zoë 東京"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_encoding_of_unicode_is_named(encoding: str) -> None:
    assert refused("a = 1".encode(encoding)) == (1, f"it is saved as {encoding.upper()}; save it as UTF-8")


def test_bytes_of_another_encoding_are_told_by_line_and_place() -> None:
    assert refused(b"a = 1\nb = '\xfc'\n") == (2, "byte 6 of the line is not UTF-8; save the file as UTF-8")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\na = 2\n", 2, "not TOML: Cannot overwrite a value"),
        ("a = 1\n\nb = [1,\n\n", 3, "not TOML"),
        ("a = " + "[" * 100_000, 1, "too many brackets"),
        ("a = " + "9" * 5_000, 1, "too many digits"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int, said: str) -> None:
    told = refused(text.encode())
    assert told[0] == line
    assert said in told[1]


def test_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"a = 1\nb =\n")
    with pytest.raises(InvalidInput, match=r"x\.toml:2: not TOML"):
        read_toml(path)
    path.write_bytes(b"a = 1\n")
    assert read_toml(path) == {"a": 1}


@given(st.binary(max_size=40) | st.text(alphabet="a=[]{}'\"\n#.1-:T\ufeff", max_size=40).map(str.encode))
def test_any_bytes_are_tables_or_are_refused(content: bytes) -> None:
    try:
        read: object = parse_toml(content)
    except NotToml as error:
        read = error
    assert isinstance(read, dict) or (isinstance(read, NotToml) and read.line >= 1)
