"""Intervals of an estimate, all from the same contributions: the one that is reported, and two to compare it with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from experiments.formulas import formula
from experiments.ope.contributions import Contributions
from experiments.ope.evidence import BINS, bins_of
from experiments.ope.feedback import Floats

CONFIDENCE = 0.95
#: Responses, of the kind seen anywhere in the log, that every size of weight is taken to have missed.
UNSEEN_RESPONSES = 0.5
#: Skewness is kept above this, where the gamma quantile is the normal one to five digits.
_LEAST_SKEWNESS = 1e-4
#: Steps towards the lower end of a count; they stop as soon as nothing moves.
_STEPS = 100
#: Resamples; groups of customers that are resampled as one, so that a million rows cost what five thousand do.
RESAMPLES, GROUPS = 2_000, 5_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """A 95 % interval, in the unit of the reward."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cumulants:
    """Of an estimate's error: variance, third cumulant, and what the variance's own uncertainty counts for."""

    variance: float
    third: float
    freedom: float


@formula(
    "Interval",
    "estimate + s g (c − x), x = 1/g², g = skewness of the estimate, s its deviation; c from Γ⁻¹(τ; x + ½) to "
    "Γ⁻¹(0.975; x + ½), τ = min(2.5 % + 95 % u, 5 % (1 − u)), u = exp(−c N / x) the chance of no response at all, N "
    "the log's responses. Computed twice, as the data are, and with half a response more at each size of weight, each "
    "times t/z, t with 2n / (β₂ − 1 − γ²) degrees of freedom; the interval holds both. Of money a third time, with "
    "half a payment more, as large as the largest, at any weight.",
    "Matches Hall (1992), On the Removal of Skewness by Transformation, to second order, and the Jeffreys interval of "
    "a Poisson count (Brown, Cai, DasGupta 2003) where responses are rare, given that there is one (a count cut off "
    "at 0: Cohen 1960, Estimating the Parameter in a Conditional Poisson Distribution)",
)
def skewed(contributions: Contributions) -> Bounds:
    """The interval that is reported. Its coverage is measured in `tests/coverage.py`.

    As if the estimate were a constant plus a scaled count of x events, matched in variance and skewness: symmetric for
    many, an interval of a count for few. Rows of heavy weight rarely respond; until one does, nothing in the data shows
    how far the value may lie above, so the second computation lets each size of weight respond a little. A log
    without a response is refused, so those that are told lie high where responses are few (`_fewest`).
    """
    responses, ways = _count(contributions.residual - contributions.centre), list(cumulants(contributions))
    if contributions.money:
        ways.append(_larger(contributions, ways[0]))
    found = [_matched(contributions.value, one, responses) for one in ways]
    return Bounds(min(one.low for one in found), max(one.high for one in found))


def cumulants(contributions: Contributions) -> tuple[Cumulants, Cumulants]:
    """(as the data are, with half a response more at each size of weight) of the estimate's error.

    Customers are independent, their rows are not. The degrees of freedom are those of a variance whose fourth moment is
    β₂, less what moves with the mean (β₂ − 1 − γ² is 0 for a count), which the skewness accounts for. The second
    differs in the moments of ω e alone: those of each half octave of ω are drawn towards the residual's moments in the
    whole log, as many rows strong as hold half a response.
    """
    each = by_unit(contributions, contributions.influences())
    n, rows = len(each), len(contributions.omega)
    squares = each * each
    second, third, fourth = float(squares.sum()), float(squares @ each), float(squares @ squares)
    spread = n * fourth / second**2 - 1.0 - n * third**2 / second**3 if second > 0.0 else 0.0
    # With many rows a customer there are n sums of customers; each row's share of the mean is 1 / rows.
    small = n / (n - 1) / rows**2
    freedom = 2.0 * n / max(spread, 1e-9)
    more = _unseen(contributions)
    plain = Cumulants(second * small, third / rows**3, freedom)
    careful = Cumulants(max(0.0, second + more[0]) * small, (third + more[1]) / rows**3, freedom)
    return plain, careful


