"""How often the 95 % intervals hold the truth: `python -m tests.coverage` prints the table (about half an hour).

Counted are the logs whose effective sample reaches the limit, 1,000 a setting, and among them those that are told: a
log without any response is refused and gives no interval, nor does one of money whose payments are worth too few. The
check of the mean weight, which refuses one honest log in twenty, is left out: its chance leaves the logs in which IPS
lies nearer the truth.

Logs of a world of 8 segments and 5 arms whose response rates are known, so the value of a target is an exact sum. The
logging policy is a sharper or flatter softmax with a floor; each world has another largest weight. Rewards are 0 or 1,
with the response rate named, or money: a response spends a log-normal amount. Reward models are cross-fitted in each
log from the segment's indicators, as they are in use: linear ones, or with `--trees` those of long logs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.ope.contributions import Contributions, contributions
from experiments.ope.diagnostics import LEAST_EFFECTIVE_SAMPLE, LEAST_SAMPLE_OF_MONEY, diagnose
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import evidence
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.intervals import CONFIDENCE, bernstein, bootstrap, by_unit, skewed
from experiments.ope.reward_model import Fit, cross_fitted, ridge, trees
from experiments.ope.target import Distribution

SEGMENTS, ARMS = 8, 5
NAMES = ("ips", "snips", "dr", "sndr")
RATES = (0.005, 0.02, 0.1, 0.3)
EFFECTIVE_SAMPLES = (100, 400, 1_500)
SHARPNESS = (0.0, 1.0, 2.0)


@dataclass(frozen=True)
class World:
    """Shares of the segments (S,); response rate, logging and target probability of each arm there (S, K)."""

    shares: np.ndarray
    rates: np.ndarray
    logging: np.ndarray
    target: np.ndarray
    money: bool = False

    @property
    def truth(self) -> float:
        """The target's value: an amount has mean 1."""
        return float(self.shares @ (self.target * self.rates).sum(axis=1))

    @property
    def mean_squared_weight(self) -> float:
        return float(self.shares @ (self.target**2 / self.logging).sum(axis=1))

    @property
    def largest_weight(self) -> float:
        return float((self.target / self.logging).max())

    def log(self, rows: int, rng: np.random.Generator) -> tuple[LoggedFeedback, Distribution]:
        """A log of this many customers, and the target on it."""
        segment = rng.choice(SEGMENTS, rows, p=self.shares)
        table = self.logging[segment]
        arm = (rng.random(rows)[:, None] > table.cumsum(axis=1)[:, :-1]).sum(axis=1)
        reward = (rng.random(rows) < self.rates[segment, arm]).astype(float)
        if self.money:
            reward *= rng.lognormal(-0.5, 1.0, rows)
        context = np.eye(SEGMENTS)[segment][:, 1:]
        names = tuple(f"segment-{n}" for n in range(1, SEGMENTS))
        arms = tuple(f"arm-{n}" for n in range(ARMS))
        log = LoggedFeedback(arms, arm, table[np.arange(rows), arm], reward, context, names)
        return log, Distribution("target", self.target[segment])


def world(rate: float, sharpness: float, seed: int, money: bool = False) -> World:
    """A world whose responses average `rate` under random choice; a sharper log has heavier weights."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(SEGMENTS, 4.0))
    effects = rng.normal(0.0, 0.5, (SEGMENTS, ARMS))
    rates = np.exp(effects)
    rates = np.minimum(rates * rate / (shares @ rates.mean(axis=1)), 0.95)
    tastes = rng.normal(0.0, 1.0, (SEGMENTS, ARMS))
    logging = 0.95 * _softmax(sharpness * tastes) + 0.05 / ARMS
    return World(shares, rates, logging, _softmax(2.0 * effects + 0.3 * tastes), money)


def _softmax(x: np.ndarray) -> np.ndarray:
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Coverage:
    """Of `logs` with an effective sample large enough, the share told; of these the intervals that hold the truth,
    lie below it, above it."""

    estimator: str
    method: str
    logs: int
    told: float
    covered: float
    too_low: float
    too_high: float
    width: float


def coverage(
    known: World, effective: int, logs: int, seed: int, methods: Sequence[str] = ("reported",), fit: Fit = ridge
) -> list[Coverage]:
    """Intervals of each estimator on `logs` logs with an effective sample of about this size, at least the limit's."""
    rows = round(effective * known.mean_squared_weight)
    ends: dict[tuple[str, str], list[tuple[float, float]]] = {(n, m): [] for n in NAMES for m in methods}
    for parts in samples(known, rows, logs, seed, fit):
        for name, one in parts.items():
            for method in methods:
                ends[name, method].append(METHODS[method](one))
    return [_counted(name, method, logs, np.array(found), known.truth) for (name, method), found in ends.items()]


