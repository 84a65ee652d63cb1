"""Logs of other systems are read as their makers meant them: ids are names, and what cannot be read is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from experiments.ope.columns import column_names
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.log_file import feedback_of
from experiments.ope.log_table import read_table
from features.errors import InvalidInput

PLAIN = "arm,action_probability,reward,customer_id\na,0.25,1.5,x\nb,0.75,-2,y\n"


def log_of(path: Path, content: str | bytes, delimiter: str | None = None) -> LoggedFeedback:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return feedback_of(read_table(path, None, delimiter))


def same(found: LoggedFeedback) -> bool:
    return (
        found.arms == ("a", "b")
        and found.arm.tolist() == [0, 1]
        and found.action_probability.tolist() == [0.25, 0.75]
        and found.reward.tolist() == [1.5, -2.0]
        and found.unit is not None
        and found.unit.tolist() == [0, 1]
    )


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "\n" + PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("a,0", " a , 0").replace("x\n", "x \n"),
        PLAIN.replace("arm", '" arm "'),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("0.25", '"0,25"').replace("0.75", '"0,75"').replace("1.5", '"1,5"'),
        ",arm,action_probability,reward,customer_id\n0,a,0.25,1.5,x\n1,b,0.75,-2,y\n",
    ],
    ids=[
        "plain",
        "crlf",
        "blank line first",
        "mark",
        "blanks",
        "quoted",
        ";",
        "tab",
        "|",
        "; and ,",
        "quoted ,",
        "index",
    ],
)
def test_csv_is_read_as_it_was_meant(tmp_path: Path, content: str) -> None:
    assert same(log_of(tmp_path / "log.csv", content))


def test_other_formats_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"arm": "a", "action_probability": 0.25, "reward": 1.5, "customer_id": "x"},
        {"arm": "b", "action_probability": 0.75, "reward": -2, "customer_id": "y"},
    ]
    assert same(log_of(tmp_path / "log.csv.gz", gzip.compress(PLAIN.encode())))
    assert same(log_of(tmp_path / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    assert same(log_of(tmp_path / "log.json", json.dumps(rows)))
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    assert same(feedback_of(read_table(tmp_path / "log.parquet")))


def test_a_delimiter_that_is_named_wins(tmp_path: Path) -> None:
    header = "arm~action_probability~reward,a,b,c,d,e\n"
    with pytest.raises(InvalidInput, match="no column 'arm'"):
        log_of(tmp_path / "log.csv", header + "a~1~0\n")
    found = log_of(tmp_path / "log.csv", "arm~action_probability~reward\na~0.5~1\nb~0.5~0\n", "~")
    assert found.arms == ("a", "b")


@pytest.mark.parametrize("ids", [("31415926535897932384", "31415926535897932385"), ("0042", "42"), ("1e3", "1000")])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_ids_that_differ_stay_different(tmp_path: Path, ids: tuple[str, str], ending: str) -> None:
    if ending == "csv":
        rows = [f"a,0.5,{n},{one},{one}" for n, one in enumerate(ids)]
        text = "\n".join(["arm,action_probability,reward,customer_id,id", *rows])
    else:  # a number of twenty digits stands there without quotes
        said = [one if len(one) == 20 else f'"{one}"' for one in ids]
        text = "\n".join(
            f'{{"arm": "a", "action_probability": 0.5, "reward": {n}, "customer_id": {one}, "id": {one}}}'
            for n, one in enumerate(said)
        )
    found = log_of(tmp_path / f"log.{ending}", text)
    assert found.unit is not None
    assert len(set(found.unit.tolist())) == 2
    assert found.decision_id is not None
    assert found.decision_id.tolist() == list(ids)


def test_arms_keep_the_names_they_have_in_the_file(tmp_path: Path) -> None:
    found = log_of(
        tmp_path / "log.csv",
        "arm,action_probability,reward,logged_01,logged_1\n01,0.25,1,0.25,0.75\n1,0.75,0,0.25,0.75\n01,0.25,0,0.25,0.75\n",
    )
    assert found.arms == ("01", "1")
    assert found.arm.tolist() == [0, 1, 0]


def test_ids_that_lost_their_digits_are_refused() -> None:
    table = pa.table(
        {"arm": ["a", "a"], "action_probability": [1.0, 1.0], "reward": [1, 0], "customer_id": [2.0**53, 7.0]}
    )
    with pytest.raises(InvalidInput, match="lost their last digits in data row 1; keep them as text"):
        feedback_of(table)
    assert feedback_of(table.set_column(3, "customer_id", pa.array([2.0**52, 7.0]))).unit is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PLAIN.replace("b,0.75", "bü,0.75").encode("latin-1"), "column 'arm' is not UTF-8 in data row 2; save"),
        (PLAIN.replace("customer_id", "kündin").encode("latin-1"), "its header is not UTF-8; save"),
        (PLAIN.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        (PLAIN.replace("customer_id", "reward"), "the header has reward more than once"),
        (PLAIN.replace("customer_id", " reward "), "the header has reward more than once"),
        ("", "it is empty: the first line must name the columns"),
        (PLAIN.replace("1.5", "1,5"), "cannot be read as .*CSV"),
        (PLAIN.replace("1.5", "many"), "'many' is no number, in data row 1"),
        (PLAIN.replace(",x\n", ',"x\n') + "a,0.25,1,z\nb,0.75,1,w\n", "'customer_id' in data row 1 swallows the lines"),
        (PLAIN.replace(",y\n", ',"y\n') + 'a,0.25,1,"z"\nb,0.75,1,w\n', "(swallows|cannot be read)"),
        (PLAIN.replace("a,0.25", '"a,0.25'), "(swallows|cannot be read)"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_says_where(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refusal:
        log_of(tmp_path / "log.csv", content)
    assert "\n" not in refusal.value.message


def test_a_cell_of_several_lines_is_no_open_quote(tmp_path: Path) -> None:
    content = 'arm,action_probability,reward,note\na,0.5,1,"two\nlines, and a comma"\nb,0.5,0,"a ""word"""\n'
    assert log_of(tmp_path / "log.csv", content).arms == ("a", "b")