def by_unit(contributions: Contributions, column: Floats) -> Floats:
    """(units,) sums of the (n,) column for each customer; the column itself where every row is its own."""
    if contributions.unit is None:
        return column
    return np.bincount(contributions.unit, column).astype(np.float64)


def _unseen(contributions: Contributions) -> tuple[float, float]:
    """What unseen responses add to Σ (ω e)² and Σ (ω e)³."""
    omega = contributions.omega / contributions.scale
    e = contributions.residual - contributions.centre
    squares = e * e
    second = float(squares.sum())
    if second <= 0.0:
        return 0.0, 0.0
    # Each response stands for so many rows.
    strength = UNSEEN_RESPONSES * len(e) / _count(e)
    # The ω of a difference has two signs, whose responses cancel: each sign has bins of its own.
    places, weighed = bins_of(np.abs(omega)) + BINS * (omega < 0.0), omega * e
    count = np.bincount(places, minlength=2 * BINS)
    used = count > 0
    share = strength / (count[used] + strength)
    added, seen, shape = [], weighed, omega
    for moment in (second / len(e), float(squares @ e) / len(e)):
        seen, shape = seen * weighed, shape * omega
        # count / (count + strength) of (seen + strength x the mean expected), less what was seen.
        missing = moment * np.bincount(places, shape, 2 * BINS) - np.bincount(places, seen, 2 * BINS)
        added.append(float(share @ missing[used]))
    return added[0], added[1]


def _larger(contributions: Contributions, plain: Cumulants) -> Cumulants:
    """With half a payment more, as large as the largest, at any weight: amounts have a longer tail than was seen.

    Without it intervals of log-normal amounts held the truth in 91 to 95 of 100 logs where weights are even.
    """
    omega, e = contributions.omega / contributions.scale, contributions.residual - contributions.centre
    most, squares = float(e[np.argmax(np.abs(e))]) / len(e), omega * omega
    second = UNSEEN_RESPONSES * most**2 * float(squares.mean())
    third = UNSEEN_RESPONSES * most**3 * float((squares * omega).mean())
    return replace(plain, variance=plain.variance + second, third=plain.third + third)


def _count(e: Floats) -> float:
    """(Σ e²)² / Σ e⁴ of (n,) residuals: how many responses make up their spread, 0 where there is none.

    >>> _count(np.array([0.0, 0.0, 2.0, 2.0, 2.0]))
    3.0
    """
    squares = e * e
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth > 0.0 else 0.0


def _matched(value: float, c: Cumulants, responses: float) -> Bounds:
    if c.variance <= 0.0:
        return Bounds(value, value)
    deviation = math.sqrt(c.variance)
    skewness = max(abs(c.third) / deviation**3, _LEAST_SKEWNESS)
    events, tail = 1.0 / skewness**2, (1.0 - CONFIDENCE) / 2.0
    wider = float(stdtrit(np.clip(c.freedom, 3.0, 1e9), 1.0 - tail) / ndtri(1.0 - tail))
    ends = _fewest(events, max(responses / events, 1.0)), float(gammaincinv(events + 0.5, 1.0 - tail))
    low, high = (deviation * skewness * (end - events) * wider for end in ends)
    return Bounds(value + low, value + high) if c.third >= 0.0 else Bounds(value - high, value - low)


def _fewest(events: float, responses_per_event: float) -> float:
    """Lower end of the number of events expected where so many were seen, given that there was a response at all.

    With c events expected a log has no response with probability u, and is refused. Of those that are told a share
    (2.5 % − u) / (1 − u), at least 0, then lies below what their upper ends reach; the lower ends may miss the rest of
    5 %. So as many as were seen, or more, must have the chance τ = min(2.5 % + 95 % u, 5 % (1 − u)). From above, each
    step comes nearer.

    >>> [round(_fewest(x, 1.0), 2) for x in (1.0, 3.0, 300.0)], round(float(gammaincinv(300.5, 0.025)), 2)
    ([0.0, 0.9, 267.48], 267.48)
    """
    alpha = 1.0 - CONFIDENCE
    tail, fewest = alpha, math.inf
    for _ in range(_STEPS):
        before, fewest = fewest, float(gammaincinv(events + 0.5, tail))
        if abs(before - fewest) <= 1e-9 * events:
            break
        refused = math.exp(-fewest * responses_per_event)
        tail = min(alpha / 2.0 + (1.0 - alpha) * refused, alpha * (1.0 - refused))
    return fewest


