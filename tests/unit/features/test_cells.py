"""What is the same value in two formats, what is missing, and what has lost its digits on the way."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.importing.cells import BadValue, among, clean, comparable, identity, plain, shown, truth


@pytest.mark.parametrize("value", [None, "", "  ", "\t\u00a0", math.nan])
def test_nulls_nan_and_blanks_are_missing(value: Any) -> None:
    assert clean(value) is None


@pytest.mark.parametrize("value", [0, 0.0, False, [], "nan", "0"])
def test_zero_no_and_text_are_not_missing(value: Any) -> None:
    assert clean(value) is value


@pytest.mark.parametrize(
    "value", [118, 118.0, "118", " 118 ", "118.0", "118.000", Decimal("118.00"), Decimal("1.18E+2")]
)
def test_one_number_is_one_id_however_it_is_written(value: Any) -> None:
    assert identity(value) == comparable(value) == "118"


@pytest.mark.parametrize(
    "text", ["007", "007.0", "1e2", "1.10", "+5", "1_000", "0x10", "12345678901234567890123", "v1.0"]
)
def test_a_text_that_only_looks_like_a_number_stays_what_it_is(text: str) -> None:
    assert identity(text) == text


def test_fractions_of_numbers_are_the_same_in_every_type() -> None:
    assert plain(1.5) == plain(Decimal("1.50")) == "1.5"
    assert plain(Decimal("-0.0")) == plain(-0.0) == plain(0) == "0"


@pytest.mark.parametrize(
    "value",
    [
        2.0**53,
        -(2.0**53),
        1e20,
        math.inf,
        "9007199254740993.0",
        "1.23457E+11",
        "9,00719925474099E+18",
        "1.2345678901234568e+18",
    ],
)
def test_an_id_that_has_lost_digits_is_refused(value: Any) -> None:
    with pytest.raises(BadValue, match="has lost digits"):
        identity(value)


@pytest.mark.parametrize("value", [2**53, 10**30, str(10**30), Decimal(10**30), 2.0**53 - 1, str(2**53 - 1) + ".0"])
def test_a_long_id_that_is_exact_is_kept(value: Any) -> None:
    assert identity(value) == str(int(Decimal(value)))


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x"])
def test_what_is_no_single_value_is_no_id(value: Any) -> None:
    with pytest.raises(BadValue, match="a single value is needed"):
        identity(value)


@given(st.integers(-(2**53) + 1, 2**53 - 1), st.integers(0, 3))
def test_a_whole_number_is_one_id_in_every_format(number: int, zeros: int) -> None:
    spelt = [number, float(number), str(number), f"{number}.0{'0' * zeros}", Decimal(f"{number}.{'0' * zeros}")]
    # "-0" is no number of a program: it stays the text that it is.
    assert {identity(one) for one in spelt} == ({str(number)})


@given(st.text(max_size=12))
def test_the_id_of_an_id_is_itself(text: str) -> None:
    try:
        once = identity(text)
    except BadValue:
        return
    assert identity(once) == once or once.strip() != once


@pytest.mark.parametrize("value", [True, "true", "True", "TRUE", " True ", 1, "1", 1.0, "1.0", "yes", "Y", Decimal(1)])
def test_true_is_met_in_every_spelling_that_boolean_takes(value: Any) -> None:
    assert truth(value) is True
    assert among(True).has(value)
    assert not among(False).has(value)


@pytest.mark.parametrize("value", [False, "false", "False", "FALSE", 0, "0", 0.0, "no", "N", "f"])
def test_and_false_too(value: Any) -> None:
    assert truth(value) is False
    assert among([False]).has(value)
    assert not among([True]).has(value)


def test_what_is_neither_is_met_by_neither() -> None:
    assert truth("maybe") is None
    assert not among([True, False]).has("maybe")


def test_texts_are_met_as_they_are_with_true_and_false_in_any_case() -> None:
    listed = among(["Paid", 118, "true"])
    assert [value for value in ("Paid", "paid", "118.0", 118.0, "TRUE", "1", "yes") if listed.has(value)] == [
        "Paid",
        "118.0",
        118.0,
        "TRUE",
    ]
    assert not among([])


def test_long_values_are_shown_cut_and_typed_ones_as_people_write_them() -> None:
    assert len(shown("x" * 1_000)) == 80
    assert shown(Decimal("1.50")) == "1.50"
    assert shown(date(2026, 1, 2)) == "2026-01-02"
    assert shown("a") == "'a'"
