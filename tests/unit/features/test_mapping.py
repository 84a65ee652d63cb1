"""Mapping files: what is right is read, what is wrong is refused with file, line and key before a row is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue.entry import Wrong
from features.clock import DAY, HOUR, parse_time
from features.errors import MappingError
from features.importing import load_mapping
from features.importing.kinds import AS, FREE, ID, NAMES, NUMBER, OUTCOME_KIND, PROBABILITY, ZONE, BadValue, Kind, plain
from features.importing.targets import TARGETS
from features.importing.times import TIME
from features.importing.values import FILE, ROW, getter, read_value
from features.settings import SHIPPED


def take(given: Any, row: dict[str, Any], kind: Kind = FREE) -> Any:
    return getter(read_value(given, kind))(row)


# -- values ------------------------------------------------------------------------------------------------------------


def test_a_text_names_a_column_and_anything_else_is_itself() -> None:
    assert take("a", {"a": "x"}) == "x"
    assert take(0.5, {}) == 0.5
    assert take(True, {}) is True
    assert take({"constant": "email"}, {}) == "email"


def test_a_missing_or_blank_value_is_none() -> None:
    for row in ({}, {"a": None}, {"a": ""}, {"a": "  "}, {"a": float("nan")}):
        assert take("a", row) is None


def test_surrounding_blanks_do_not_count() -> None:
    assert take("a", {"a": " x "}, ID) == "x"


def test_a_dotted_name_looks_inside_unless_the_column_itself_has_the_dot() -> None:
    assert take("a.b c", {"a": {"b c": 1}}) == 1
    assert take("a.b", {"a.b": 2}) == 2
    assert take("a.b", {"a": 5}) is None
    assert take("a.b", {"a": None}) is None


def test_of_several_columns_the_first_with_a_value_counts() -> None:
    given = {"column": ["v.offer id", "v.offer_id"]}
    assert take(given, {"v": {"offer_id": "x"}}) == "x"
    assert take(given, {"v": {"offer id": "", "offer_id": "x"}}) == "x"
    assert take(given, {"v": {"offer id": "y", "offer_id": "x"}}) == "y"
    assert take(given, {}) is None


def test_a_template_fills_in_columns_the_row_and_the_file() -> None:
    row = {"type": "bogo", "days": 7.0, ROW: 12, FILE: "offers"}
    assert take({"text": "{type}_{days}"}, row) == "bogo_7"
    assert take({"text": "{file}-{row}"}, row) == "offers-12"
    assert take({"text": "{type}_{nothing}"}, row) is None
    assert take({"text": "plain"}, row) == "plain"


def test_null_if_says_which_values_mean_nothing() -> None:
    for value in (118, 118.0, "118"):
        assert take({"column": "a", "null_if": [118, "-"]}, {"a": value}) is None
    assert take({"column": "a", "null_if": 118}, {"a": 119}) == 119


def test_a_map_translates_and_refuses_what_it_does_not_know() -> None:
    given = {"column": "a", "map": {"yes": "granted", "1": "granted"}}
    assert take(given, {"a": "yes"}) == "granted"
    assert take(given, {"a": 1}) == "granted"
    assert take(given, {}) is None
    with pytest.raises(BadValue, match="'maybe' is not in the map"):
        take(given, {"a": "maybe"})
    assert take(given | {"otherwise": "denied"}, {"a": "maybe"}) == "denied"
    assert take(given | {"otherwise": "denied"}, {}) == "denied"


def test_as_says_how_a_free_field_is_read() -> None:
    assert take({"column": "a", "as": "number"}, {"a": "29.85"}) == 29.85
    assert take({"column": "a", "as": "whole"}, {"a": "7"}) == 7
    assert take({"column": "a", "as": "text"}, {"a": 7.0}) == "7"
    assert [take({"column": "a", "as": "boolean"}, {"a": v}) for v in ("Yes", "no", 1, False)] == [
        True,
        False,
        True,
        False,
    ]
    assert take("a", {"a": "29.85"}) == "29.85"


def test_a_list_may_be_split() -> None:
    assert take("a", {"a": ["x", "y"]}, NAMES) == ("x", "y")
    assert take("a", {"a": "x"}, NAMES) == ("x",)
    assert take({"column": "a", "split": "|"}, {"a": "x | y|"}, NAMES) == ("x", "y")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ID, "x" * 129),
        (ID, {"a": 1}),
        (ID, "a\0b"),
        (ID, "\ud800"),
        (NUMBER, "1,5"),
        (NUMBER, "inf"),
        (NUMBER, True),
        (NUMBER, 10**400),
        (AS["whole"], 1.5),
        (AS["whole"], 2**63),
        (AS["boolean"], "maybe"),
        (FREE, [1]),
        (FREE, 2**70),
        (FREE, float("inf")),
        (PROBABILITY, 0),
        (PROBABILITY, 1.1),
        (PROBABILITY, 1e-320),
        (ZONE, ["UTC"]),
        (OUTCOME_KIND, {"a": 1}),
        (ZONE, "Mars/Base"),
        (ZONE, "../etc"),
        (OUTCOME_KIND, "won"),
        (TIME, "soon"),
        (TIME, 5),
        (TIME, "0000-01-01"),
    ],
)
def test_what_a_kind_cannot_hold_is_refused(kind: Kind, value: Any) -> None:
    with pytest.raises(BadValue):
        take("a", {"a": value}, kind)


@given(st.integers(-(2**53), 2**53))
def test_a_number_is_the_same_in_every_format(number: int) -> None:
    assert plain(number) == plain(float(number)) == plain(str(number))


# -- times -------------------------------------------------------------------------------------------------------------

SINCE = "2018-07-26T00:00:00Z"


@pytest.mark.parametrize(
    ("said", "value", "expected"),
    [
        ({}, "2026-01-02", "2026-01-02"),
        ({}, "2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05"),
        ({"zone": "Europe/Berlin"}, "2026-07-01T12:00:00", "2026-07-01T10:00:00"),
        ({"time": "%Y%m%d"}, 20170212, "2017-02-12"),
        ({"time": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "01.01.2026 12:00", "2026-01-01T11:00"),
        ({"time": "hours", "since": SINCE}, 1.5, "2018-07-26T01:30"),
        ({"time": "hours", "since": SINCE}, "168", "2018-08-02"),
        ({"time": "days", "since": SINCE}, -1, "2018-07-25"),
        ({"time": "epoch_seconds"}, 1_767_225_600, "2026-01-01"),
        ({"time": "epoch_seconds"}, "1767225600.5", "2026-01-01T00:00:00.5"),
        ({"time": "epoch_milliseconds"}, "1767225600001", "2026-01-01T00:00:00.001"),
        ({"time": "epoch_microseconds"}, 1_767_225_600_000_001, "2026-01-01T00:00:00.000001"),
    ],
)
def test_times_are_read_as_said(said: dict[str, Any], value: Any, expected: str) -> None:
    assert take({"column": "t"} | said, {"t": value}, TIME) == parse_time(expected)


def test_times_of_parquet_are_taken_as_they_are() -> None:
    from datetime import UTC, date, datetime

    assert take("t", {"t": datetime(2026, 1, 1, 12, tzinfo=UTC)}, TIME) == parse_time("2026-01-01T12:00")
    assert take("t", {"t": datetime(2026, 1, 1, 12)}, TIME) == parse_time("2026-01-01T12:00")
    assert take({"column": "t", "zone": "Europe/Berlin"}, {"t": date(2026, 1, 2)}, TIME) == parse_time(
        "2026-01-01T23:00"
    )


@pytest.mark.parametrize("value", ["x", 10**12, float("inf"), True, "1e400"])
def test_an_offset_that_is_no_number_or_too_far_is_refused(value: Any) -> None:
    with pytest.raises(BadValue):
        take({"column": "t", "time": "days", "since": SINCE}, {"t": value}, TIME)


@given(st.integers(-10_000, 10_000))
def test_hours_and_days_agree_exactly(days: int) -> None:
    told = {unit: {"column": "t", "time": unit, "since": SINCE} for unit in ("hours", "days")}
    in_hours = take(told["hours"], {"t": days * 24}, TIME)
    assert in_hours == take(told["days"], {"t": days}, TIME) == parse_time(SINCE) + days * DAY
    assert take(told["hours"], {"t": str(days)}, TIME) == parse_time(SINCE) + days * HOUR


# -- files -------------------------------------------------------------------------------------------------------------

FILES = '[file.f]\npath = "f.csv"\n'
EVENT = FILES + '[[event]]\nfrom = "f"\nevent_id = "i"\ncustomer_id = "c"\ntype = "t"\n'  # 7 lines, a time is missing
WHOLE = EVENT + 'occurred_at = "w"\n'  # 8 lines
OUTCOME = FILES + '[[outcome]]\nfrom = "f"\noutcome_id = "i"\nkind = "k"\noccurred_at = "w"\n'  # 7 lines


def refused(tmp_path: Path, text: str) -> MappingError:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(MappingError) as caught:
        load_mapping(str(path))
    return caught.value


@pytest.mark.parametrize("name", sorted(file.stem for file in (SHIPPED / "mappings").glob("*.toml")))
def test_every_shipped_mapping_is_sound_and_found_by_its_name(name: str) -> None:
    mapping = load_mapping(name)
    assert mapping.name == name
    assert mapping.about


def test_a_name_that_is_neither_a_file_nor_shipped_lists_what_is_shipped() -> None:
    with pytest.raises(MappingError, match=r"nothing: no such file.*starbucks"):
        load_mapping("nothing")


def test_a_file_name_that_could_not_mark_what_it_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my mapping.toml").write_text(WHOLE)
    with pytest.raises(MappingError, match="name the file with letters"):
        load_mapping(str(tmp_path / "my mapping.toml"))


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ('[[event]]\nfrom = "f"\n', 1, "file", "is needed"),
        (WHOLE + "[[events]]\n", 9, "events", "unknown key"),
        ("about = 1\n" + WHOLE, 1, "about", "must be text"),
        ('shift = "yes"\n' + WHOLE, 1, "shift", "one of newest_to_now"),
        ('shift = "newest_to_now"\n' + OUTCOME + 'decision_id = "d"\n', 1, "shift", "needs an [[event]]"),
        ("[file.f]\nformat = 'csv'\n", 1, "file.f.path", "is needed"),
        (FILES + "format = 'xml'\n", 3, "file.f.format", "one of csv"),
        (FILES + "delimiter = ';;'\n", 3, "file.f.delimiter", "single character"),
        (FILES + "add.x = { text = '{a' }\n", 3, "file.f.add.x.text", "columns in braces"),
        (FILES + "each.x = 5\n", 3, "file.f.each.x", "list of texts or numbers"),
        (FILES + "each.x = []\n", 3, "file.f.each.x", "list of texts or numbers"),
        (FILES + "each.x = [1, '1']\n", 3, "file.f.each.x", "more than once"),
        (FILES + "columns = 1\n", 3, "file.f.columns", "unknown key"),
        (FILES + "[event]\nfrom = 'f'\n", 3, "event", "two brackets"),
        (EVENT, 3, "event.occurred_at", "is needed"),
        (FILES + '[[event]]\nevent_id = "i"\n', 3, "event.from", "is needed"),
        (FILES + '[[event]]\nfrom = "g"\n', 4, "event.from", "no [file.g]; one of f"),
        (WHOLE + 'colour = "x"\n', 9, "event.colour", "unknown key"),
        (WHOLE + "value = {}\n", 9, "event.value", "exactly one of"),
        (WHOLE + "value = { column = 'a', constant = 1 }\n", 9, "event.value", "exactly one of"),
        (WHOLE + "value = { column = [] }\n", 9, "event.value.column", "name of a column"),
        (WHOLE + "value = { column = 'a', default = 1 }\n", 9, "event.value.default", "unknown key"),
        (WHOLE + "value = { column = 'a', as = 'number' }\n", 9, "event.value.as", "unknown key"),
        (WHOLE + "value = { column = 'a', time = 'hours' }\n", 9, "event.value.time", "unknown key"),
        (WHOLE + "value = { constant = 'x' }\n", 9, "event.value.constant", "not a number"),
        (WHOLE + "value = true\n", 9, "event.value", "not a number"),
        (WHOLE + "properties.x = { column = 'a', as = 'date' }\n", 9, "event.properties.x.as", "one of"),
        (WHOLE + "properties.x = { column = 'a', map = { b = [1] } }\n", 9, "event.properties.x.map.b", "must be text"),
        (EVENT + "occurred_at = { column = 'w', time = 'years' }\n", 8, "event.occurred_at.time", "one of iso"),
        (EVENT + "occurred_at = { column = 'w', time = 'hours' }\n", 8, "event.occurred_at.since", "needs since"),
        (
            EVENT + "occurred_at = { column = 'w', time = 'epoch_seconds', since = 2020-01-01 }\n",
            8,
            "event.occurred_at.since",
            "takes no since",
        ),
        (EVENT + "occurred_at = { column = 'w', zone = 'Moon' }\n", 8, "event.occurred_at.zone", "not a time zone"),
        (WHOLE + "where = { a = { no = 1 } }\n", 9, "event.where.a.not", "is needed"),
        (WHOLE + "where = { a = { present = 1 } }\n", 9, "event.where.a.present", "true or false"),
        (WHOLE + "join.x = { file = 'g', key = 'k', on = 'a' }\n", 9, "event.join.x.file", "one of f"),
        (WHOLE + "join.x = { file = 'f', on = 'a' }\n", 9, "event.join.x.key", "is needed"),
        (WHOLE + "join.x = 'f'\n", 9, "event.join.x", "a table"),
        (OUTCOME, 3, "outcome.attach_to", "decision_id"),
        (OUTCOME + 'attach_to = "first"\n', 8, "outcome.attach_to", "latest_decision"),
        (OUTCOME + 'attach_to = "latest_decision"\ncustomer_id = "c"\n', 3, "outcome.action", "is needed"),
        (FILES + '[[channel]]\nid = "a b"\n', 4, "channel.id", "letters, digits"),
        (FILES + '[[action]]\nid = "a"\n', 3, "action.group", "is needed"),
        (FILES + '[[action]]\nfrom = "f"\nid = "a"\n', 3, "action.group", "is needed"),
    ],
)
def test_a_bad_mapping_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, said: str
) -> None:
    error = refused(tmp_path, text)
    assert error.message.startswith(f"m.toml:{line}: {key}: "), error.message
    assert said in error.message
    assert error.field == key


def test_what_is_not_toml_is_refused(tmp_path: Path) -> None:
    assert "m.toml:2: not TOML" in refused(tmp_path, "\n[[event]\n").message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (WHOLE.replace('"i"', '"\xfcber"').encode("latin-1"), r"b\.toml:5: byte 13 of the line is not UTF-8"),
        (WHOLE.encode("utf-16"), r"b\.toml:1: it is saved as UTF-16; save it as UTF-8"),
    ],
)
def test_a_mapping_of_another_encoding_is_refused_with_its_place(tmp_path: Path, written: bytes, said: str) -> None:
    (tmp_path / "b.toml").write_bytes(written)
    with pytest.raises(MappingError, match=said):
        load_mapping(str(tmp_path / "b.toml"))


def test_a_mapping_may_begin_with_a_byte_order_mark_and_its_faults_keep_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load_mapping(str(path)).rules
    path.write_bytes(b"\xef\xbb\xbf[file.f]\r\nformat = 'csv'\r\n")
    with pytest.raises(MappingError, match=r"b\.toml:1: file\.f\.path"):
        load_mapping(str(path))


def test_the_fault_of_the_second_entry_is_found_at_the_second(tmp_path: Path) -> None:
    second = WHOLE[len(FILES) :].replace('type = "t"', "type = 5.5\ntypo = 1")
    assert refused(tmp_path, WHOLE + second).message.startswith("m.toml:14: event.typo")


def test_a_value_that_is_no_value_at_all_is_refused() -> None:
    with pytest.raises(Wrong):
        read_value([1], NUMBER)


def test_the_example_in_the_readme_is_sound(tmp_path: Path) -> None:
    readme = (SHIPPED.parent / "features" / "README.md").read_text()
    (tmp_path / "example.toml").write_text(readme.split("```toml\n")[1].split("```")[0])
    mapping = load_mapping(str(tmp_path / "example.toml"))
    assert [rule.target for rule in mapping.rules] == ["event"]
    assert mapping.shift


def test_the_readme_names_every_field_of_every_target() -> None:
    readme = (SHIPPED.parent / "features" / "README.md").read_text()
    for name, target in TARGETS.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `[[{name}]]`"))
        fields = {*target.needed, *target.tables} | (set() if name == "action" else set(target.optional))
        assert [field for field in fields if field not in row] == []
