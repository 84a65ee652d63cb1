"""Names of features: each text has one of its own, which gives it back, and which every tool takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.attributes import number_column, text_column
from features.names import LONGEST, fitted, is_plain, joined, spelled, tailed

SIGNS = {
    "space": " ",
    "plus": "+",
    "minus": "-",
    "underscore": "_",
    "dot": ".",
    "comma": ",",
    "slash": "/",
    "and": "&",
    "percent": "%",
    "quote": "'",
    "colon": ":",
    "open": "(",
    "close": ")",
    "less": "<",
    "more": ">",
    "equals": "=",
    "hash": "#",
    "at": "@",
    "dollar": "$",
    "empty": "",
    "end": "",
}
# Texts that meet where spelling is careless: capitals, signs, their names, underscores, code points, other scripts.
TRICKY = st.lists(
    st.sampled_from(
        ["a", "A", "b", "7", "_", "__", "-", "+", " ", "is", "_is_", "plus", "cap", "x41", "y", "Y", "é", "東", ""]
    )
).map("".join)
TEXTS = TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def read_back(words: str) -> str:
    """The text that was spelled: an independent reader of the words."""
    text, previous_was_word, how = "", False, None
    for word in words.split("_"):
        if how is not None:
            text += word.capitalize() if how == "cap" else word.upper()
            how, previous_was_word = None, False
        elif word in ("cap", "caps"):
            how = word
        elif word in SIGNS:
            text, previous_was_word = text + SIGNS[word], False
        elif re.fullmatch("x[0-9a-f]+", word):
            text, previous_was_word = text + chr(int(word[1:], 16)), False
        else:
            text, previous_was_word = text + ("_" if previous_was_word else "") + word, True
    return text


@given(TEXTS)
@example("plus_one")
@example("one_plus")
@example("x41_x")
@example("a_B_c")
@example("VIPs A1b B2B iPhone")
def test_a_spelling_gives_its_text_back(text: str) -> None:
    assert read_back(spelled("p", text).removeprefix("p__")) == text


@given(TEXTS, TEXTS)
def test_two_texts_have_two_names_even_where_case_does_not_count(one: str, other: str) -> None:
    assert (joined("p", one).lower() == joined("p", other).lower()) == (one == other)


@given(st.tuples(TEXTS, st.none() | TEXTS), st.tuples(TEXTS, st.none() | TEXTS))
@example(("tier_is_gold", None), ("tier", "gold"))
@example(("a_is_b", "c"), ("a", "b_is_c"))
@example(("x_is", "v"), ("x", "is_v"))
@example(("x k_is_z", None), ("x k", "z"))
def test_no_attribute_is_called_as_another_or_as_a_value_of_another(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    names = [(number_column(n) if v is None else text_column(n, v)).name for n, v in (one, other)]
    assert (names[0] == names[1]) == (one == other)


@given(TEXTS, TEXTS)
def test_every_name_is_fit_for_sql_cel_and_feast(name: str, text: str) -> None:
    for column in (number_column(name), text_column(name, text)):
        assert re.fullmatch(rf"[a-z][a-z0-9_]{{0,{LONGEST - 1}}}", fitted(column.name))
        assert not fitted(column.name).endswith("_y")


@pytest.mark.parametrize("text", ["gold", "new_york", "30d", "a_b_c", "yes"])
def test_a_plain_text_is_called_as_it_is_written(text: str) -> None:
    assert is_plain(text)
    assert joined("attribute_tier_is", text) == f"attribute_tier_is_{text}"


def test_what_is_not_plain_can_still_be_read() -> None:
    wanted = {"Gold": "cap_gold", "VIP": "caps_vip", "A+": "cap_a_plus", "A-": "cap_a_minus", "18-25": "18_minus_25"}
    assert {text: joined("t", text) for text in wanted} == {text: f"t__{words}" for text, words in wanted.items()}


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    one, other = fitted("n" * 200 + "1"), fitted("n" * 200 + "2")
    assert one != other
    assert len(one) == len(other) == LONGEST
    assert fitted("n" * LONGEST) == "n" * LONGEST
    assert tailed("n", "a") != tailed("n", "b")
