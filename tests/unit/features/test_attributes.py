"""What does not fit the columns of an attribute is counted and shown, when features are built and by an import."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.attributes import MAX_ATTRIBUTES, AttributeTally, AttributeValues, attribute_columns, odd_values

VALUES = st.integers(0, 5) | st.sampled_from(["a", "b", "c"]) | st.booleans()


def tally(*customers: dict[str, object]) -> AttributeTally:
    made = AttributeTally()
    for attributes in customers:
        made.see(attributes)
    return made


def told(values: AttributeValues, applied: AttributeValues) -> list[str]:
    """What is said of an attribute x, after it was applied with other values."""
    return list(odd_values({"x": values}, {c.sql for c in attribute_columns({"x": applied}, ())}))


def test_an_attribute_that_fits_is_not_spoken_of() -> None:
    assert told(AttributeValues.of(5), AttributeValues.of(5)) == []
    assert told(AttributeValues.of(0, {"a": 5}), AttributeValues.of(0, {"a": 1})) == []


def test_texts_among_numbers_are_counted_and_shown() -> None:
    found = told(AttributeValues.of(1_200, {"unknown": 2, "n/a": 1}), AttributeValues.of(1))
    assert found == ["3 of 1,203 customers' x is not a number and counts as missing: 'unknown', 'n/a'"]


def test_a_number_among_texts_is_counted() -> None:
    found = told(AttributeValues.of(1, {"a": 3}), AttributeValues.of(0, {"a": 1}))
    assert found == ["1 of 4 customers' x is a number, not a text, and counts as missing"]


def test_a_text_without_a_column_is_shown() -> None:
    full = dict.fromkeys((f"v{n:02d}" for n in range(20)), 2)
    found = told(AttributeValues.of(0, {**full, "w" * 200: 1}), AttributeValues.of(0, full))
    assert found == [f"20 texts of x have a column, 21 occur; none for '{'w' * 60}…'"]


def test_texts_as_different_as_ids_are_no_feature_and_that_is_said() -> None:
    ids = AttributeValues.of(0, {f"id{n}": 1 for n in range(400)})
    assert told(ids, ids) == ["x is no feature: it has 400 different texts"]


def test_attributes_for_which_there_is_no_room_are_counted() -> None:
    many = {f"a{n}": AttributeValues.of(1) for n in range(MAX_ATTRIBUTES + 3)}
    ids = AttributeValues.of(0, {f"id{n}": 1 for n in range(400)})
    applied = {column.sql for column in attribute_columns(many, ())}
    assert list(odd_values({**many, "ids": ids}, applied)) == [
        "ids is no feature: it has 400 different texts",
        "3 attributes are no features: 100, those known of most customers, are",
    ]


def test_an_import_counts_its_own_rows_by_what_was_applied_or_by_what_they_would_be() -> None:
    rows = [{"age": n} for n in range(40)] + [{"age": "unknown"}]
    assert tally(*rows).odd(None) == ("1 of 41 customers' age is not a number and counts as missing: 'unknown'",)
    applied = {c.sql for c in attribute_columns({"age": AttributeValues.of(0, {"old": 1})}, ())}
    assert tally(*rows).odd(applied)[0] == "40 of 41 customers' age is a number, not a text, and counts as missing"


def test_of_very_many_texts_a_tally_keeps_no_more_than_it_needs() -> None:
    made = tally(*({"id": f"id{n}"} for n in range(5_000)))
    found = made.found()["id"]
    assert (found.with_text, len(found.texts)) == (5_000, 40)
    assert made.odd(None)[0].startswith("id is no feature")


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), VALUES), max_size=12), st.randoms())
def test_a_tally_does_not_depend_on_the_order_of_customers(customers: list[dict[str, object]], random: object) -> None:
    turned = list(customers)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert tally(*customers).found() == tally(*turned).found()
