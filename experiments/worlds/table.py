"""The table of a contest: reward, regret with its interval, the way from random to oracle, against Vowpal Wabbit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.worlds.contest import ORACLE
from experiments.worlds.play import Run
from experiments.worlds.vowpal import EXPLORERS
from experiments.worlds.world import Floats

#: Resamples of the seeds for an interval; the seed makes the same runs give the same interval.
RESAMPLES = 2_000
_BOOTSTRAP_SEED = 7


@dataclass(frozen=True, slots=True)
class Score:
    """A player in a world, over seeds; money is a decision's. `interval` is the 95 % one of `regret`, None where one
    seed alone was played."""

    world: str
    player: str
    seeds: int
    reward: float
    regret: float
    interval: tuple[float, float] | None
    #: How far from random to oracle, 0 .. 1: over all decisions, and over the last tenth of them.
    share: float
    final_share: float
    #: Mean regret / mean regret of the best Vowpal Wabbit explorer of this world; None where none played.
    ratio: float | None
    cap_violations: int


def scores(runs: Iterable[Run]) -> list[Score]:
    """A score for each world and player, in the order of the runs; seeds that random and oracle played count."""
    by_world: dict[str, dict[str, dict[int, Run]]] = {}
    for run in runs:
        by_world.setdefault(run.world, {}).setdefault(run.player, {})[run.seed] = run
    return [score for world, players in by_world.items() for score in _of_world(world, players)]


def _of_world(world: str, players: Mapping[str, Mapping[int, Run]]) -> list[Score]:
    return [_score(world, name, players) for name in players]


def _score(world: str, name: str, players: Mapping[str, Mapping[int, Run]]) -> Score:
    mine, oracle, random = players[name], players[ORACLE], players["random"]
    seeds = sorted(set(mine) & set(oracle) & set(random))
    regrets = _regrets(mine, oracle, seeds)
    # Against explorers on the same seeds: some worlds are harder than others.
    rivals = [players[other] for other in EXPLORERS if set(seeds) <= set(players.get(other, ()))]
    best = min((float(_regrets(rival, oracle, seeds).mean()) for rival in rivals), default=None)
    return Score(
        world,
        name,
        len(seeds),
        float(np.mean([mine[s].reward / mine[s].decisions for s in seeds])),
        float(regrets.mean()),
        interval(regrets) if len(seeds) > 1 else None,
        _share(mine, random, oracle, seeds, 0),
        _share(mine, random, oracle, seeds, len(mine[seeds[0]].curve) * 9 // 10),
        None if best is None else float(regrets.mean()) / best,
        sum(mine[s].cap_violations for s in seeds),
    )


def _regrets(mine: Mapping[int, Run], oracle: Mapping[int, Run], seeds: Sequence[int]) -> Floats:
    """(seeds,) money a decision lost against the oracle that played the same seed."""
    return np.array([(oracle[s].reward - mine[s].reward) / mine[s].decisions for s in seeds])


def _share(
    mine: Mapping[int, Run],
    random: Mapping[int, Run],
    oracle: Mapping[int, Run],
    seeds: Sequence[int],
    start: int,
) -> float:
    """(mine - random) / (oracle - random) of the money earned from point `start` of the curves on, mean over seeds."""

    def earned(run: Run) -> float:
        return run.curve[-1] - (run.curve[start - 1] if start else 0.0)

    shares = [(earned(mine[s]) - earned(random[s])) / (earned(oracle[s]) - earned(random[s])) for s in seeds]
    return float(np.mean(shares))


def interval(values: Floats) -> tuple[float, float]:
    """95 % interval of the mean: percentiles of resampled means (Efron and Tibshirani 1993, chapter 13)."""
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Summary:
    """A player over all worlds: median and worst ratio to the best Vowpal Wabbit explorer, least share in stationary
    worlds, and over all worlds how much of the way to the oracle it went on average."""

    player: str
    median_ratio: float | None
    worst_ratio: float | None
    least_stationary_share: float | None
    least_stationary_final_share: float | None
    mean_share: float
    cap_violations: int


def summaries(rows: Sequence[Score], stationary: frozenset[str]) -> list[Summary]:
    """One for each player, best mean share first."""
    found = []
    for player in dict.fromkeys(row.player for row in rows):
        mine = [row for row in rows if row.player == player]
        ratios = [row.ratio for row in mine if row.ratio is not None]
        still = [row for row in mine if row.world in stationary]
        found.append(
            Summary(
                player,
                float(np.median(ratios)) if ratios else None,
                max(ratios, default=None),
                min((row.share for row in still), default=None),
                min((row.final_share for row in still), default=None),
                float(np.mean([row.share for row in mine])),
                sum(row.cap_violations for row in mine),
            )
        )
    return sorted(found, key=lambda summary: -summary.mean_share)
