"""The nouns hold their promises by themselves."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import msgspec
import pytest

from features import domain
from features.domain import DO_NOTHING, Arm, Decision, Item, Versions
from features.errors import InvalidInput


def item(**given: Any) -> Item:
    values: dict[str, Any] = {
        "rank": 1,
        "arm": Arm("a", "web"),
        "action_group": "g",
        "action_probability": 0.5,
        "p_model": None,
        "p_accept": None,
        "action_value": 1.0,
        "expected_value": 0.0,
        "priority": 0.0,
        "content": None,
        "expires_at": 0,
        "closes_at": 0,
    }
    return Item(**(values | given))


def decision(*items: Item) -> Decision:
    return Decision("d", "r", "c", 0, items, "action", None, None, Versions(None, "p", "c"))


def test_a_decision_cannot_be_built_without_its_probability() -> None:
    needed = [f.name for f in msgspec.structs.fields(Item) if f.required]
    assert "action_probability" in needed


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1, float("nan"), float("inf")])
def test_a_probability_is_above_zero_and_at_most_one(probability: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        item(action_probability=probability)
    assert caught.value.field == "action_probability"


def test_a_decision_is_never_empty_and_speaks_of_its_first_item() -> None:
    made = decision(item(action_probability=0.25), item(rank=2, arm=DO_NOTHING))
    assert (made.arm, made.action_probability) == (Arm("a", "web"), 0.25)
    with pytest.raises(InvalidInput):
        decision()


def test_arms_have_a_key_and_an_order() -> None:
    assert Arm("a", "web").key == "a@web"
    assert sorted([Arm("b", "a"), Arm("a", "z"), Arm("a", "b")]) == [Arm("a", "b"), Arm("a", "z"), Arm("b", "a")]
    assert DO_NOTHING.key == "do_nothing@none"


NOUNS = [
    found
    for _, found in inspect.getmembers(domain, inspect.isclass)
    if dataclasses.is_dataclass(found) or issubclass(found, msgspec.Struct)
]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_is_frozen_and_has_no_dictionary(noun: Any) -> None:
    made = noun.__struct_config__ if issubclass(noun, msgspec.Struct) else noun.__dataclass_params__
    assert made.frozen
    assert not any("__dict__" in vars(base) for base in noun.__mro__)
