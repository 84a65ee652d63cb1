"""Formulas as data: the text shown to people hangs on the function that computes, so neither can change alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Formula:
    """What a function computes: its name, the formula as text, and where it comes from."""

    name: str
    text: str
    source: str


_FORMULAS: dict[str, Formula] = {}


def formula(name: str, text: str, source: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares the formula that the decorated function computes."""

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        _FORMULAS[f"{function.__module__}.{function.__qualname__}"] = Formula(name, text, source)
        return function

    return declare


def formula_of(function: Callable[..., object]) -> Formula:
    """The formula a function computes. Raises KeyError for a function that declares none."""
    return _FORMULAS[f"{function.__module__}.{function.__qualname__}"]