def samples(known: World, rows: int, logs: int, seed: int, fit: Fit = ridge) -> Iterator[dict[str, Contributions]]:
    """The contributions of every log that is told, among the first `logs` whose effective sample reaches the limit."""
    reached, least = 0, LEAST_SAMPLE_OF_MONEY if known.money else LEAST_EFFECTIVE_SAMPLE
    for number in count():
        if reached == logs:
            return
        log, target = known.log(rows, np.random.default_rng([seed, number]))
        weight = target.chosen(log, slice(None)) / log.action_probability
        if weight.sum() ** 2 < least * (weight @ weight):
            continue
        reached += 1
        if (
            log.reward.max() == 0.0
            or replace(diagnose(evidence(log, target)), mean_weight=1.0, expected_weight=1.0).shortcoming()
        ):
            continue
        seen = evidence(log, target, cross_fitted(log, seed=number, fit=fit))
        yield {name: contributions(ESTIMATORS[name], seen, 0.0) for name in NAMES}


def _normal(parts: Contributions) -> tuple[float, float]:
    each = by_unit(parts, parts.influences())
    reach = 1.959964 * float(np.sqrt(each @ each)) / len(parts.omega)
    return parts.value - reach, parts.value + reach


METHODS = {
    "reported": lambda parts: (skewed(parts).low, skewed(parts).high),
    "normal": _normal,
    "bootstrap": lambda parts: (lambda b: (b.low, b.high))(bootstrap(parts, resamples=500)),
    "bernstein": lambda parts: (lambda b: (b.low, b.high))(bernstein(parts)),
}


def _counted(name: str, method: str, logs: int, ends: np.ndarray, truth: float) -> Coverage:
    if not len(ends):
        return Coverage(name, method, logs, 0.0, float("nan"), float("nan"), float("nan"), float("nan"))
    too_low, too_high = float((ends[:, 1] < truth).mean()), float((ends[:, 0] > truth).mean())
    width = float(np.median(ends[:, 1] - ends[:, 0]))
    return Coverage(name, method, logs, len(ends) / logs, 1.0 - too_low - too_high, too_low, too_high, width)


def settings(
    effective: Sequence[int], rates: Sequence[float] = RATES, sharpness: Sequence[float] = SHARPNESS
) -> Iterator[tuple[float, float, int]]:
    """(response rate, sharpness of the log, effective sample) of every row of the table."""
    return ((rate, sharp, size) for sharp in sharpness for rate in rates for size in effective)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=1_000)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=["reported"])
    parser.add_argument(
        "--effective",
        nargs="+",
        type=int,
        default=list(EFFECTIVE_SAMPLES),
        help="sizes of the logs; of money, those that may be told",
    )
    parser.add_argument("--money", action="store_true", help="rewards in money instead of 0 or 1")
    parser.add_argument("--trees", action="store_true", help="reward models of trees instead of linear ones")
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), help="response rates")
    parser.add_argument("--sharpness", nargs="+", type=float, default=list(SHARPNESS), help="of the logging policy")
    options = parser.parse_args()
    if options.money:
        options.effective = [size for size in options.effective if size >= LEAST_SAMPLE_OF_MONEY]
    table = Table("rate", "largest w", "ESS", "rows", "told", "method", *NAMES, title=f"coverage, {CONFIDENCE:.0%}")
    console = Console(width=120)
    for rate, sharpness, effective in settings(options.effective, options.rates, options.sharpness):
        known = world(rate, sharpness, 3, options.money)
        found = coverage(known, effective, options.logs, 11, options.methods, trees if options.trees else ridge)
        rows = round(effective * known.mean_squared_weight)
        for method in options.methods:
            row = [one for one in found if one.method == method]
            head = (f"{rate:g}", f"{known.largest_weight:.1f}", f"{effective:,}", f"{rows:,}", f"{row[0].told:.1%}")
            shown = [_shown(one) for one in row]
            table.add_row(*head, method, *shown)
            print(*head, method, *shown, sep="  ", flush=True)
    console.print(table)


def _shown(one: Coverage) -> str:
    return f"{one.covered:.3f} ({one.too_low:.3f} {one.too_high:.3f})"


if __name__ == "__main__":
    main()
