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
        low, middle, high = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
        spread = (high - low) / _QUARTILES_APART or float(known.std())
        if spread > 0.0:
            found.append((names[column], middle, spread))
    return Covariates(*(tuple(part) for part in zip(*found, strict=True))) if found else NO_COVARIATES
