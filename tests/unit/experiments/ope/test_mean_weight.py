"""A log is called false when luck does not explain its weights, and an honest log hardly ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.inference import Verdict
from experiments.ope.diagnostics import Diagnostics, diagnose, diagnose_target
from experiments.ope.evaluation import evaluate
from experiments.ope.evidence import evidence
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.mean_weight import chance
from experiments.ope.target import Distribution, Uniform, constant

ARMS = ("a", "b", "c", "d")


def drawn(rng: np.random.Generator, n: int, sharpness: float, known: bool) -> LoggedFeedback:
    """An honest log: every row from a distribution of its own; `known`: with the whole of it in the log."""
    p = rng.dirichlet(np.full(len(ARMS), sharpness), n) * 0.96 + 0.01
    arm = (p.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    probability = p[np.arange(n), arm]
    reward = (rng.random(n) < 0.3).astype(np.float64)
    return LoggedFeedback(ARMS, arm, probability, reward, logging_probability=p if known else None)


def diagnoses(log: LoggedFeedback, rng: np.random.Generator) -> list[Diagnostics]:
    own = Distribution("own", rng.dirichlet(np.ones(len(ARMS)), len(log)))
    targets = [*(constant(log, arm) for arm in ARMS), Uniform(), own]
    return [diagnose_target(log, t, evidence(log, t), len(targets)) for t in targets]


@pytest.mark.parametrize("known", [True, False], ids=["whole distribution", "drawn arm only"])
def test_of_two_thousand_honest_logs_at_most_a_handful_is_refused(known: bool) -> None:
    rng = np.random.default_rng(20_261)
    refused = 0
    for number in range(2_000):
        log = drawn(rng, (300, 1_000)[number % 2], (0.3, 1.0, 3.0)[number % 3], known)
        told = [one.shortcoming() or "" for one in diagnoses(log, rng)]
        refused += any("mean weight" in one for one in told)
    # At a rate of 0.001 six or more of 2,000 have a chance of 1.7 %; two standard errors on each target refused 400.
    assert refused <= 5


def test_a_log_whose_probabilities_are_wrong_is_caught() -> None:
    rng = np.random.default_rng(7)
    caught = 0
    for _ in range(50):
        log = drawn(rng, 3_000, 1.0, known=False)
        wrong = replace(log, action_probability=np.clip(log.action_probability * 1.5, 0.0, 1.0))
        caught += any("most likely not those" in (one.shortcoming() or "") for one in diagnoses(wrong, rng))
    assert caught >= 49  # one of them says of itself that nearly all of the other arms were never to be had


def test_a_heavy_weight_that_was_not_drawn_yet_is_bad_luck_and_no_lie() -> None:
    n = 1_000
    p = np.tile([0.999, 0.001], (n, 1))
    reward = np.arange(n) % 2.0
    log = LoggedFeedback(("a", "b"), np.zeros(n, dtype=np.int64), p[:, 0], reward, logging_probability=p)
    target = Distribution("half", np.full((n, 2), 0.5))
    assert diagnose(evidence(log, target)).odd_weights  # every weight is 0.5, and so looks certain
    told = diagnose_target(log, target, evidence(log, target)).shortcoming()
    assert told is not None
    assert "can seldom do what the target does" in told
    assert "most likely not" not in told


def test_the_more_targets_are_looked_at_the_further_off_one_may_be() -> None:
    one, many = (Diagnostics(1_000, 500.0, 4.0, 1.18, 0.05, 1.0, targets=m) for m in (1, 10))
    assert "by luck that happens once in" in (one.shortcoming() or "")
    assert many.shortcoming() is None
    assert chance(1.18, 1.0, 0.05, 10) == pytest.approx(10 * chance(1.18, 1.0, 0.05))


def test_what_the_log_could_not_play_is_not_missing_from_the_weights() -> None:
    n = 20_000
    rng = np.random.default_rng(3)
    allowed = np.ones((n, 2), dtype=bool)
    allowed[: n // 200, 1] = False
    p = np.where(allowed, 0.5, 0.0)
    p[: n // 200, 0] = 1.0
    arm = np.where(allowed[:, 1], rng.integers(0, 2, n), 0)
    log = LoggedFeedback(
        ("a", "b"), arm, p[np.arange(n), arm], np.arange(n) % 2.0, allowed=allowed, logging_probability=p
    )
    found = diagnose(evidence(log, constant(log, "b")))
    assert found.expected_weight == pytest.approx(0.995)
    assert found.shortcoming() is None


def test_every_target_and_place_asked_for_counts() -> None:
    log = drawn(np.random.default_rng(5), 600, 1.0, known=True)
    found = evaluate(log, [Uniform(), constant(log, "a"), constant(log, "b")], model=False)
    assert [one.diagnostics.targets for one in found] == [3, 3, 3]
    assert all(one.verdict in set(Verdict) for one in found)
