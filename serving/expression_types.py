"""Does an expression give what it is for: a condition true or false, a value a number? CEL has no types before it runs.

So it is run on samples. Features and scores are numbers, always; what a request brings as context may be of any kind,
so every kind is tried for each such name, and one combination that suits the expression is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import cel

from features.domain import Scalar

CONDITION, AMOUNT = "condition", "amount"
#: Two values of each kind, so that both ways of a comparison are gone; odd ones, that nobody subtracts and divides by.
_NUMBERS: tuple[Scalar, ...] = (0.37, 1_234.5)
_KINDS: tuple[tuple[Scalar, ...], ...] = (_NUMBERS, (3, 41), ("x", "y"), (True, False))
#: More names of unknown kind than this all get the same kind: 4 kinds of 5 names would be 1,024 combinations.
_MIXED_NAMES = 4
_WANTED = {
    CONDITION: "a condition must give true or false: compare it with something, as in customer.tenure_days >= 30",
    AMOUNT: "a value must give a finite number, as in 60.0 * score.churn",
}
_FAILS = "fails whatever comes"
_ANOTHER_MAY_DO = (KeyError, ValueError, RuntimeError, ArithmeticError)


def type_fault(program: Any, names: Sequence[str], wanted: str) -> str | None:
    """What is wrong with what it gives, in words; None where some kinds of values suit it.

    `names` are the `root.name` it reads; `wanted` is CONDITION or AMOUNT.
    """
    told: list[str] = []
    for samples in _samples(names):
        given = [_run(program, sample, changeable=bool(names)) for sample in samples]
        faults = [fault for one in given if (fault := _fault(one, wanted))]
        if not faults or (len(faults) < len(given) and all(isinstance(one, float) for one in given)):
            return None  # a number that is not finite for some values only is an unknown value then, and no fault
        told += faults
    return min(told, key=lambda fault: fault.startswith(_FAILS))  # what it gives says more than that it fails


class _Unsuited:
    """An error: of the values, another of which may do, or of the kinds."""

    def __init__(self, error: Exception, another_may_do: bool) -> None:
        self.message = None if another_may_do else f"{_FAILS}: {' '.join(str(error).split())}"


def _run(program: Any, sample: dict[str, dict[str, Scalar]], *, changeable: bool) -> Any:
    try:
        return program.execute(cel.Context(sample))
    except TypeError as error:
        return _Unsuited(error, another_may_do=False)
    except _ANOTHER_MAY_DO as error:
        return _Unsuited(error, another_may_do=changeable)


def _fault(given: Any, wanted: str) -> str | None:
    if isinstance(given, _Unsuited):
        return given.message
    number = isinstance(given, int | float) and not isinstance(given, bool)
    fits = isinstance(given, bool) if wanted == CONDITION else number and abs(given) < float("inf")
    return None if fits else f"gives {_named(given)}; {_WANTED[wanted]}"


def _named(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number" if abs(value) < float("inf") else "no finite number"
    return f"a {type(value).__name__}"


def _samples(names: Sequence[str]) -> Iterator[list[dict[str, dict[str, Scalar]]]]:
    """For each combination of kinds two samples of the values of all names."""
    free = [name for name in names if name.startswith("context.")]
    mixed = product(_KINDS, repeat=len(free)) if len(free) <= _MIXED_NAMES else ((kind,) * len(free) for kind in _KINDS)
    for kinds in mixed:
        values = dict.fromkeys(names, _NUMBERS) | dict(zip(free, kinds, strict=True))
        yield [_sample({name: two[place] for name, two in values.items()}) for place in (0, 1)]


def _sample(values: dict[str, Scalar]) -> dict[str, dict[str, Scalar]]:
    sample: dict[str, dict[str, Scalar]] = {"customer": {}, "context": {}, "score": {}}
    for name, value in values.items():
        root, key = name.split(".", 1)
        sample[root][key] = value
    return sample
