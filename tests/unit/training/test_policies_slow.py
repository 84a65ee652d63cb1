"""The long proof: a million keyed draws of every policy come as often as stated, and value what they earned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from features.settings import Settings
from serving.assignment import uniform
from serving.exploration import Survivors, first_shares, pick
from training.explorer import Explorer, policies

CONTEXTS, DRAWS, ARMS = 1_000, 1_000, 20
FLOOR = 0.005


@dataclass(frozen=True)
class Log:
    """What a policy drew in `CONTEXTS` x `DRAWS` decisions: (decisions,) columns, and (contexts, arms) tables."""

    context: np.ndarray
    arm: np.ndarray
    action_probability: np.ndarray
    reward: np.ndarray
    stated: np.ndarray
    truth: np.ndarray


def believed(context: int) -> Survivors:
    """What serving thinks in a context: DO_NOTHING, and arms of all sizes and certainties."""
    rng = np.random.default_rng((11, context))
    values = np.append(0.0, rng.gamma(1.0, 1.0, ARMS - 1) - 0.2)
    deviations = np.append(0.0, rng.uniform(0.02, 0.7, ARMS - 1) * np.abs(values[1:]))
    return Survivors(values, deviations, np.arange(ARMS), 0)


def drawn(explorer: Explorer) -> Log:
    stated = np.array(first_shares(explorer, [believed(context) for context in range(CONTEXTS)]))
    arm = np.array(
        [
            pick(stated[context], uniform(f"d-{context}-{number}", explorer.name, 1))
            for context in range(CONTEXTS)
            for number in range(DRAWS)
        ]
    )
    context = np.repeat(np.arange(CONTEXTS), DRAWS)
    worth = np.linspace(1.0, 40.0, ARMS)
    p_accept = np.random.default_rng(12).uniform(0.01, 0.2, (CONTEXTS, ARMS))
    accepted = np.random.default_rng(13).random(len(arm)) < p_accept[context, arm]
    return Log(context, arm, stated[context, arm], accepted * worth[arm], stated, p_accept * worth)


def worst_z(log: Log) -> float:
    """Over every arm and every rank of probability: draws seen, against the sum of what was stated."""
    order = np.argsort(np.argsort(-log.stated, axis=1, kind="stable"), axis=1, kind="stable")
    expected = DRAWS * log.stated
    variance = DRAWS * log.stated * (1 - log.stated)
    seen = np.bincount(log.context * ARMS + log.arm, minlength=CONTEXTS * ARMS).reshape(CONTEXTS, ARMS)
    found = []
    for groups in (np.broadcast_to(np.arange(ARMS), seen.shape), order):
        for group in range(ARMS):
            inside = groups == group
            found.append((seen - expected)[inside].sum() / np.sqrt(variance[inside].sum()))
    return float(np.abs(found).max())


def standard_errors_off(log: Log, target: np.ndarray) -> float:
    """Inverse-propensity estimate of a target (contexts, arms) on the log, against its true value."""
    earned = log.reward * target[log.context, log.arm] / log.action_probability
    value = float((target * log.truth).sum(axis=1).mean())
    error, spread = float(earned.mean()) - value, float(earned.std()) / np.sqrt(len(earned))
    return error / spread if spread > 0 else (0.0 if abs(error) < 1e-12 else np.inf)


@pytest.mark.slow
@pytest.mark.parametrize("name", policies(Settings()))
def test_a_million_draws_come_as_often_as_stated(name: str) -> None:
    log = drawn(Explorer(policies(Settings())[name], probability_floor=FLOOR))
    z = worst_z(log)
    own, even = standard_errors_off(log, log.stated), standard_errors_off(log, np.full_like(log.stated, 1 / ARMS))
    count = standard_errors_off(
        Log(log.context, log.arm, log.action_probability, np.ones(len(log.arm)), log.stated, np.ones_like(log.truth)),
        np.full_like(log.stated, 1 / ARMS),
    )
    print(
        f"{name}: {len(log.arm):,} draws, worst z {z:.2f}; inverse propensity: own value {own:+.2f} standard errors "
        f"off, uniform's {even:+.2f}, mean weight {count:+.2f}"
    )
    assert len(log.arm) == 1_000_000
    assert z < 4.5
    assert abs(own) < 2.0
    assert abs(even) < 4.5
    assert abs(count) < 4.5
