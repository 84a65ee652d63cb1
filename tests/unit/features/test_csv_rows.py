"""A quote that is never closed costs its own row; a cell of several lines is still one cell."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.importing.csv_rows import UNCLOSED, Record, csv_records
from features.importing.sources import Source


def records(text: str, delimiter: str = ",") -> list[Record]:
    return list(csv_records(io.StringIO(text, newline=""), delimiter))


def good(text: str, delimiter: str = ",") -> list[list[str]]:
    return [record.cells for record in records(text, delimiter) if record.reason is None]


def bad(text: str, delimiter: str = ",") -> list[tuple[int, str | None]]:
    return [(record.line, record.reason) for record in records(text, delimiter) if record.reason is not None]


def table(*lines: str, end: str = "\n") -> str:
    return end.join(["no,town,sum", *lines]) + end


ROWS = [f"{n},town {n},{n}.5" for n in range(1, 9)]


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize(
    "broken", ['{n},"town,5', '{n},town,"5', '"{n},town,5', '{n},"town ""x"",5', '"{n}","town,5'], ids=range(5)
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_unclosed_quote_costs_its_own_row_wherever_it_opens(place: int, broken: str, end: str) -> None:
    lines = [*ROWS[:place], broken.format(n=place + 1), *ROWS[place + 1 :]]
    for text in (table(*lines, end=end), table(*lines, end=end).removesuffix(end)):
        assert bad(text) == [(place + 2, UNCLOSED)]
        assert good(text)[1:] == [row.split(",") for n, row in enumerate(ROWS) if n != place]


def test_several_unclosed_quotes_cost_a_row_each() -> None:
    lines = list(ROWS)
    for place in (0, 1, 4, 7):
        lines[place] = f'{place + 1},"town,5'
    assert [line for line, _ in bad(table(*lines))] == [2, 3, 6, 9]
    assert [cells[0] for cells in good(table(*lines))[1:]] == ["3", "4", "6", "7"]


def test_a_later_quoted_cell_does_not_close_the_quote() -> None:
    text = table('1,"town,5', ROWS[1], '3,"a, b",5', '"4","c","5"')
    assert bad(text) == [(2, UNCLOSED)]
    assert good(text)[1:] == [ROWS[1].split(","), ["3", "a, b", "5"], ["4", "c", "5"]]


def test_nor_does_a_stray_quote_at_the_end_of_a_later_row() -> None:
    text = table('1,town,"5', *ROWS[1:4], '5,town,5"', ROWS[5])
    assert bad(text) == [(2, UNCLOSED)]
    assert [cells[0] for cells in good(text)[1:]] == ["2", "3", "4", "5", "6"]


@pytest.mark.parametrize("header", ['no,town,"sum', 'no,"town,sum', '"no,town,sum', '"no","town","sum'])
def test_a_header_with_an_unclosed_quote_is_told_and_read_without_its_quotes(header: str) -> None:
    text = "\n".join([header, *ROWS]) + "\n"
    assert bad(text) == [(1, UNCLOSED)]
    assert good(text) == [["no", "town", "sum"], *(row.split(",") for row in ROWS)]


@pytest.mark.parametrize(
    "cell",
    [
        "two\nlines",
        "Dear Sir,\nyours, truly\nA. B.",
        "Main Street 5\nBerlin, Germany, Europe",
        'he said "hi",\nand left',
        "\n\n",
        "\n",
        "1\n2\n3",
    ],
)
@pytest.mark.parametrize("column", [1, 2])
def test_a_cell_of_several_lines_is_one_cell(cell: str, column: int) -> None:
    cells = [["no", "town", "sum"], ["1", "a", "b"], ["2", "c", "d"], ["3", "e", "f"]]
    cells[2][column] = cell
    written = io.StringIO()
    csv.writer(written).writerows(cells)
    assert good(written.getvalue()) == cells
    assert bad(written.getvalue()) == []


def test_a_first_cell_and_a_name_may_have_several_lines_too() -> None:
    text = '"Order\nnumber",town\n"first\nsecond",x\n3,y\n'
    assert good(text) == [["Order\nnumber", "town"], ["first\nsecond", "x"], ["3", "y"]]
    assert [record.line for record in records(text)] == [1, 3, 5]


def test_one_column_of_text_may_have_lines() -> None:
    assert good('note\n"a\nb"\nc\n') == [["note"], ["a\nb"], ["c"]]


def test_what_goes_on_for_longer_than_a_cell_may_costs_its_first_row() -> None:
    rows = [f"{n},{'x' * 90},y" for n in range(2, 3_000)]  # 300 kB: more than twice what csv takes as one cell
    text = table('1,"town,5', *rows)
    assert bad(text) == [(2, UNCLOSED)]
    assert len(good(text)) == 1 + len(rows)


def test_other_delimiters_have_quotes_too() -> None:
    text = 'no;town\n1;"a,b\n2;c\n3;"d;e"\n'
    assert bad(text, ";") == [(2, UNCLOSED)]
    assert good(text, ";") == [["no", "town"], ["2", "c"], ["3", "d;e"]]


def test_rows_keep_their_numbers_where_one_before_them_is_lost(tmp_path: Path) -> None:
    for name, pack in (("a.csv", bytes), ("a.csv.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(table(ROWS[0], '2,"town,5', *ROWS[2:]).encode()))
        rows = list(Source(tmp_path / name).rows())
        assert [(row.number, row.line) for row in rows] == [(n, n + 1) for n in range(1, 9)]
        assert [row.number for row in rows if row.reason] == [2]


CELLS = st.text(alphabet='ab1, \n\r"', max_size=8)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6))
@example([["", "", ""], ["a", "\n", "b"]])
def test_a_file_written_by_a_program_comes_back_but_for_blanks_and_look_alikes(rows: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *rows])
    wanted = [cells for cells in rows if any(map(str.strip, cells))]
    read = good(written.getvalue())[1:]
    # A cell that holds lines of three cells each looks like an unclosed quote; without commas nothing does.
    if not any("," in cell for cells in rows for cell in cells):
        assert read == wanted


@given(st.text(alphabet='a1,"\n\r;\0', max_size=60))
def test_every_line_of_any_text_is_in_one_record_or_blank(text: str) -> None:
    told = records(text)
    assert all(record.cells or record.reason for record in told)
    assert [record.line for record in told] == sorted(record.line for record in told)
