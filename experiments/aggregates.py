"""Sufficient statistics that add: count, means and covariances of columns, merged with `+`, whatever the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Moments of `columns` over `count` units. `means` (columns,); `scatter` (columns, columns): sums of products of
    deviations from the means, so that covariance = scatter / (count - 1).

    Deviations and not raw sums, because the difference of two large sums of squares loses its digits; merging is
    the pairwise update of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
    """

    columns: tuple[str, ...]
    count: int
    means: tuple[float, ...]
    scatter: tuple[tuple[float, ...], ...]

    def __add__(self, other: Aggregates) -> Aggregates:
        if self.columns != other.columns:
            raise ValueError(f"cannot add statistics of {self.columns} and of {other.columns}")
        if not self.count or not other.count:
            return self if self.count else other
        total = self.count + other.count
        apart = np.subtract(other.means, self.means)
        means = np.asarray(self.means) + apart * (other.count / total)
        scatter = np.add(self.scatter, other.scatter) + np.outer(apart, apart) * (self.count * other.count / total)
        return _frozen(self.columns, total, means, scatter)

    def mean(self, column: str) -> float:
        return self.means[self.columns.index(column)]

    def variance(self, column: str) -> float:
        """The unbiased variance; needs two units."""
        return self.covariance(column, column)

    def covariance(self, one: str, other: str) -> float:
        """The unbiased covariance; needs two units."""
        value = self.scatter[self.columns.index(one)][self.columns.index(other)]
        return value / (self.count - 1)


def aggregate(columns: Mapping[str, npt.ArrayLike]) -> Aggregates:
    """The statistics of columns of equal length, one value for each unit.

    >>> both = aggregate({"x": [1.0, 2.0]}) + aggregate({"x": [6.0]})
    >>> both.count, both.mean("x"), both.variance("x")
    (3, 3.0, 7.0)
    """
    names = tuple(columns)
    matrix = np.column_stack([np.asarray(columns[name], dtype=float) for name in names])
    if not len(matrix):
        return nothing(names)
    means = matrix.mean(axis=0)
    apart = matrix - means
    return _frozen(names, len(matrix), means, apart.T @ apart)


def nothing(columns: Sequence[str]) -> Aggregates:
    """The statistics of no unit: what `+` leaves unchanged."""
    size = len(columns)
    return Aggregates(tuple(columns), 0, (0.0,) * size, ((0.0,) * size,) * size)


def _frozen(columns: tuple[str, ...], count: int, means: np.ndarray, scatter: np.ndarray) -> Aggregates:
    return Aggregates(columns, count, tuple(means.tolist()), tuple(tuple(row) for row in scatter.tolist()))
