"""Imports of odd files: what is odd costs its own row, is told, and changes nothing for the rows around it."""

# ruff: noqa: F811  the fixture `shop` is an argument of every test
from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from features.catalogue import load_catalogue
from features.clock import parse_time
from features.errors import MappingError
from features.importing import Tally
from tests.unit.features.test_importing import NOW, Workshop, shop  # noqa: F401  a fixture

FORMATS = ("csv", "json", "jsonl", "parquet")
PEOPLE = '[file.people]\npath = "people.*"\n[[customer]]\nfrom = "people"\ncustomer_id = "id"\n'
ORDERS = """
[file.orders]
path = "orders.*"
[[event]]
from = "orders"
event_id = "id"
customer_id = "who"
type = { constant = "purchase" }
occurred_at = "at"
value = "sum"
"""


def put(shop: Workshop, name: str, rows: list[dict[str, Any]], form: str) -> None:
    """Writes rows in one of the formats; in CSV a missing value is a blank cell."""
    path = shop.source / f"{name}.{form}"
    if form == "csv":
        names = list(rows[0])
        cells = [["" if row[key] is None else str(row[key]) for key in names] for row in rows]
        path.write_text("\n".join(",".join(one) for one in [names, *cells]) + "\n")
    elif form == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif form == "json":
        path.write_bytes(msgspec.json.encode(rows))
    else:
        path.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))


def ids(shop: Workshop, table: str = "customers", column: str = "customer_id") -> list[str]:
    return sorted(row[column] for row in shop.rows(f"SELECT {column} FROM {table}"))


def reasons(shop: Workshop) -> list[str]:
    return [told["reason"] for told in shop.rejects()]


# -- quotes ------------------------------------------------------------------------------------------------------------


def test_an_unclosed_quote_costs_one_customer_and_is_told_with_its_line(shop: Workshop) -> None:
    rows = [f"c{n},town {n}" for n in range(40)]
    rows[7] = 'c7,"town 7'
    for name, pack in (("people.csv", bytes), ("people.csv.gz", gzip.compress)):
        (shop.source / name).write_bytes(pack(("id,town\n" + "\n".join(rows)).encode()))
        report = shop.run(PEOPLE.replace("people.*", name) + 'attributes.town = "town"\n')
        assert (report.tallies["customer"].read, report.unreadable) == (39, 1)
        assert [(told["line"], told["reason"]) for told in shop.rejects()] == [(9, "a quote is opened and not closed")]
        assert len(ids(shop)) == 39


# -- numbers -----------------------------------------------------------------------------------------------------------


def orders(*sums: Any) -> list[dict[str, Any]]:
    return [{"id": f"o{n}", "who": "c1", "at": "2026-01-01", "sum": one} for n, one in enumerate(sums)]


def test_decimal_commas_are_rejected_and_the_line_that_reads_them_is_offered(shop: Workshop) -> None:
    put(shop, "orders", [{**one, "sum": one["sum"].replace(",", ";")} for one in orders("29,85", "1.234,50")], "csv")
    path = shop.source / "orders.csv"
    path.write_text(path.read_text().replace(",", "|").replace(";", ","))
    mapping = ORDERS.replace('path = "orders.*"', 'path = "orders.*"\ndelimiter = "|"')
    report = shop.run(mapping)
    assert report.tallies["event"] == Tally(2, 0, 0, 2)
    assert report.lost == {"events": 1.0}
    ((seems, said),) = report.hints
    assert said == 'decimal = ","\nthousands = "."'
    assert "[file.orders]" in seems
    assert shop.run(mapping.replace("delimiter", f"{said}\ndelimiter")).tallies["event"] == Tally(2, 2, 0, 0)
    assert [row["value"] for row in shop.rows("SELECT value FROM events ORDER BY value")] == [29.85, 1234.5]


def test_a_joined_column_is_read_in_the_form_of_its_own_file(shop: Workshop) -> None:
    shop.write("orders.csv", "id,who,at,good,sum\n1,c,2026-01-01,g,1.5\n")
    shop.write("goods.csv", 'id,price\ng,"2,5"\n')
    goods = '[file.goods]\npath = "goods.csv"\ndecimal = ","\n'
    joined = 'join.g = { file = "goods", key = "id", on = "good" }\nproperties.price = '
    shop.run(goods + ORDERS + joined + '{ column = "g.price", as = "number" }\n')
    assert shop.rows("SELECT value, properties FROM events") == [{"value": 1.5, "properties": '{"price":2.5}'}]
    with pytest.raises(MappingError, match=r"properties\.price\.decimal: is needed"):
        shop.run(goods + ORDERS + joined + '{ column = ["g.price", "sum"], as = "number" }\n')


