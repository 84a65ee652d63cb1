"""Expressions of the catalogue (CEL) over `customer`, `context` and `score`: compiled once, run in each decision.

CEL (https://cel.dev) cannot loop or reach outside what it is given, so product teams may write it safely.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import cel

from features.catalogue import Catalogue, Fault
from features.domain import Scalar
from serving.expression_types import AMOUNT, CONDITION, type_fault

ROOTS = ("customer", "context", "score")
SCORES = ("churn", "conversion")
_NAME = re.compile(r"\b(customer|context|score)\s*(?:\?)?\.\s*([A-Za-z_]\w*)")
_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
#: What CEL raises for a value that is missing, null or of another type; anything else is a fault of ours.
_CANNOT = (TypeError, KeyError, ValueError, RuntimeError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression. `names` are the `root.name` it refers to, in order."""

    source: str
    names: tuple[str, ...]
    program: Any

    def holds(self, scope: Scope) -> bool:
        """Whether the condition is true. A value it needs that is missing makes it false: unknown never qualifies."""
        return scope.result(self) is True

    def amount(self, scope: Scope) -> float | None:
        """The number it gives, or None where a value it needs is missing or the result is no finite number."""
        value = scope.result(self)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if abs(value) < float("inf") else None

    def seen(self, values: Mapping[str, Mapping[str, Scalar]]) -> str:
        """The values it looked at, for people: `customer.tenure_days = 12`."""
        parts = []
        for name in self.names:
            root, key = name.split(".", 1)
            value = values[root].get(key)
            shown = "missing" if value is None else f"{value:g}" if isinstance(value, float) else repr(value)
            parts.append(f"{name} = {shown}")
        return ", ".join(parts)


def compile_expression(source: str, customer_names: Collection[str] | None) -> Expression:
    """Compiles, and checks that every name is known and that operators fit their types.

    `customer_names` are the features that exist, None where there are no features yet and any name goes;
    `context` takes any name, for requests bring what they like. Raises ValueError that says what is wrong.
    """
    program = cel.compile(source)
    unknown = [v for v in program.variables() if v not in ROOTS]
    if unknown:
        raise ValueError(f"unknown name {unknown[0]!r}; write customer.…, context.… or score.…")
    bare = _TEXT.sub("''", source)
    names = tuple(dict.fromkeys(f"{root}.{name}" for root, name in _NAME.findall(bare)))
    for name in names:
        root, key = name.split(".", 1)
        if root == "customer" and customer_names is not None and key not in customer_names:
            nearest = near_names(key, customer_names)
            meant = f"did you mean {' or '.join(nearest)}? " if nearest else ""
            raise ValueError(f"no feature {key!r}; {meant}`segue features list` names all")
        if root == "score" and key not in SCORES:
            raise ValueError(f"no score {key!r}; one of {', '.join(SCORES)}")
    return Expression(source, names, program)


def near_names(wanted: str, names: Collection[str]) -> list[str]:
    """At most three names that may have been meant: those written alike, then those that speak of the same.

    >>> near_names("tier", ["events_7d", "attribute_tier_is_gold"])
    ['attribute_tier_is_gold']
    """
    alike = get_close_matches(wanted, sorted(names), n=3, cutoff=0.75)
    words = set(wanted.lower().split("_")) - {""}
    same = sorted((n for n in names if words <= set(n.split("_"))), key=lambda name: (len(name), name))
    return list(dict.fromkeys([*alike, *same]))[:3]


@dataclass(frozen=True, slots=True)
class ActionExpressions:
    """The compiled expressions of one action: conditions by kind, and the value where it is an expression."""

    conditions: tuple[tuple[str, Expression], ...]
    value: Expression | None


@dataclass(frozen=True, slots=True)
class CompiledCatalogue:
    """A catalogue with its expressions compiled; `customer_names` are all the features they read."""

    catalogue: Catalogue
    expressions: Mapping[str, ActionExpressions]
    customer_names: tuple[str, ...]


def compile_catalogue(
    catalogue: Catalogue, customer_names: Collection[str] | None
) -> tuple[CompiledCatalogue, list[Fault]]:
    """The compiled catalogue, and what is wrong with its expressions, by file, line and key."""
    faults: list[Fault] = []
    used: dict[str, None] = {}
    compiled: dict[str, ActionExpressions] = {}

    def one(action: str, key: str, source: str, wanted: str) -> Expression | None:
        try:
            expression = compile_expression(source, customer_names)
        except ValueError as error:
            faults.append(catalogue.fault("action", action, key, " ".join(str(error).split())))
            return None
        wrong = type_fault(expression.program, expression.names, wanted)
        if wrong is not None:
            faults.append(catalogue.fault("action", action, key, wrong))
        used.update(dict.fromkeys(n.split(".", 1)[1] for n in expression.names if n.startswith("customer.")))
        return expression

    for action in catalogue.actions.values():
        conditions = []
        for kind in ("eligible", "applicable", "suitable"):
            source = getattr(action, kind)
            expression = one(action.id, kind, source, CONDITION) if source else None
            if expression is not None:
                conditions.append((kind, expression))
        value = one(action.id, "value", action.value, AMOUNT) if isinstance(action.value, str) else None
        compiled[action.id] = ActionExpressions(tuple(conditions), value)
    return CompiledCatalogue(catalogue, compiled, tuple(used)), faults


class Scope:
    """The values one decision's expressions see. They are made CEL's once, and each expression is run once.

    Actions share their conditions: the 20 of the benchmark have 3 different ones.
    """

    __slots__ = ("_cel", "_results", "values")

    def __init__(
        self, customer: Mapping[str, Scalar], context: Mapping[str, Scalar], score: Mapping[str, float]
    ) -> None:
        self.values: Mapping[str, Mapping[str, Scalar]] = {"customer": customer, "context": context, "score": score}
        self._cel = cel.Context({"customer": dict(customer), "context": dict(context), "score": dict(score)})
        self._results: dict[str, Any] = {}

    def result(self, expression: Expression) -> Any:
        """What an expression gives, None where a value it needs is missing, null or of another type."""
        source = expression.source
        if source not in self._results:
            try:
                self._results[source] = expression.program.execute(self._cel)
            except _CANNOT:
                self._results[source] = None
        return self._results[source]
