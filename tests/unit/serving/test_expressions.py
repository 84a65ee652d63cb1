"""Expressions of the catalogue are checked when loaded, and an unknown value never qualifies anybody."""

from __future__ import annotations

import pytest

from serving.expression_types import AMOUNT, CONDITION, type_fault
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
    assert compile_expression(source, NAMES).holds(customer) is holds


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
    assert compile_expression(source, NAMES).amount(scope(spend_90d=None)) == amount


def test_the_values_seen_are_told_in_words() -> None:
    expression = compile_expression("customer.tenure_days >= 30 && customer.spend_90d > 1.0", NAMES)
    told = expression.seen(scope(tenure_days=12.5, spend_90d=None).values)
    assert told == "customer.tenure_days = 12.5, customer.spend_90d = missing"


def fault(source: str, wanted: str) -> str | None:
    expression = compile_expression(source, NAMES)
    return type_fault(expression.program, expression.names, wanted)


@pytest.mark.parametrize(
    ("source", "wanted", "said"),
    [
        ("true", AMOUNT, "gives true or false; a value must give a finite number"),
        ("1.0 / 0.0", AMOUNT, "gives no finite number"),
        ("'five'", AMOUNT, "gives text"),
        ("customer.spend_90d > 5.0", AMOUNT, "gives true or false"),
        ("2 * score.churn", AMOUNT, "fails whatever comes: No such overload"),
        ("1 / 0", AMOUNT, "fails whatever comes: division by zero"),
        ("5", CONDITION, "gives a number; a condition must give true or false"),
        ("customer.tenure_days", CONDITION, "gives a number"),
        ("score.churn + customer.spend_90d", CONDITION, "gives a number"),
        ("customer.tenure_days && score.churn > 0.5", CONDITION, "the operation is not defined"),
        ("context.hour", CONDITION, None),  # a request may bring true or false
        ("context.hour + 1", CONDITION, "gives a number"),
    ],
)
def test_an_expression_of_the_wrong_kind_is_told_with_what_is_expected(
    source: str, wanted: str, said: str | None
) -> None:
    told = fault(source, wanted)
    assert told is None if said is None else told is not None and said in told


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("60.0 * score.churn", AMOUNT),
        ("3", AMOUNT),
        ("1.0 / (customer.spend_90d - 0.37)", AMOUNT),
        ("customer.tenure_days > 5 ? 1.0 : 2.0", AMOUNT),
        ("context.basket * 0.1", AMOUNT),
        ("double(context.basket)", AMOUNT),
        ("context.intent == 'cancel' && context.hour < 12 && context.vip", CONDITION),
        ("timestamp(context.when) > timestamp('2026-01-01T00:00:00Z')", CONDITION),
        ("context.a == 1 || context.b == 2 || context.c == 3 || context.d == 4 || context.e == 5", CONDITION),
        ("'x' in customer", CONDITION),
        ("has(customer.plan) && customer.plan > 1.0", CONDITION),
        ("true", CONDITION),
    ],
)
def test_an_expression_that_fits_on_some_values_is_taken(source: str, wanted: str) -> None:
    assert fault(source, wanted) is None