@pytest.mark.parametrize("form", FORMATS)
def test_amounts_that_no_sum_can_hold_are_refused_in_every_format(shop: Workshop, form: str) -> None:
    put(shop, "orders", orders(1e12, -1e12, 1e99, 1.5e12), form)
    assert shop.run(ORDERS).tallies["event"] == Tally(4, 2, 0, 2)
    assert all("the largest amount that is added up" in reason for reason in reasons(shop))


# -- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "spelt"),
    [
        ("csv", ["118", "118.0", " 118 ", "118.00"]),
        ("json", [118, 118.0, "118", " 118.0"]),
        ("jsonl", [118, 118.0, "118", "118.0 "]),
        ("parquet", [118.0, 118.0]),
        ("parquet", [Decimal("118.00"), Decimal("118.00")]),
        ("parquet", ["118", "118.0"]),
    ],
)
def test_one_number_is_one_customer_in_every_format(shop: Workshop, form: str, spelt: list[Any]) -> None:
    put(shop, "people", [{"id": one} for one in spelt], form)
    shop.run(PEOPLE)
    assert ids(shop) == ["118"]


def test_leading_zeros_and_long_ids_stay_as_they_are(shop: Workshop) -> None:
    shop.write("people.csv", f"id\n007\n7\n{2**53 + 1}\n{10**30}\n")
    shop.run(PEOPLE)
    assert ids(shop) == sorted(["007", "7", str(2**53 + 1), str(10**30)])


@pytest.mark.parametrize(
    ("form", "value"),
    [("json", 1e20), ("jsonl", 1e20), ("parquet", 2.0**53), ("csv", "1.23457E+11"), ("csv", f"{2**53}.0")],
)
def test_ids_that_lost_their_digits_are_refused(shop: Workshop, form: str, value: Any) -> None:
    put(shop, "people", [{"id": value}], form)
    assert shop.run(PEOPLE).tallies["customer"] == Tally(1, 0, 0, 1)
    assert "has lost digits" in reasons(shop)[0]


@pytest.mark.parametrize("form", FORMATS)
def test_joins_where_maps_and_templates_meet_whole_numbers_of_any_type(shop: Workshop, form: str) -> None:
    rows = [{"id": 1.0, "who": 7.0, "at": "2026-01-01", "sum": 5.0, "state": 2.0, "kind": 3.0}]
    put(shop, "orders", rows, form)
    shop.write("goods.csv", "no,name\n7,seven\n")
    report = shop.run(
        '[file.goods]\npath = "goods.csv"\n'
        + ORDERS.replace('event_id = "id"', 'event_id = { text = "o{id}" }')
        + 'where = { state = 2 }\njoin.good = { file = "goods", key = "no", on = "who" }\n'
        + 'properties.name = "good.name"\nproperties.kind = { column = "kind", map = { 3 = "three" } }\n'
        + 'properties.none = { column = "state", null_if = 2 }\n'
    )
    assert report.tallies["event"] == Tally(1, 1, 0, 0)
    assert shop.rows("SELECT event_id, customer_id, properties FROM events") == [
        {"event_id": "o1", "customer_id": "7", "properties": '{"name":"seven","kind":"three"}'}
    ]


def test_a_key_that_lost_its_digits_joins_nothing_and_is_told(shop: Workshop) -> None:
    shop.write("orders.jsonl", [*orders(5), {**orders(5)[0], "id": "o2", "who": 1e20}])
    shop.write("goods.jsonl", [{"no": "c1", "name": "x"}, {"no": 1e20, "name": "y"}])
    mapping = '[file.goods]\npath = "goods.jsonl"\n' + ORDERS
    mapping += 'join.good = { file = "goods", key = "no", on = "who" }\nproperties.name = "good.name"\n'
    assert shop.run(mapping).tallies["event"] == Tally(2, 1, 0, 1)
    assert [reason.split(":")[0] for reason in reasons(shop)] == ["no", "join.good"]


