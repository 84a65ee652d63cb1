"""Was the log as random as it says? Shares of the arms against the design, customers of the arms against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from experiments.formulas import formula
from experiments.ope.feedback import Floats, Integers
from experiments.srm import ALARM
from experiments.studies.units import Units

#: More moments of decision than this are no waves; then all rows are tested as one.
MOST_WAVES = 50
#: Singular directions of the covariates are left out: a linear combination of others says nothing new.
_RANK = 1e-9


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A statistic that is chi-squared with `freedom` degrees of freedom if the log is as random as it says."""

    statistic: float
    freedom: int

    @property
    def p_value(self) -> float:
        return float(chi2.sf(self.statistic, self.freedom)) if self.freedom else 1.0

    @property
    def passed(self) -> bool:
        return self.p_value >= ALARM

    def __add__(self, other: ChiSquare) -> ChiSquare:
        """Of both, independent, together."""
        return ChiSquare(self.statistic + other.statistic, self.freedom + other.freedom)


@dataclass(frozen=True, slots=True)
class WaveBalance:
    """One wave. `counts` of the (k,) arms; `worst` is the largest difference of a covariate between an arm and the
    rest, in standard deviations, as (covariate, arm, difference)."""

    wave: int
    counts: tuple[int, ...]
    shares: ChiSquare
    covariates: ChiSquare
    worst: tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Balance:
    """Of all waves. `shares` and `covariates` add up what the waves say."""

    waves: tuple[WaveBalance, ...]
    shares: ChiSquare
    covariates: ChiSquare

    @property
    def passed(self) -> bool:
        """Whether no test, of a wave or of all, sounds the alarm."""
        return self._pass("shares") and self._pass("covariates")

    def _pass(self, what: str) -> bool:
        """All together at p < 0.001, and each of m waves at p < 0.001 / m: of fifty at 0.001 one would by luck sound
        the alarm in one perfect log of twenty."""
        waves: list[ChiSquare] = [getattr(wave, what) for wave in self.waves]
        together: ChiSquare = getattr(self, what)
        return together.passed and all(test.p_value * len(waves) >= ALARM for test in waves)

    def meaning(self) -> str:
        """One or two plain sentences."""
        if self.passed:
            return (
                "Nothing speaks against a random draw: arms have the shares the log states, and customers who got one "
                "arm are, before the decision, like those who got another."
            )
        if not self._pass("shares"):
            return (
                "Do not read further. The arms have not the shares the log states: either the probabilities are wrong, "
                "or rows were lost. Find out which, and correct the probabilities in the mapping."
            )
        return (
            "Do not read further. Who got which arm depended on who they were: customers of the arms differ before "
            "the decision by more than chance allows, and so would their rewards without any effect. Comparing arms "
            "needs the probabilities that were really used, row by row."
        )


def check_balance(units: Units) -> Balance:
    """Tests every wave by itself, and all together."""
    moments = np.unique(units.decided_at)
    wave = np.searchsorted(moments, units.decided_at) if len(moments) <= MOST_WAVES else np.zeros(len(units), int)
    columns, names = _told(units.context, units.context_names)
    tested = []
    for number in range(int(wave.max()) + 1):
        rows = wave == number
        tested.append(_one(number + 1, units, rows, columns[rows], names))
    none = ChiSquare(0.0, 0)
    shares, covariates = sum((t.shares for t in tested), none), sum((t.covariates for t in tested), none)
    return Balance(tuple(tested), shares, covariates)


def _one(number: int, units: Units, rows: Floats, columns: Floats, names: tuple[str, ...]) -> WaveBalance:
    arm, k = units.arm[rows], len(units.arms)
    counts = np.bincount(arm, minlength=k)
    test, differences = covariate_test(columns, arm, k)
    worst = ("–", "–", 0.0)
    if differences.size:
        a, c = np.unravel_index(int(np.argmax(np.abs(differences))), differences.shape)
        worst = (names[c], units.arms[a], float(differences[a, c]))
    return WaveBalance(number, tuple(counts.tolist()), share_test(counts, units.design), test, worst)


@formula(
    "Shares of the arms",
    "χ² = Σ (observed − expected)² / expected over the arms, arms − 1 degrees of freedom; alarm when p < 0.001, "
    "of each of m waves when p < 0.001 / m",
    "Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD",
)
def share_test(counts: Integers, design: Floats) -> ChiSquare:
    """(k,) rows of each arm against the (k,) probabilities."""
    expected = counts.sum() * design
    return ChiSquare(float(((counts - expected) ** 2 / expected).sum()), len(counts) - 1)


@formula(
    "Balance of covariates",
    "d² = Σ over arms n (x̄ of the arm − x̄)ᵀ S⁻¹ (x̄ of the arm − x̄), S the covariance of the covariates; "
    "covariates × (arms − 1) degrees of freedom; alarm when p < 0.001, of each of m waves when p < 0.001 / m",
    "Hansen, Bowers (2008), Covariate Balance in Simple, Stratified and Clustered Comparative Studies, Statistical "
    "Science; for several arms it is (n − 1) times Pillai's (1955) trace",
)
def covariate_test(columns: Floats, arm: Integers, arms: int) -> tuple[ChiSquare, Floats]:
    """One test of all (n, d) covariates, no NaN, against the (n,) arm; and (arms, d) differences of each arm from the
    rest in standard deviations. Covariates that do not vary, or repeat others, do not count."""
    n, d = columns.shape
    counts = np.bincount(arm, minlength=arms).astype(np.float64)
    used = np.flatnonzero(counts)
    if n < 3 or not d or len(used) < 2:
        return ChiSquare(0.0, 0), np.zeros((arms, d))
    centred = columns - columns.mean(axis=0)
    deviation = centred.std(axis=0, ddof=1)
    scaled = centred / np.where(deviation > 1e-12, deviation, np.inf)
    means = np.zeros((arms, d))
    np.add.at(means, arm, scaled)
    means[used] /= counts[used, None]
    values, vectors = np.linalg.eigh(scaled.T @ scaled / (n - 1))
    kept = values > _RANK * max(1.0, float(values[-1]))
    whitened = means @ (vectors[:, kept] / np.sqrt(values[kept]))
    statistic = float((counts[:, None] * whitened**2).sum())
    rest = n / np.maximum(n - counts, 1.0)
    return ChiSquare(statistic, int(kept.sum()) * (len(used) - 1)), means * rest[:, None]


def _told(context: Floats, names: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """Missing values become the mean, and whether a value is missing a covariate of its own."""
    missing = np.isnan(context)
    some = np.flatnonzero(missing.any(axis=0))
    means = np.nansum(context, axis=0) / np.maximum((~missing).sum(axis=0), 1)
    labels = (*names, *(f"{names[column]} missing" for column in some))
    return np.column_stack([np.where(missing, means, context), missing[:, some].astype(np.float64)]), labels
