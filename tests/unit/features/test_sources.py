"""Foreign files as rows, with the place of each, and a reason for each that cannot be read."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from features.errors import MappingError
from features.importing.row import Row
from features.importing.sources import Source


def rows(path: Path, **given: Any) -> list[Row]:
    return list(Source(path, **given).rows())


def values(path: Path, **given: Any) -> list[dict[str, Any]]:
    return [row.values for row in rows(path, **given)]


def reasons(path: Path) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows(path) if row.reason]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


PEOPLE = [{"id": "1", "name": "Zoë"}, {"id": "2", "name": "a,b\nc"}]


def test_the_same_rows_come_out_of_every_format_also_gzipped(tmp_path: Path) -> None:
    files = {
        "p.csv": 'id,name\r\n1,Zoë\r\n2,"a,b\nc"\r\n'.encode(),
        "p.json": msgspec.json.encode(PEOPLE),
        "p.jsonl": b"\n".join(msgspec.json.encode(one) for one in PEOPLE),
        "p.ndjson": b"\n".join(msgspec.json.encode(one) for one in PEOPLE),
    }
    parquet.write_table(pa.Table.from_pylist(PEOPLE), tmp_path / "p.parquet")
    files["p.parquet"] = (tmp_path / "p.parquet").read_bytes()
    for name, content in files.items():
        assert values(write(tmp_path / name, content)) == PEOPLE, name
        assert values(write(tmp_path / f"{name}.gz", gzip.compress(content))) == PEOPLE, name


def test_a_json_file_may_hold_json_lines(tmp_path: Path) -> None:
    assert values(write(tmp_path / "p.json", '{"a": 1}\n{"a": 2}\n')) == [{"a": 1}, {"a": 2}]


def test_a_gzipped_file_need_not_say_so_in_its_name(tmp_path: Path) -> None:
    assert values(write(tmp_path / "p.csv", gzip.compress(b"a\n1\n"))) == [{"a": "1"}]


def test_format_and_delimiter_may_be_said(tmp_path: Path) -> None:
    assert values(write(tmp_path / "p.dat", "a;b\n1;2\n"), file_format="csv", delimiter=";") == [{"a": "1", "b": "2"}]


def test_a_name_that_tells_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"p\.dat: cannot tell the format"):
        Source(write(tmp_path / "p.dat", ""))


def test_blank_lines_are_no_rows_and_do_not_count(tmp_path: Path) -> None:
    lines = rows(write(tmp_path / "p.jsonl", '\n{"a": 1}\n\n   \n{"a": 2}\n\n'))
    assert [(row.number, row.line) for row in lines] == [(1, 2), (2, 5)]
    cells = rows(write(tmp_path / "p.csv", "\na\n1\n\n2\n,\n"))
    assert [(row.number, row.line) for row in cells if row.reason is None] == [(1, 3), (2, 5)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    assert values(write(tmp_path / "p.csv", mark + b"a\n1\n")) == [{"a": "1"}]
    assert values(write(tmp_path / "p.jsonl", mark + b'{"a": 1}\n')) == [{"a": 1}]
    assert values(write(tmp_path / "p.json", mark + b'[{"a": 1}]')) == [{"a": 1}]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for name in ("p.csv", "p.jsonl", "p.json"):
        assert rows(write(tmp_path / name, "")) == []
    assert rows(write(tmp_path / "p2.json", "[]")) == []


def test_bad_json_lines_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}\n')
    assert [line for line, _ in reasons(path)] == [2, 3, 4]
    assert [row.number for row in rows(path) if row.reason is None] == [1, 5]
    assert reasons(path)[1] == (3, "not a JSON object")


def test_bad_csv_rows_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", b"a,b\n1\n1,2,3\n\xff,2\n" + b"x" * 200_000 + b",1\n3,4\n")
    assert reasons(path)[:3] == [
        (2, "1 cells, but the header has 2"),
        (3, "3 cells, but the header has 2"),
        (4, "not UTF-8"),
    ]
    assert reasons(path)[3][1].startswith("not CSV: field larger")
    assert [row.values for row in rows(path) if row.reason is None] == [{"a": "3", "b": "4"}]


def test_a_json_list_knows_lines_and_ends_at_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", '[\n {"a":\n 1},\n 5,\n {"a": 2},\n {"a" 3}\n]')
    assert [(row.number, row.line, row.reason is None) for row in rows(path)] == [
        (1, 2, True),
        (2, 4, False),
        (3, 5, True),
        (4, 6, False),
    ]
    assert "cannot be read any further" in reasons(path)[-1][1]


def test_a_list_longer_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    many = [{"n": n, "text": "x" * 100} for n in range(30_000)]  # 3.5 MB, read by the megabyte
    path = write(tmp_path / "p.json", msgspec.json.encode(many))
    assert [row.values["n"] for row in Source(path).rows()] == list(range(30_000))


@pytest.mark.parametrize("name", ["p.csv.gz", "p.jsonl.gz", "p.json.gz"])
def test_a_file_that_breaks_off_says_so_in_its_last_row(tmp_path: Path, name: str) -> None:
    # Differing rows, so that what is compressed is long enough to be cut in its middle.
    lines = [msgspec.json.encode({"a": n * 7919 % 10_007}) for n in range(20_000)]
    whole = {"p.csv.gz": b"a\n" + b"\n".join(str(n * 7919 % 10_007).encode() for n in range(20_000))}
    whole |= {"p.jsonl.gz": b"\n".join(lines), "p.json.gz": b"[" + b",".join(lines) + b"]"}
    packed = gzip.compress(whole[name])
    read = rows(write(tmp_path / name, packed[: len(packed) // 2]))
    assert len(read) > 1
    assert [row for row in read if row.reason] == read[-1:]
    assert "cannot be read any further" in str(read[-1].reason)


def test_what_is_no_parquet_says_so(tmp_path: Path) -> None:
    assert "cannot be read" in reasons(write(tmp_path / "p.parquet", "no"))[0][1]
    with pytest.raises(MappingError, match="not a readable parquet"):
        Source(tmp_path / "p.parquet").columns()


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    day = date(2026, 1, 1)
    parquet.write_table(pa.table({"n": [1, None], "day": [day, day], "list": [["a"], []]}), tmp_path / "p.parquet")
    assert values(tmp_path / "p.parquet") == [
        {"n": 1, "day": day, "list": ["a"]},
        {"n": None, "day": day, "list": []},
    ]


def test_formats_with_a_header_tell_their_columns(tmp_path: Path) -> None:
    assert Source(write(tmp_path / "p.csv", "\n a ,b\n1,2\n")).columns() == ["a", "b"]
    assert Source(write(tmp_path / "p.jsonl", '{"a": 1}')).columns() is None
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "p.parquet")
    assert Source(tmp_path / "p.parquet").columns() == ["x"]


@pytest.mark.parametrize(
    ("content", "said"), [(bytes(range(256)) * 9, "is not text"), (b"name,stra\xdfe\n1,2\n", "is not UTF-8")]
)
def test_a_file_that_is_no_text_is_refused_in_one_line_without_its_bytes(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = write(tmp_path / "p.csv", content)
    with pytest.raises(MappingError, match=said) as caught:
        Source(path).columns()
    assert caught.value.message.isprintable()
    assert said in reasons(path)[0][1]


def test_a_header_longer_than_a_cell_may_be_is_refused_rather_than_the_next_row_taken_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "x" * 200_000 + ",y\n1,2\n")
    with pytest.raises(MappingError, match="its first line is not CSV"):
        Source(path).columns()
    assert [row.values for row in rows(path)] == [{}]


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    source = Source(write(tmp_path / "p.csv.gz", gzip.compress(b"a\n1\n")))
    assert source.position() == 0
    list(source.rows())
    assert source.position() == source.size == (tmp_path / "p.csv.gz").stat().st_size


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), max_size=6), st.sampled_from([0, 2]))
def test_any_objects_come_back_from_lists_and_lines(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]], indent: int
) -> None:
    folder = tmp_path_factory.mktemp("json")
    whole = msgspec.json.format(msgspec.json.encode(objects), indent=indent)
    assert values(write(folder / "p.json", whole)) == objects
    assert values(write(folder / "p.jsonl", b"\n".join(map(msgspec.json.encode, objects)))) == objects