# -- yes and no --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_true_is_met_in_every_spelling_and_format(shop: Workshop, form: str) -> None:
    said: list[Any] = [True, False, None] if form != "csv" else ["True", "TRUE", "true", "1", "FALSE", None]
    put(shop, "people", [{"id": f"c{n}", "in": one} for n, one in enumerate(said)], form)
    report = shop.run(
        PEOPLE
        + 'where = { in = true }\nconsents.email = { column = "in", map = { true = "granted", 1 = "granted" } }\n'
    )
    taken = sum(str(one).lower() in ("true", "1") for one in said)
    assert report.tallies["customer"] == Tally(taken, taken, 0, 0)
    assert report.left_out == {"customer": len(said) - taken}
    assert shop.run(PEOPLE + "where = { in = { not = true } }\n").tallies["customer"].read == len(said) - taken


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_text_in_a_condition_means_what_is_missing(shop: Workshop, form: str) -> None:
    put(shop, "people", [{"id": "1", "mail": "x"}, {"id": "2", "mail": None}, {"id": "3", "mail": " "}], form)
    assert shop.run(PEOPLE + 'where = { mail = { not = "" } }\n').tallies["customer"].read == 1
    assert shop.run(PEOPLE + 'where = { mail = "" }\n').tallies["customer"].read == 2


def test_a_condition_that_no_row_meets_is_said(shop: Workshop) -> None:
    shop.write("people.csv", "id,state,town\n1,Active,x\n2,Active,y\n")
    report = shop.run(PEOPLE + 'where = { state = "active", town = "x" }\n')
    assert report.tallies["customer"] == Tally(0, 0, 0, 0)
    assert report.left_out == {"customer": 2}
    assert report.notes == (
        "[[customer]]: no row of [file.people] met where state = active, and all 2 were left out;"
        " see how the file spells it",
    )
    assert shop.run(PEOPLE + 'where = { state = "Active", town = "x" }\n').notes == ()


# -- blanks ------------------------------------------------------------------------------------------------------------

BLANKS = """
[file.orders]
path = "orders.*"
[file.goods]
path = "goods.csv"
[[event]]
from = "orders"
join.good = { file = "goods", key = "no", on = ["new", "old"] }
event_id = { text = "o-{id}" }
customer_id = "who"
type = { constant = "purchase" }
occurred_at = "at"
value = { column = ["total", "sum"], null_if = "-" }
properties.good = "good.name"
properties.size = { column = "size", map = { L = "large" }, otherwise = "none" }
"""


@pytest.mark.parametrize("form", FORMATS)
def test_blanks_are_missing_and_do_not_count_in_every_place(shop: Workshop, form: str) -> None:
    row = {"id": " 1", "who": " a ", "at": " 2026-01-01 ", "new": "  ", "old": " g ", "total": " ", "sum": "7"}
    second = {**row, "id": "2 ", "who": "a", "total": "-", "size": "  "}
    put(shop, "orders", [{**row, "size": " L "}, second, {**row, "id": "  ", "size": None}], form)
    shop.write("goods.csv", "no,name\n ,nothing\n g,good\n")
    report = shop.run(BLANKS)
    assert report.tallies["event"] == Tally(3, 2, 0, 1)
    assert reasons(shop) == ["event_id: is missing"]
    assert shop.rows("SELECT event_id, customer_id, value, properties FROM events ORDER BY event_id") == [
        {"event_id": "o-1", "customer_id": "a", "value": 7.0, "properties": '{"good":"good","size":"large"}'},
        {"event_id": "o-2", "customer_id": "a", "value": 7.0, "properties": '{"good":"good","size":"none"}'},
    ]


def test_nan_in_parquet_and_json_is_missing_wherever_it_stands(shop: Workshop) -> None:
    nan = float("nan")
    rows = [{"id": "1", "n": nan, "in": {"x": nan}, "t": None}, {"id": "2", "n": 1.0, "in": {"x": 2.0}, "t": "t"}]
    put(shop, "people", rows, "parquet")
    (shop.source / "more.jsonl").write_text('{"id": "3", "n": NaN, "in": {"x": NaN}, "t": null}\n')
    mapping = PEOPLE + 'attributes.n = "n"\nattributes.x = "in.x"\nattributes.both = { text = "{n}-{t}" }\n'
    mapping += 'attributes.first = { column = ["n", "id"] }\n'
    shop.run(mapping)
    shop.run(mapping.replace("people.*", "more.jsonl"))
    told = {row["customer_id"]: msgspec.json.decode(row["attributes"]) for row in shop.rows("SELECT * FROM customers")}
    assert told == {
        "1": {"first": "1"},
        "2": {"n": 1.0, "x": 2.0, "both": "1-t", "first": 1.0},
        "3": {"first": "3"},
    }


