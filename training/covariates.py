"""The covariates of the online correction: the few features of a customer the propensity model leans on most.

They are chosen when a model is trained, and released with it: what is learned online is about one bundle's
predictions, in that bundle's terms. A value is taken from its median and divided by its spread, so that nearly all lie
within -3 to 3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.residual import COVARIATE_SHIFT, MOST_DIMENSIONS

Floats = NDArray[np.float64]

#: A normal's quartiles lie so many standard deviations apart.
_QUARTILES_APART = 1.349
#: No customer is so odd that one feature may say more than three spreads of it.
_LIMIT = 3.0
#: Two features that correlate more than this are one.
_NEARLY_THE_SAME = 0.95


@dataclass(frozen=True, slots=True)
class Covariates:
    """Names of features, and for each the middle and the spread by which it is standardised. None of them: () each."""

    names: tuple[str, ...] = ()
    centres: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()

    def of(self, features: Mapping[str, float | None]) -> tuple[int, ...]:
        """The covariates of a customer in whole units of 2^-8, 0 for what is not known; without the constant.

        >>> Covariates(("age", "spend"), (40.0, 9.0), (10.0, 3.0)).of({"age": 45.0, "spend": None})
        (128, 0)
        """
        found = []
        for name, centre, spread in zip(self.names, self.centres, self.spreads, strict=True):
            value = features.get(name)
            if value is None or value != value:
                found.append(0)
            else:
                found.append(round(min(max((value - centre) / spread, -_LIMIT), _LIMIT) * (1 << COVARIATE_SHIFT)))
        return tuple(found)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Covariates:
        content = json.loads(text)
        names = tuple(str(name) for name in content["names"])
        centres, spreads = (tuple(float(n) for n in content[key]) for key in ("centres", "spreads"))
        if not len(names) == len(centres) == len(spreads) < MOST_DIMENSIONS or not all(s > 0.0 for s in spreads):
            raise ValueError("covariates need a middle and a spread each")
        return Covariates(names, centres, spreads)


NO_COVARIATES = Covariates()


def choose_covariates(
    names: tuple[str, ...], gains: Floats, matrix: Floats, most: int = MOST_DIMENSIONS - 1
) -> Covariates:
    """Of k features `names` with (k,) gains in the model, the `most` that it gained most by, the best first.

    `matrix` (n, k) are rows the model learned from, NaN for not known. What never varies is left out; where half of
    all are alike (a flag), the standard deviation stands in for the quartiles.
    """
    found: list[tuple[str, float, float]] = []
    for column in np.argsort(-gains, kind="stable").tolist():
        known = matrix[:, column][np.isfinite(matrix[:, column])]
        if len(found) == most or gains[column] <= 0.0 or not len(known):
            break
        middle, spread = _standard(known)
        if spread > 0.0:
            found.append((names[column], middle, spread))
    return _covariates(found)


def varied_covariates(names: tuple[str, ...], matrix: Floats, most: int = MOST_DIMENSIONS - 1) -> Covariates:
    """Before there is a model to lean on anything: of k features `names` the `most` that tell customers apart.

    `matrix` (n, k) are customers, NaN for not known. First comes what is known, and not alike, of most of them, and
    among equals what the contract has first; what says nearly the same as one chosen is passed over.
    """
    chosen: list[int] = []
    told_apart = np.array([_told_apart(column) for column in matrix.T])
    for column in np.argsort(-np.round(told_apart, 1), kind="stable").tolist():
        if len(chosen) == most or told_apart[column] <= 0.0:
            break
        if not any(_alike(matrix[:, column], matrix[:, other]) for other in chosen):
            chosen.append(column)
    return _covariates([(names[c], *_standard(matrix[np.isfinite(matrix[:, c]), c])) for c in chosen])


def _told_apart(column: Floats) -> float:
    """Share of all customers of whom this is known and is not what it mostly is."""
    _, counts = np.unique(column[np.isfinite(column)], return_counts=True)
    return float(counts.sum() - counts.max(initial=0)) / max(len(column), 1)


def _alike(one: Floats, other: Floats) -> bool:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or not one[both].std() or not other[both].std():
        return False
    return bool(abs(np.corrcoef(one[both], other[both])[0, 1]) > _NEARLY_THE_SAME)


def _standard(known: Floats) -> tuple[float, float]:
    """Middle and spread of what is known of a feature."""
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
    return middle, (high - low) / _QUARTILES_APART or float(known.std())


def _covariates(found: list[tuple[str, float, float]]) -> Covariates:
    return Covariates(*(tuple(part) for part in zip(*found, strict=True))) if found else NO_COVARIATES
