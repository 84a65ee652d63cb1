"""Everything the gates judge, as one value: both policies on the same rows, and what became of those rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.target import Target
from features.figures import number

Mask = NDArray[np.bool_]
#: Values held by fewer rows than this share make no segment of their own.
LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """n recorded decisions, each decided again by champion and candidate."""

    #: Rewards in money.
    log: LoggedFeedback
    champion: Target
    candidate: Target
    #: Harm ("opt-outs", "complaints") -> (n,) 1 where the decision was answered with it, else 0.
    harms: Mapping[str, Floats] = field(default_factory=dict)
    #: (n,) 1 where the arm drawn was responded to, 0 where not, NaN where nobody knows or nothing was sent.
    response: Floats = field(default_factory=lambda: np.empty(0))
    #: (n,) the response probability the candidate gives that arm, NaN where it would not allow it.
    p_accept: Floats = field(default_factory=lambda: np.empty(0))
    #: Name -> (n,) which rows are in it.
    segments: Mapping[str, Mask] = field(default_factory=dict)
    #: (m,) seconds of a decision by the engine, both on the same requests, taken in turn.
    champion_seconds: Floats = field(default_factory=lambda: np.empty(0))
    candidate_seconds: Floats = field(default_factory=lambda: np.empty(0))


def segments_of(columns: Mapping[str, Sequence[object]]) -> dict[str, Mask]:
    """The segments that columns of texts, (n,), or of numbers, (n,) with None for missing, divide the rows into.

    Texts by value, the rare ones together; numbers by thirds. A column that divides nothing makes no segment, nor do
    values that together are too rare to ever be told apart: they would keep everything from being promoted.

    >>> list(segments_of({"channels": ["web", "web", "email"], "n": [1.0, 2.0, 3.0]}))
    ['channels = email', 'channels = web', 'n < 2', 'n >= 2, < 3', 'n >= 3']
    """
    found: dict[str, Mask] = {}
    for name, column in columns.items():
        known = [value for value in column if value is not None]
        numbers = bool(known) and all(isinstance(value, int | float) for value in known)
        parts = _by_thirds(name, column) if numbers else _by_value(name, column)
        if len(parts) > 1:
            found |= parts
    return found


def _by_value(name: str, column: Sequence[object]) -> dict[str, Mask]:
    texts = np.array(["none" if value is None else str(value) for value in column])
    values, place, counts = np.unique(texts, return_inverse=True, return_counts=True)
    common = counts >= LEAST_SHARE * len(texts)
    parts = {f"{name} = {value}": place == n for n, value in enumerate(values) if common[n]}
    rest = ~common[place]
    return parts | ({f"{name} = other": rest} if rest.mean() >= LEAST_SHARE else {})


def _by_thirds(name: str, column: Sequence[object]) -> dict[str, Mask]:
    numbers = np.array([np.nan if value is None else value for value in column], dtype=np.float64)
    edges = np.unique(np.quantile(numbers[~np.isnan(numbers)], [1 / 3, 2 / 3], method="higher"))
    bounds = [-np.inf, *edges.tolist(), np.inf]
    parts = {}
    for low, high in pairwise(bounds):
        rows = (numbers >= low) & (numbers < high)
        if rows.any():
            told = [f">= {number(low)}" if low > -np.inf else "", f"< {number(high)}" if high < np.inf else ""]
            parts[f"{name} {', '.join(filter(None, told))}"] = rows
    missing = np.isnan(numbers)
    if missing.mean() >= LEAST_SHARE:
        parts[f"{name} missing"] = missing
    return parts