def test_missing_members_of_lists_are_none(shop: Workshop) -> None:
    shop.write("offers.jsonl", [{"id": 5.0, "on": ["web", None, " ", " mail "]}, {"id": "6", "on": " web|  | mail"}])
    report = shop.run(
        '[file.offers]\npath = "offers.jsonl"\n[[channel]]\nid = "web"\n[[channel]]\nid = "mail"\n'
        '[[action]]\nfrom = "offers"\nid = { text = "a{id}" }\ngroup = { constant = "g" }\n'
        'channels = { column = "on", split = "|" }\n'
    )
    assert report.tallies["action"] == Tally(2, 2, 0, 0)
    written = (shop.settings.catalogue_folder / "m.toml").read_text()
    assert written.count('channel = "web"') == written.count('channel = "mail"') == 2


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("said", "value", "likely"),
    [
        ("epoch_seconds", 1_767_225_600_000, "beyond the year 9999; it looks like epoch_milliseconds"),
        ("epoch_milliseconds", 1_767_225_600, "in 1970; it looks like epoch_seconds"),
        ("epoch_microseconds", 1_767_225_600_000, "in 1970; it looks like epoch_milliseconds"),
        ("epoch_milliseconds", 1_767_225_600_000_000_000, "it looks like epoch_nanoseconds"),
        ("iso", 1_767_225_600, 'say time = "epoch_seconds"'),
    ],
)
def test_mixed_up_units_of_time_are_refused_by_the_likely_name(
    shop: Workshop,
    form: str,
    said: str,
    value: int,
    likely: str,
) -> None:
    put(shop, "orders", [{"id": "o", "who": "c", "at": value, "sum": 1}], form)
    mapping = ORDERS.replace('occurred_at = "at"', f'occurred_at = {{ column = "at", time = "{said}" }}')
    assert shop.run(mapping).tallies["event"] == Tally(1, 0, 0, 1)
    assert likely in reasons(shop)[0]


def test_years_at_the_edge_that_a_zone_takes_out_of_it_are_refused(shop: Workshop) -> None:
    times = ["0001-01-01", "0001-01-01T00:00:00+02:00", "9999-12-31T23:00:00-05:00", "9999-12-31"]
    shop.write("orders.jsonl", [{"id": f"o{n}", "who": "c", "at": at, "sum": 1} for n, at in enumerate(times)])
    assert shop.run(ORDERS).tallies["event"] == Tally(4, 1, 0, 3)
    told = reasons(shop)
    assert ["years 1 to 9999" in reason for reason in told] == [True, True, False]
    assert "lies in the future" in told[2]


def test_a_year_that_python_cannot_hold_costs_its_row_of_a_parquet_file(shop: Workshop) -> None:
    at = pa.array([parse_time("2026-01-01"), 2**62, parse_time("2026-01-02")], pa.timestamp("us"))
    parquet.write_table(
        pa.table({"id": ["1", "2", "3"], "who": ["c"] * 3, "at": at, "sum": [1.0] * 3}), shop.source / "orders.parquet"
    )
    report = shop.run(ORDERS)
    assert report.tallies["event"] == Tally(2, 2, 0, 0)
    assert report.unreadable == 1
    assert shop.rejects()[0]["line"] == 2
    assert "cannot be read" in reasons(shop)[0]


def test_one_odd_year_does_not_move_all_the_others(shop: Workshop) -> None:
    times = ["2018-01-01", "2018-01-31", "9999-12-31"]
    shop.write("orders.jsonl", [{"id": f"o{n}", "who": "c", "at": at, "sum": 1} for n, at in enumerate(times)])
    report = shop.run('shift = "newest_to_now"\n' + ORDERS)
    assert report.shift == NOW - parse_time("2018-01-31")
    assert report.tallies["event"] == Tally(3, 2, 0, 1)


def test_never_stays_never_where_times_are_moved(shop: Workshop) -> None:
    shop.write("orders.jsonl", [{"id": "o", "who": "c", "at": "2018-01-01", "sum": 1}])
    shop.write("offers.jsonl", [{"id": "a", "end": "9999-12-31T23:00:00Z"}])
    mapping = 'shift = "newest_to_now"\n[file.offers]\npath = "offers.jsonl"\n' + ORDERS
    mapping += '[[action]]\nfrom = "offers"\nid = "id"\ngroup = { constant = "g" }\nends_at = "end"\n'
    assert shop.run(mapping).tallies["action"] == Tally(1, 1, 0, 0)
    assert "9999-12-31 23:59:59" in (shop.settings.catalogue_folder / "m.toml").read_text()


