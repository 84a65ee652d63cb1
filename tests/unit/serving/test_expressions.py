"""Expressions of the catalogue are checked when loaded, and an unknown value never qualifies anybody."""

from __future__ import annotations

import pytest

from serving.expressions import Scope, compile_expression

NAMES = ("tenure_days", "spend_90d", "plan")


def scope(**customer: object) -> Scope:
    return Scope(customer, {"hour": 9, "intent": "cancel"}, {"churn": 0.25})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("customer.tenure_day >= 1", "tenure_day"),
        ("score.love > 0.5", "love"),
        ("person.age > 3", "person"),
        ("customer.tenure_days >", "parse"),
    ],
)
def test_a_fault_is_refused_when_loaded_and_named(source: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        compile_expression(source, NAMES)


def test_names_inside_quotes_are_text() -> None:
    assert compile_expression("customer.plan == 'customer.nope'", NAMES).names == ("customer.plan",)


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("customer.tenure_days >= 30", True),
        ("customer.tenure_days >= 31", False),
        ("customer.plan == 'gold' && context.hour < 12", True),
        ("context.intent == 'cancel' || customer.spend_90d > 10.0", True),
        ("customer.spend_90d > 10.0", False),
        ("!(customer.spend_90d > 10.0)", False),
        ("context.nothing_of_the_kind == 1", False),
        ("customer.tenure_days", False),
    ],
)
def test_a_condition_holds_only_when_it_is_known_to(source: str, holds: bool) -> None:
    customer = scope(tenure_days=30.0, spend_90d=None, plan="gold")
    assert compile_expression(source, NAMES).holds(customer.cel) is holds


@pytest.mark.parametrize(
    ("source", "amount"),
    [
        ("60.0 * score.churn", 15.0),
        ("3", 3.0),
        ("customer.spend_90d * 2.0", None),
        ("1.0 / 0.0", None),
        ("'text'", None),
        ("true", None),
    ],
)
def test_an_amount_is_a_finite_number_or_unknown(source: str, amount: float | None) -> None:
    assert compile_expression(source, NAMES).amount(scope(spend_90d=None).cel) == amount


def test_the_values_seen_are_told_in_words() -> None:
    expression = compile_expression("customer.tenure_days >= 30 && customer.spend_90d > 1.0", NAMES)
    told = expression.seen(scope(tenure_days=12.5, spend_90d=None).values)
    assert told == "customer.tenure_days = 12.5, customer.spend_90d = missing"
