"""Ids as people type them."""

from __future__ import annotations

import pytest

from features.errors import InvalidInput
from features.ids import typed_id


@pytest.mark.parametrize("typed", ["U1", " U1", "U1 ", "U1\n", "\tU1\u00a0"])
def test_blanks_around_an_id_do_not_count(typed: str) -> None:
    assert typed_id(typed) == "U1"


@pytest.mark.parametrize("typed", ["", "  ", "x" * 129, "U\n1", "U\x001", "U\u200b1", "U1\x7f"])
def test_what_cannot_be_an_id_is_refused_with_the_field(typed: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        typed_id(typed, "decision_id")
    assert caught.value.field == "decision_id"


def test_blanks_within_an_id_and_letters_of_every_script_are_its_own() -> None:
    assert typed_id("Zo\u00eb  \u4e00") == "Zo\u00eb  \u4e00"