def test_a_form_of_time_that_python_does_not_know_is_refused_before_a_row_is_read(shop: Workshop) -> None:
    for form in ("%Q", "%d.%d.%Y", "day %"):
        with pytest.raises(MappingError, match=r"event\.occurred_at\.time: must be one of"):
            shop.run(ORDERS.replace('occurred_at = "at"', f'occurred_at = {{ column = "at", time = "{form}" }}'))


# -- joins -------------------------------------------------------------------------------------------------------------


def test_twins_on_a_key_are_counted_and_the_first_counts(shop: Workshop) -> None:
    shop.write("orders.csv", "id,who,at,sum,good\n1,c,2026-01-01,5,118\n2,c,2026-01-01,5,\n")
    shop.write("goods.csv", "no,name\n,blank\n118,first\n118.0,second\n 118 ,third\n,blank too\n")
    mapping = '[file.goods]\npath = "goods.csv"\n' + ORDERS
    mapping += 'join.g = { file = "goods", key = "no", on = "good" }\nproperties.name = "g.name"\n'
    report = shop.run(mapping)
    assert report.notes == (
        "2 rows of [file.goods] cannot be joined: the 'no' stands in an earlier row, which counts"
        " (first: goods.csv, line 4)",
    )
    told = [row["properties"] for row in shop.rows("SELECT properties FROM events ORDER BY event_id")]
    assert told == ['{"name":"first"}', "{}"]


def test_a_join_with_the_name_of_a_column_is_refused(shop: Workshop) -> None:
    shop.write("orders.csv", "id,who,at,sum,good\n")
    shop.write("goods.csv", "no\n")
    with pytest.raises(MappingError, match=r"join\.good: file\.orders has a column of this name"):
        shop.run(
            '[file.goods]\npath = "goods.csv"\n' + ORDERS + 'join.good = { file = "goods", key = "no", on = "good" }\n'
        )


def test_a_file_without_rows_is_said(shop: Workshop) -> None:
    shop.write("people.jsonl", "\n")
    assert shop.run(PEOPLE).notes == ("[file.people] has no rows",)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_header_that_stands_in_the_middle_again_is_no_customer(shop: Workshop) -> None:
    shop.write("people.csv", "id,town\n1,x\nid, town\n2,y\n")
    assert shop.run(PEOPLE).unreadable == 1
    assert ids(shop) == ["1", "2"]
    assert reasons(shop) == ["the header once more"]


def test_columns_without_a_name_do_not_matter(shop: Workshop) -> None:
    shop.write("people.csv", ",id,,\n0,1,x,y\n1,2,,\n")
    assert shop.run(PEOPLE).tallies["customer"] == Tally(2, 2, 0, 0)


def test_an_empty_file_is_said_to_be_empty(shop: Workshop) -> None:
    shop.write("people.csv", "")
    with pytest.raises(MappingError, match=r"people\.csv is empty"):
        shop.run(PEOPLE)


def test_an_empty_file_among_others_is_no_fault(shop: Workshop) -> None:
    shop.write("people.csv", "")
    shop.write("people.2.csv", "id\n1\n")
    report = shop.run(PEOPLE)
    assert report.tallies["customer"] == Tally(1, 1, 0, 0)


def test_a_file_with_another_delimiter_is_told_which_line_reads_it(shop: Workshop) -> None:
    shop.write("people.csv", "id;town\n1;x\n")
    with pytest.raises(
        MappingError, match=r"no column 'id'; it has id;town; say delimiter = \";\" in \[file\.people\]"
    ):
        shop.run(PEOPLE)


