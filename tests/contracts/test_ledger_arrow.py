"""Whole tables come out of the ledger as Arrow, and whoever reads them takes nothing from those who write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from features.domain import Customer
from features.ledger import Ledger, open_ledger, read_arrow
from features.ledger.arrow import _ROWS_AT_ONCE

#: Opens the ledger, says how many customers it sees, and closes it.
ANOTHER = """
import sys
from features.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
print(len(ledger.customer_ids()))
ledger.close()
"""


def seen_by_another_process(url: str) -> int:
    done = subprocess.run([sys.executable, "-c", ANOTHER, url], capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


def test_what_is_acknowledged_after_a_reading_is_seen_by_processes_that_come_and_go(ledger: Ledger) -> None:
    ledger.put_customers([Customer("anna")])
    assert read_arrow(ledger.url, "SELECT customer_id FROM customers").column(0).to_pylist() == ["anna"]
    assert seen_by_another_process(ledger.url) == 1  # the last to close a SQLite file takes its log away
    ledger.put_customers([Customer("bert")])
    assert seen_by_another_process(ledger.url) == 2


def test_the_log_of_a_ledger_that_is_open_stays_where_it_is(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.put_customers([Customer("anna")])
    read_arrow(ledger.url, "SELECT customer_id FROM customers")
    assert seen_by_another_process(ledger.url) == 1
    assert (tmp_path / "ledger.db-wal").exists()
    ledger.close()


def test_types_are_those_of_the_values(ledger: Ledger) -> None:
    query = "SELECT 1 AS whole, 2.5 AS broken, 'x' AS words, CAST(NULL AS INTEGER) AS missing"
    table = read_arrow(ledger.url, query)
    assert table.to_pylist()[0]["words"] == "x"
    assert pa.types.is_integer(table.schema.field("missing").type)
    assert table.column("missing").null_count == 1


def test_a_query_without_rows_has_its_columns(ledger: Ledger) -> None:
    table = read_arrow(ledger.url, "SELECT customer_id, created_at FROM customers")
    assert table.column_names == ["customer_id", "created_at"]
    assert table.num_rows == 0


@pytest.mark.parametrize("first", [1, None])
def test_a_column_whose_later_values_are_of_another_kind_holds_all_of_them(ledger: Ledger, first: int | None) -> None:
    rows = _ROWS_AT_ONCE + 5
    numbered = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
    case = "CAST(NULL AS REAL)" if first is None else "1"
    query = f"{numbered} SELECT i, CASE WHEN i <= {_ROWS_AT_ONCE} THEN {case} ELSE 0.5 END AS value FROM n ORDER BY i"
    table = read_arrow(ledger.url, query)
    assert table.num_rows == rows
    values = [None if value is None else float(value) for value in table.column("value").to_pylist()]
    assert values == [first] * _ROWS_AT_ONCE + [0.5] * 5


def test_bytes_stay_bytes(ledger: Ledger) -> None:
    literal = "X'00ff'" if ledger.embedded else "'\\x00ff'::bytea"
    assert read_arrow(ledger.url, f"SELECT {literal} AS record").column(0).to_pylist() == [b"\x00\xff"]
