"""Whatever stands in a file: no import breaks, and every row that was read is added, there, rejected or left out."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from features.errors import MappingError
from features.importing.sources import Source
from tests.unit.features.test_importing import Workshop

COLUMNS = ("id", "who", "at", "sum", "flag", "list")
#: Every kind of field, as customers, events, actions, decisions and outcomes have them.
MAPPING = """
[file.odd]
path = "odd.*"
decimal = ","
thousands = "."
each.half = ["a", "b"]
add.label = { text = "{who}/{flag}" }
[[channel]]
id = "mail"
[[action]]
from = "odd"
where = { flag = { present = true } }
id = { text = "a{id}" }
group = "flag"
value = "sum"
ends_at = "at"
channels = { column = "list", split = "|" }
attributes.x = "sum"
eligible = "at"
[[customer]]
from = "odd"
where = { flag = { not = true } }
customer_id = "who"
created_at = { column = "at", time = "epoch_seconds" }
zone = { column = "flag", null_if = ["1", false] }
consents.mail = { column = "flag", map = { true = "granted", 0 = "denied" }, otherwise = "unknown" }
attributes.free = "sum"
attributes.whole = { column = ["sum", "id"], as = "whole" }
attributes.truth = { column = "flag", as = "boolean" }
attributes.text = { column = "list", as = "text" }
[[event]]
from = "odd"
join.twin = { file = "odd", key = "who", on = ["id", "who"] }
event_id = { text = "{file}-{row}-{half}" }
customer_id = "who"
type = { constant = "purchase" }
occurred_at = { column = "at", time = "days", since = 1899-12-30 }
value = { column = "sum", thousands = "'" }
properties.twin = "twin.sum"
[[decision]]
from = "odd"
decision_id = "id"
customer_id = "who"
action = { constant = "a" }
action_group = { constant = "g" }
window_days = { column = "sum", otherwise = 1 }
channel = { constant = "mail" }
decided_at = { column = "at", otherwise = 2026-01-01 }
action_probability = { column = "flag", otherwise = 0.5 }
[[outcome]]
from = "odd"
where = { flag = [true, "x"] }
outcome_id = "id"
customer_id = "who"
action = { constant = "a" }
kind = { column = "list", map = { x = "seen" }, otherwise = "accepted" }
occurred_at = { constant = 2026-02-01 }
value = "sum"
attach_to = "latest_decision"
"""

TEXTS = st.sampled_from(
    [
        *("", " ", "1", "118.0", "007", "1,5", "1.234,5", "1e308", "nan", "inf", "-0", "TRUE", "x|y", "a\0b", "\ufeff"),
        *("2026-01-01", "46022", "1767225600000", "9999-12-31T23:00:00-05:00", "0001-01-01T00:00:00+14:00"),
        *("9" * 30, "Zoë", "=1+1"),
    ]
) | st.text(max_size=6)
NUMBERS = (
    st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([2**53, 2.0**53, 1e20, -0.0, 46022, 1_767_225_600])
)
#: An import takes 50 ms: shrinking one that fails would take minutes.
BRIEF = settings(max_examples=50, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(COLUMNS), inner, max_size=2),
    max_leaves=4,
)
PARQUET: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): TEXTS,
    pa.float64(): st.floats(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
    pa.decimal128(38, 2): st.decimals(-(10**20), 10**20, places=2),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(UTC)),
    pa.timestamp("ns"): st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    pa.date32(): st.dates(),
    pa.time64("us"): st.just(time(1, 2, 3)),
    pa.duration("us"): st.timedeltas(timedelta(-9), timedelta(9)),
    pa.binary(): st.binary(max_size=3),
    pa.list_(pa.float64()): st.lists(st.floats(), max_size=2),
    pa.struct([("x", pa.string())]): st.fixed_dictionaries({"x": TEXTS}),
    pa.null(): st.none(),
}


def check(shop: Workshop) -> None:
    """Imports what is there twice; the books balance both times, and the second time nothing is new."""
    path = next(shop.source.iterdir())
    rows = list(Source(path).rows())
    # Each readable row is seen twice, for `each` has two values.
    seen = sum(2 if row.reason is None else 1 for row in rows)
    with closing(shop.ledger), suppress(MappingError):
        for again in (False, True):
            report = shop.run(MAPPING)
            for target in ("action", "customer", "event", "decision", "outcome"):
                tally = report.tallies[target]
                assert tally.read + report.left_out.get(target, 0) + report.unreadable == seen, target
                assert tally.read == tally.added + tally.there + tally.rejected, target
                assert not (again and tally.added), target
            assert len(shop.rejects()) == sum(reason.count for reason in report.reasons)


@BRIEF
@given(rows=st.lists(st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=6), max_size=6), lines=st.booleans())
def test_any_objects_are_imported_or_told(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], lines: bool
) -> None:
    shop = Workshop(tmp_path_factory.mktemp("odd"))
    # Python's own writer: NaN and Infinity as Python's programs leave them.
    written = [json.dumps(row) for row in rows]
    (shop.source / "odd.json").write_text("\n".join(written) if lines else f"[{', '.join(written)}]")
    check(shop)


@BRIEF
@given(rows=st.lists(st.lists(TEXTS, min_size=6, max_size=6), max_size=6), quote=st.sampled_from(["", '"']))
def test_any_cells_are_imported_or_told(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], quote: str
) -> None:
    shop = Workshop(tmp_path_factory.mktemp("odd"))
    lines = [",".join(COLUMNS), *(",".join(f"{quote}{cell}{quote}" for cell in cells) for cells in rows)]
    (shop.source / "odd.csv").write_text("\n".join(lines), errors="surrogatepass")
    check(shop)


@BRIEF
@given(data=st.data(), count=st.integers(1, 5))
def test_any_columns_are_imported_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int
) -> None:
    shop = Workshop(tmp_path_factory.mktemp("odd"))
    columns = {}
    for name in COLUMNS:
        kind = data.draw(st.sampled_from(list(PARQUET)))
        values = st.none() | PARQUET[kind]
        columns[name] = pa.array([data.draw(values) for _ in range(count)], kind)
    parquet.write_table(pa.table(columns), shop.source / "odd.parquet")
    check(shop)


@BRIEF
@given(
    content=st.binary(max_size=60)
    | st.text(alphabet='id,who"\n\r;[]{}:1.\ufeff\0', max_size=60).map(str.encode)
    | st.binary(max_size=30).map(lambda tail: b"id,who,at,sum,flag,list\n" + tail),
    suffix=st.sampled_from(["csv", "json", "jsonl", "parquet", "csv.gz", "parquet.gz"]),
)
def test_any_bytes_are_rows_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path: Path = tmp_path_factory.mktemp("bytes") / f"odd.{suffix}"
    path.write_bytes(content)
    for row in Source(path).rows():
        assert (row.reason is None) or not row.values
    with suppress(MappingError):
        Source(path).columns()
