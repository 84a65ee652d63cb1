"""Numbers with a comma, a point, and signs between thousands: read as said, and the form guessed from what failed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.importing.cells import BadValue
from features.importing.kinds import AS, FREE, NUMBER, PROBABILITY, Kind, amount_or_text, as_amount, as_number, as_whole
from features.importing.number_form import NumberForm, likely_form
from features.importing.values import getter, read_value


@pytest.mark.parametrize(
    ("form", "text", "number"),
    [
        (NumberForm(","), "29,85", 29.85),
        (NumberForm(","), "-0,5", -0.5),
        (NumberForm(","), "1,5e3", 1500.0),
        (NumberForm(",", "."), "1.234.567,89", 1_234_567.89),
        (NumberForm(",", "."), "12", 12.0),
        (NumberForm(".", ","), "1,234", 1234.0),
        (NumberForm(".", ","), "12,34,567.5", 1_234_567.5),
        (NumberForm(",", " "), "1\u202f234,5", 1234.5),
        (NumberForm(",", " "), "1\u00a0234,5", 1234.5),
        (NumberForm(".", "'"), "1\u2019234.5", 1234.5),
    ],
)
def test_a_number_is_read_in_the_form_of_its_file(form: NumberForm, text: str, number: float) -> None:
    read = form.plain(text)
    assert read is not None
    assert float(read) == number


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (NumberForm(","), "29.85"),
        (NumberForm(","), "1,2,3"),
        (NumberForm(",", "."), "1.5"),
        (NumberForm(",", "."), "1.23,5"),
        (NumberForm(".", ","), "29,85"),
        (NumberForm(".", ","), ",234"),
        (NumberForm(), "1_000"),
        (NumberForm(), "infinity"),
        (NumberForm(), "nan"),
        (NumberForm(), "٣"),
        (NumberForm(), ""),
        (NumberForm(), "€ 5"),
    ],
)
def test_what_is_no_number_of_the_form_is_none_rather_than_another_number(form: NumberForm, text: str) -> None:
    assert form.plain(text) is None


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 2)), st.sampled_from(["", ".", " ", "'"]))
def test_what_is_written_in_a_form_is_read_back(number: float, thousands: str) -> None:
    written = f"{number:,.2f}".translate({ord(","): thousands, ord("."): ","})
    read = NumberForm(",", thousands).plain(written)
    assert read is not None
    assert float(read) == number


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["29,85", "5,0", "7"], 'decimal = ","'),
        (["29,85", "1.234,50"], 'decimal = ","\nthousands = "."'),
        (["1,234", "12,345,678.9"], 'thousands = ","'),
        (["1 234", "5"], 'thousands = " "'),
        (["1 234,5", "5,5"], 'decimal = ","\nthousands = " "'),
        (["1'234.50"], 'thousands = "\'"'),
    ],
)
def test_the_form_is_guessed_from_what_could_not_be_read(texts: list[str], said: str) -> None:
    assert str(likely_form(texts)) == said


@pytest.mark.parametrize("texts", [[], ["lots"], ["29,85", "many", "few"]])
def test_no_form_is_guessed_where_most_are_no_numbers_at_all(texts: list[str]) -> None:
    assert likely_form(texts) is None


@pytest.mark.parametrize("kind", [NUMBER, PROBABILITY])
def test_a_value_may_say_its_own_form(kind: Kind) -> None:
    get = getter(read_value({"column": "a", "decimal": ","}, kind))
    assert get({"a": "0,5"}) == get({"a": 0.5}) == 0.5
    with pytest.raises(BadValue, match=r"'0\.5' is not a number written with decimal = \",\""):
        get({"a": "0.5"})
    with pytest.raises(BadValue, match="'half' is not a number"):
        get({"a": "half"})


def test_a_free_field_has_a_form_where_it_is_read_as_a_number() -> None:
    assert (
        getter(read_value({"column": "a", "as": "whole", "thousands": "."} | {"decimal": ","}, FREE))({"a": "1.234"})
        == 1234
    )
    assert getter(read_value({"column": "a"}, FREE))({"a": "1,5"}) == "1,5"


def test_what_a_map_gives_is_read_as_the_mapping_writes_it() -> None:
    get = getter(read_value({"column": "a", "decimal": ",", "map": {"x": "1.5"}}, NUMBER))
    assert get({"a": "x"}) == 1.5


# -- the edges of numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["inf", float("inf"), float("-inf"), "1e309", 10**400, True, [1], {}, b"1", "1_0"])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match="is not a number"):
        as_number(value)


@pytest.mark.parametrize("value", [1e101, "-1e308", 10**200])
def test_a_number_that_has_no_square_is_refused(value: object) -> None:
    with pytest.raises(BadValue, match=r"is beyond 10\^100"):
        as_number(value)


def test_a_value_that_is_no_expression_but_a_number_of_another_form_is_refused() -> None:
    assert amount_or_text("9.90") == 9.9
    assert amount_or_text("customer.spend * 0.1") == "customer.spend * 0.1"
    for text in ("9,90", "1.234,5", "1e13"):
        with pytest.raises(BadValue):
            amount_or_text(text)


def test_an_amount_is_one_that_sums_can_hold() -> None:
    assert as_amount("-1e12") == -1e12
    for value in (1.1e12, "1e99", -(10**13)):
        with pytest.raises(BadValue, match=r"beyond 1,000,000,000,000, the largest amount"):
            as_amount(value)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 2**63 - 1, 7, 0])
def test_a_whole_number_keeps_every_digit(number: int) -> None:
    assert as_whole(number) == as_whole(str(number)) == as_whole(Decimal(number)) == number


@pytest.mark.parametrize("value", ["007", "+7", 7.0, "7.0", "7e0"])
def test_a_whole_number_may_be_written_in_other_ways(value: float | str) -> None:
    assert as_whole(value) == 7


@pytest.mark.parametrize("value", [2.0**53, 1e18, "1e18", f"{2**53}.0"])
def test_a_whole_number_that_has_lost_digits_is_refused(value: float | str) -> None:
    with pytest.raises(BadValue, match="has lost digits"):
        as_whole(value)


@pytest.mark.parametrize("value", [2**63, "9" * 30, "9" * 5_000, 1.5, "x", True, None, 1e300])
def test_what_is_no_whole_number_of_64_bits_is_refused(value: object) -> None:
    with pytest.raises(BadValue):
        as_whole(value)


def test_the_kinds_of_numbers_are_the_ones_with_a_form() -> None:
    assert {name for name, kind in AS.items() if kind.is_number} == {"number", "whole"}