@formula(
    "Empirical Bernstein",
    "estimate ± (√(2 V ln(4/δ) / n) + 7 R ln(4/δ) / (3 (n − 1))), V the variance and R the range of contributions",
    "Maurer, Pontil (2009), Empirical Bernstein Bounds and Sample Variance Penalization, COLT",
)
def bernstein(contributions: Contributions) -> Bounds:
    """At least 95 % for any sample size, given that contributions are bounded by the range seen; wide."""
    each = by_unit(contributions, contributions.influences()) * _units_per_row(contributions)
    n, log_term = len(each), math.log(4.0 / (1.0 - CONFIDENCE))
    variance = float(each.var(ddof=1))
    reach = math.sqrt(2.0 * variance * log_term / n) + 7.0 * float(np.ptp(each)) * log_term / (3.0 * (n - 1))
    return Bounds(contributions.value - reach, contributions.value + reach)


@formula(
    "Bootstrap",
    "quantiles of 2,000 resamples of customers with Poisson(1) weights, bias-corrected and accelerated",
    "Efron (1987), Better Bootstrap Confidence Intervals; Chamandy et al. (2012), Estimating Uncertainty for "
    "Massive Data Streams",
)
def bootstrap(contributions: Contributions, seed: int = 0, resamples: int = RESAMPLES) -> Bounds:
    """Whole customers are drawn again; ratios are recomputed in every resample. The seed makes it repeatable."""
    rng = np.random.default_rng(seed)
    sums = _grouped(contributions, rng)
    drawn = np.concatenate([part @ sums for part in _resamples(len(sums), resamples, seed)])
    with np.errstate(invalid="ignore", divide="ignore"):
        again = drawn[:, 0] / drawn[:, 3] + drawn[:, 1] / drawn[:, 2]
    again = again[np.isfinite(again)]
    plain, _ = cumulants(contributions)
    if not len(again) or plain.variance <= 0.0:
        return Bounds(contributions.value, contributions.value)
    acceleration = plain.third / plain.variance**1.5 / 6.0
    below = (np.count_nonzero(again < contributions.value) + np.count_nonzero(again <= contributions.value)) / 2.0
    bias = ndtri(np.clip(below / len(again), 1e-3, 1.0 - 1e-3))
    tail = (1.0 - CONFIDENCE) / 2.0
    shifted = bias + ndtri(np.array([tail, 1.0 - tail]))
    levels = ndtr(bias + shifted / np.maximum(1.0 - acceleration * shifted, 0.1))
    low, high = np.quantile(again, levels)
    return Bounds(float(low), float(high))


def _resamples(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Parts of the (resamples, groups) Poisson(1) weights: every estimate of a report is resampled alike."""
    counts = _counts(groups, resamples, seed)
    return (counts[at : at + 200].astype(np.float64) for at in range(0, resamples, 200))


@lru_cache(1)
def _counts(groups: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.0, (resamples, groups)).astype(np.uint8)


def _grouped(contributions: Contributions, rng: np.random.Generator) -> Floats:
    """(groups, 4) sums of base, ω e, what divides ω e, and rows: by customer, then customers by chance into groups."""
    n = len(contributions.omega)
    unit = np.arange(n) if contributions.unit is None else contributions.unit
    units = int(unit.max()) + 1
    group = unit if units <= GROUPS else (rng.permutation(units) % GROUPS)[unit]
    under = contributions.omega if contributions.normalised else np.ones(n)
    columns = (contributions.base, contributions.omega * contributions.residual, under, np.ones(n))
    return np.column_stack([np.bincount(group, column) for column in columns])


def _units_per_row(contributions: Contributions) -> float:
    if contributions.unit is None:
        return 1.0
    return float(contributions.unit.max() + 1) / len(contributions.unit)
