"""Off-policy estimates of a million rows beside plain numpy: the same nine numbers, each formula as it is written.

`python -m tests.bench.ope` prints the ratios; both see the same arrays, in alternating rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.ope.contributions import contributions, numbers, values
from experiments.ope.diagnostics import diagnose
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import evidence
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.intervals import skewed
from experiments.ope.target import Distribution

ROWS, ARMS = 1_000_000, 10


@dataclass(frozen=True)
class Times:
    """Seconds of each round. `tuned` estimates choose their own numbers, `given` ones are told them."""

    ours_tuned: np.ndarray
    plain_tuned: np.ndarray
    ours_given: np.ndarray
    plain_given: np.ndarray
    intervals: np.ndarray
    largest_difference: float


def problem(rows: int = ROWS, arms: int = ARMS) -> tuple[LoggedFeedback, np.ndarray, np.ndarray]:
    """(log, target (n, k), predictions (n, k)): response rates near 5 %, weights up to a few hundred."""
    rng = np.random.default_rng(0)
    logging = rng.dirichlet(np.full(arms, 0.7), rows) * 0.95 + 0.05 / arms
    target = rng.dirichlet(np.full(arms, 0.7), rows)
    arm = np.minimum((rng.random(rows)[:, None] > logging.cumsum(axis=1)).sum(axis=1), arms - 1)
    rate = rng.uniform(0.01, 0.1, (rows, arms))
    reward = (rng.random(rows) < rate[np.arange(rows), arm]).astype(float)
    names = tuple(f"arm-{n}" for n in range(arms))
    log = LoggedFeedback(names, arm, logging[np.arange(rows), arm], reward)
    return log, target, rate * rng.uniform(0.5, 1.5, (rows, arms))


def ours(
    log: LoggedFeedback, target: np.ndarray, q_hat: np.ndarray, given: dict[str, float] | None
) -> dict[str, float]:
    """Evidence, diagnostics, and every estimate."""
    seen = evidence(log, Distribution("target", target), q_hat)
    diagnose(seen)
    return values(seen, given)


def plain(
    log: LoggedFeedback, target: np.ndarray, q_hat: np.ndarray, given: dict[str, float] | None
) -> dict[str, float]:
    """The same in plain numpy: whole columns, one expression a formula; numbers by the rule of `tuning`."""
    n, rows = len(log), np.arange(len(log))
    chosen = target[rows, log.arm]
    w, r = chosen / log.action_probability, log.reward
    expected, e = (target * q_hat).sum(axis=1), r - q_hat[rows, log.arm]
    # Diagnostics: effective sample, largest and mean weight.
    _ = w.sum() ** 2 / (w**2).sum(), w.max(), w.mean(), w.std() / np.sqrt(n)
    if given is None:
        levels = [np.inf, *(2.0 ** np.arange(np.ceil(np.log2(w.max())), -1, -1))]
        given = {
            "clipped-ips": _best(levels, w, r, 0.0, lambda m: np.minimum(w, m)),
            "switch-dr": _best(levels, w, e, expected, lambda t: w * (w <= t)),
            "dros": _best([x * x for x in levels], w, e, expected, lambda x: _shrunk(w, x)),
        }
    return {
        "replay": (chosen * r).sum() / chosen.sum(),
        "ips": (w * r).mean(),
        "clipped-ips": (np.minimum(w, given["clipped-ips"]) * r).mean(),
        "snips": (w * r).sum() / w.sum(),
        "dm": expected.mean(),
        "dr": (expected + w * e).mean(),
        "sndr": expected.mean() + (w * e).sum() / w.sum(),
        "switch-dr": (expected + w * (w <= given["switch-dr"]) * e).mean(),
        "dros": (expected + _shrunk(w, given["dros"]) * e).mean(),
    }


def _shrunk(w: np.ndarray, number: float) -> np.ndarray:
    return w if np.isinf(number) else number * w / (w**2 + number)


def _best(
    levels: list[float], w: np.ndarray, e: np.ndarray, base: np.ndarray | float, omega: Callable[[float], np.ndarray]
) -> float:
    """Least variance / n + squared bias."""
    errors = []
    for level in levels:
        used = omega(level)
        errors.append((base + used * e).var() / len(w) + ((used - w) * e).mean() ** 2)
    return levels[int(np.argmin(errors))]


def ope_seconds(rounds: int = 5, rows: int = ROWS) -> Times:
    """Alternating rounds on one thread each (numpy's element-wise work is never more)."""
    log, target, q_hat = problem(rows)
    given = numbers(evidence(log, Distribution("target", target), q_hat))
    mine, theirs = ours(log, target, q_hat, given), plain(log, target, q_hat, given)
    difference = max(abs(mine[name] - theirs[name]) for name in theirs)
    seen = evidence(log, Distribution("target", target), q_hat)
    tasks: list[Callable[[], object]] = [
        lambda: ours(log, target, q_hat, None),
        lambda: plain(log, target, q_hat, None),
        lambda: ours(log, target, q_hat, given),
        lambda: plain(log, target, q_hat, given),
        lambda: [skewed(contributions(ESTIMATORS[name], seen, given[name])) for name in given],
    ]
    times = np.array([[_seconds(task) for task in tasks] for _ in range(rounds)])
    return Times(*times.T, largest_difference=difference)


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def ope_rows(row: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `make bench`; intervals are those of the rounds."""
    times = ope_seconds()
    tuned, given = times.ours_tuned / times.plain_tuned, times.ours_given / times.plain_given
    what = "off-policy estimates of 1M rows / plain numpy"
    return [
        row(what, _middle(tuned), "ratio", "<= 1.0", "<= 0.5", (float(tuned.min()), float(tuned.max()))),
        row(
            f"{what}, tuning numbers given", _middle(given), "ratio", interval=(float(given.min()), float(given.max()))
        ),
        row("intervals of all nine estimates of 1M rows", _middle(times.intervals), "s"),
    ]


def _middle(values: np.ndarray) -> float:
    return float(np.median(values))


def main() -> None:
    times = ope_seconds()
    for name, mine, theirs in (
        ("numbers chosen", times.ours_tuned, times.plain_tuned),
        ("numbers given", times.ours_given, times.plain_given),
    ):
        ratios = mine / theirs
        print(
            f"{name}: {np.median(mine):.3f} s, numpy {np.median(theirs):.3f} s, "
            f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        )
    print(f"intervals of all nine: {np.median(times.intervals):.2f} s; differences <= {times.largest_difference:.1e}")


if __name__ == "__main__":
    main()