def test_a_column_in_another_encoding_that_nobody_reads_hinders_nothing(tmp_path: Path) -> None:
    content = "arm,action_probability,reward,city\na,0.5,1,Köln\nb,0.5,0,Bonn\n".encode("latin-1")
    assert log_of(tmp_path / "log.csv", content).arms == ("a", "b")


def test_times_of_several_zones_are_moments(tmp_path: Path) -> None:
    content = (
        "arm,action_probability,reward,decided_at\na,0.5,1,0001-01-01T00:00:00Z\nb,0.5,0,1970-01-01T01:00:00+01:00\n"
    )
    found = log_of(tmp_path / "log.csv", content).decided_at
    assert found is not None
    assert found[1] == 0
    assert found[0] < -(10**16)


def test_names_of_columns_may_have_blanks_around_them() -> None:
    assert column_names(["reward = spend "]).reward == "spend"
    with pytest.raises(InvalidInput, match="write WHAT=COLUMN"):
        column_names(["spend"])


def test_numbers_too_long_for_a_double_are_near_enough_as_rewards() -> None:
    table = pa.table({"arm": ["a", "a"], "action_probability": [1.0, 1.0], "reward": [2**53 + 1, 0]})
    assert feedback_of(table).reward[0] == np.float64(2**53)


@pytest.mark.parametrize("rounded", ["9.007199254740993e+18", "9,00719925474099E+18"])
def test_ids_that_a_spreadsheet_rounded_are_refused_and_not_called_twins(tmp_path: Path, rounded: str) -> None:
    rows = f"decision_id;arm;action_probability;reward\n{rounded};a;0.5;1\n{rounded};b;0.5;0\n"
    with pytest.raises(InvalidInput, match="rounded"):
        log_of(tmp_path / "log.csv", rows)