def test_another_encoding_is_read_where_it_is_said_and_offered_where_it_is_not(shop: Workshop) -> None:
    (shop.source / "people.csv").write_bytes("id,town\n1,Köln\n2,Bonn\n".encode("cp1252"))
    mapping = PEOPLE + 'attributes.town = "town"\n'
    report = shop.run(mapping)
    assert (report.unreadable, [said for _, said in report.hints]) == (1, ['encoding = "cp1252"'])
    assert shop.run(mapping.replace("[[customer]]", 'encoding = "cp1252"\n[[customer]]')).unreadable == 0
    assert '{"town":"Köln"}' in [row["attributes"] for row in shop.rows("SELECT attributes FROM customers")]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_file_that_begins_with_a_mark_says_its_own_encoding(shop: Workshop, form: str, encoding: str) -> None:
    put(shop, "people", [{"id": "1", "town": "Köln"}], form)
    path: Path = shop.source / f"people.{form}"
    path.write_bytes(path.read_bytes().decode().encode(encoding))
    shop.run(PEOPLE + 'attributes.town = "town"\n')
    assert shop.rows("SELECT attributes FROM customers") == [{"attributes": '{"town":"Köln"}'}]


def test_zero_bytes_cost_their_row_only(shop: Workshop) -> None:
    shop.write("people.csv", "id,town\n1,a\0b\n2,c\n\0,d\n")
    assert shop.run(PEOPLE + 'attributes.town = "town"\n').tallies["customer"] == Tally(3, 1, 0, 2)
    assert all("NUL" in reason for reason in reasons(shop))


def test_lists_objects_and_bytes_are_refused_wherever_a_single_value_is_needed(shop: Workshop) -> None:
    odd: list[Any] = [[1], {"a": 1}, b"x", datetime(2026, 1, 1, tzinfo=UTC).time()]
    mapping = PEOPLE + 'zone = "zone"\ncreated_at = "at"\nconsents.email = "mail"\nattributes.x = "x"\n'
    for number, one in enumerate(odd):
        for column in ("zone", "at", "mail", "x"):
            put(
                shop,
                "people",
                [{"id": f"{number}{column}", "zone": "UTC", "at": None, "mail": None, "x": 1} | {column: one}],
                "parquet",
            )
            assert shop.run(mapping).tallies["customer"].rejected == 1, (one, column)


def test_an_action_of_a_group_that_no_catalogue_takes_is_refused_and_the_catalogue_stays_sound(shop: Workshop) -> None:
    shop.write("offers.jsonl", [{"id": "a", "group": "Winter sale"}, {"id": "b", "group": "winter"}])
    offers = '[file.offers]\npath = "offers.jsonl"\n[[action]]\nfrom = "offers"\nid = "id"\ngroup = "group"\n'
    assert shop.run(offers).tallies["action"] == Tally(2, 1, 0, 1)
    assert reasons(shop) == ["group: an id of letters, digits, '_', '-', '.', at most 128, is needed"]
    assert list(load_catalogue(shop.settings.catalogue_folder).actions) == ["b"]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_alike_reasons_are_counted_together_the_commonest_first(shop: Workshop) -> None:
    shop.write("orders.jsonl", [*orders(1, "lots", "many", "few"), {"id": "x", "who": None, "at": "soon", "sum": 1}, 5])
    report = shop.run(ORDERS)
    assert [(reason.target, reason.count, reason.line, reason.text) for reason in report.reasons] == [
        ("event", 3, 2, "value: 'lots' is not a number"),
        ("event", 1, 5, "customer_id: is missing"),
        (None, 1, 6, "not a JSON object"),
    ]


def test_the_share_that_was_lost_counts_unreadable_rows_too(shop: Workshop) -> None:
    lines = ["id,who,at,sum", *(f"o{n},c,2026-01-01,{n}" for n in range(8)), "o8,c,2026-01-01,x", "short"]
    shop.write("orders.csv", "\n".join(lines))
    report = shop.run(ORDERS)
    assert (report.tallies["event"], report.unreadable) == (Tally(9, 8, 0, 1), 1)
    assert report.lost == {"events": pytest.approx(0.2)}


def test_rows_of_a_joined_file_that_cannot_be_read_count_too(shop: Workshop) -> None:
    shop.write("orders.jsonl", orders(1))
    shop.write("goods.csv", "no,name\nc1,x\nc2\n")
    mapping = '[file.goods]\npath = "goods.csv"\n' + ORDERS + 'join.g = { file = "goods", key = "no", on = "who" }\n'
    assert shop.run(mapping).lost == {"events": 0.0, "[file.goods]": 0.5}


def test_ids_used_twice_in_one_file_are_told(shop: Workshop) -> None:
    shop.write("orders.jsonl", [*orders(5), *orders(5), *orders(6)])
    assert shop.run(ORDERS).tallies["event"] == Tally(3, 1, 1, 1)
