"""How often the gate promotes what is no better: `python -m tests.gate_rates` prints the table (about ten minutes).

Every world has a champion, which made the log, and a candidate truly worth exactly as much or less; whoever promotes it
is wrong. `swapped`: the candidate moves chance between arms that are truly worth the same. `noisy`: the champion knows
the truth and the candidate is the same with noise on its predictions. `relabelled`: the same policy by another name.
`paying`: as `swapped`, but what a response earns differs from one to the next, log-normally.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.gate.comparison import Comparison, segments_of
from experiments.gate.gates import judge
from experiments.gate.result import Limits, overall
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.reward_model import cross_fitted, ridge
from experiments.ope.target import Distribution
from training.evaluate import Verdict
from training.policies import EpsilonGreedy

ARMS = 5
#: Money a response earns.
WORTH = 10.0
KINDS = ("swapped", "slightly swapped", "noisy", "relabelled", "paying")


@dataclass(frozen=True)
class Null:
    """Rates of arms in 8 segments, champion and candidate shares, (8, ARMS) each."""

    rates: np.ndarray
    champion: np.ndarray
    candidate: np.ndarray
    #: Standard deviation of the logarithm of what a response earns.
    spread: float = 0.0

    @property
    def difference(self) -> float:
        """True value of the candidate less the champion's, in money."""
        return WORTH * float(((self.candidate - self.champion) * self.rates).sum(axis=1).mean())

    def compared(self, rows: int, rng: np.random.Generator) -> Comparison:
        segment = rng.integers(0, 8, rows)
        table = self.champion[segment]
        arm = (rng.random(rows)[:, None] > table.cumsum(axis=1)[:, :-1]).sum(axis=1)
        response = (rng.random(rows) < self.rates[segment, arm]).astype(float)
        earned = WORTH * np.exp(rng.normal(-(self.spread**2) / 2.0, self.spread, rows)) if self.spread else WORTH
        log = LoggedFeedback(
            tuple(f"arm-{n}" for n in range(ARMS)),
            arm,
            table[np.arange(rows), arm],
            response * earned,
            np.eye(8)[segment][:, 1:],
            tuple(f"segment-{n}" for n in range(1, 8)),
            logging_probability=table,
        )
        return Comparison(
            log,
            Distribution("champion", table),
            Distribution("candidate", self.candidate[segment]),
            {"opt-outs": np.zeros(rows)},
            response,
            self.rates[segment, arm],
            segments_of({"half": [str(s % 2) for s in segment]}),
            np.full(200, 1e-3),
            np.full(200, 1e-3),
        )


def null(kind: str, rate: float, seed: int) -> Null:
    """A world in which the candidate is no better; responses average about `rate`."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    rates = np.minimum(rate * np.exp(rng.normal(0.0, 0.5, (8, ARMS))), 0.9)
    draw = EpsilonGreedy(0.2)
    champion = np.array([draw.probabilities(row, np.zeros(ARMS)) for row in rates])
    candidate = champion.copy()
    if kind == "noisy":
        noisy = rates * np.exp(rng.normal(0.0, 0.3, rates.shape))
        candidate = np.array([draw.probabilities(row, np.zeros(ARMS)) for row in noisy])
    elif kind != "relabelled":
        # The champion draws two arms that are worth the same by halves; the candidate prefers one, by segment.
        for s in range(8):
            best, other = np.argsort(rates[s])[::-1][:2]
            rates[s, other] = rates[s, best]
            moved = 0.42 * (0.02 if kind == "slightly swapped" else 1.0) * (-1.0) ** s
            half = (champion[s, best] + champion[s, other]) / 2.0
            champion[s, [best, other]] = half
            candidate[s] = champion[s]
            candidate[s, [best, other]] = half + moved, half - moved
    return Null(rates, champion, candidate, 0.8 if kind == "paying" else 0.0)


def promoted(kind: str, rate: float, rows: int, logs: int, seed: int = 0) -> tuple[float, float, float, float]:
    """Shares of `logs` logs, each of a world of its own, in which: the gate of value passes, all gates pass, the
    interval of the difference holds the truth (of those that have one), and there is one at all."""
    value_passed = all_passed = held = told = 0
    for number in range(logs):
        world = null(kind, rate, seed + number)
        comparison = world.compared(rows, np.random.default_rng([seed, number, rows]))
        if comparison.log.reward.max() == 0.0:
            continue
        gates = judge(comparison, Limits(), cross_fitted(comparison.log, seed=number, fit=ridge))
        value_passed += gates[0].verdict is Verdict.PASS
        all_passed += overall(gates) is Verdict.PASS
        if gates[0].interval is not None:
            told += 1
            held += gates[0].interval.low <= world.difference <= gates[0].interval.high
    return value_passed / logs, all_passed / logs, held / max(told, 1), told / logs


def main() -> None:
    print(f"{'kind':<18}{'rate':>8}{'rows':>8}{'value passes':>14}{'promoted':>10}{'covered':>9}{'told':>7}")
    for kind in KINDS:
        for rate, rows in ((0.2, 2_000), (0.05, 5_000), (0.005, 20_000), (0.005, 2_000)):
            value, every, covered, told = promoted(kind, rate, rows, 1_000)
            print(f"{kind:<18}{rate:>8}{rows:>8}{value:>14.3f}{every:>10.3f}{covered:>9.3f}{told:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
