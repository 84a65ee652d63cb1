"""The gates on logs whose truth is known: what is better passes, what is worse fails, what is unknown is said to be."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from experiments.gate.comparison import Comparison, segments_of
from experiments.gate.gates import judge, still_needed
from experiments.gate.paired import Value
from experiments.gate.result import GateResult, Limits, overall
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.intervals import Bounds
from experiments.ope.reward_model import cross_fitted, ridge
from experiments.ope.target import Distribution
from training.evaluate import Verdict

ARMS = ("a", "b", "nothing")
#: What arm a and arm b truly earn in two segments; nothing earns nothing.
RATES = np.array([[0.30, 0.10, 0.0], [0.10, 0.30, 0.0]])
LOGGING = np.array([0.45, 0.45, 0.1])
#: Plays the better arm of each segment most of the time.
BETTER = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
#: Better over all, but at the cost of the second segment.
LOPSIDED = np.array([[0.9, 0.0, 0.1], [0.7, 0.2, 0.1]])


def compared(candidate: Floats, rows: int = 6_000, seed: int = 1, opt_out: Floats | None = None) -> Comparison:
    """Champion and log are LOGGING; `candidate`, (2, 3), is what the candidate plays in each segment."""
    rng = np.random.default_rng(seed)
    segment = rng.integers(0, 2, rows)
    arm = (rng.random(rows)[:, None] > LOGGING.cumsum()[:-1]).sum(axis=1)
    response = (rng.random(rows) < RATES[segment, arm]).astype(float)
    table = np.broadcast_to(LOGGING, (rows, 3)).copy()
    context = segment[:, None] * 1.0
    log = LoggedFeedback(ARMS, arm, LOGGING[arm], response, context, ("segment",), logging_probability=table)
    rate = np.array([0.001, 0.001, 0.0]) if opt_out is None else opt_out
    return Comparison(
        log,
        Distribution("champion", table),
        Distribution("candidate", candidate[segment]),
        {"opt-outs": (rng.random(rows) < rate[arm]).astype(float)},
        np.where(arm == 2, np.nan, response),
        np.where(arm == 2, np.nan, RATES[segment, arm]),
        segments_of({"segment": [f"s{n}" for n in segment]}),
        np.full(200, 0.001),
        np.full(200, 0.0011),
    )


def verdicts(comparison: Comparison, **limits: float) -> dict[str, GateResult]:
    q_hat = cross_fitted(comparison.log, fit=ridge)
    return {gate.name: gate for gate in judge(comparison, Limits(**{"harm_margin": 0.003} | limits), q_hat)}


def test_a_better_candidate_passes_every_gate() -> None:
    found = verdicts(compared(BETTER))
    assert {name: gate.verdict for name, gate in found.items()} == dict.fromkeys(found, Verdict.PASS)
    assert overall(list(found.values())) is Verdict.PASS
    value = found["value"].interval
    truth = float(0.5 * (BETTER * RATES).sum() - 0.5 * (LOGGING * RATES).sum())
    assert value is not None
    assert value.low < truth < value.high
    assert set(found) == {"value", "opt-outs", "segment segment = s0", "segment segment = s1", "calibration", "latency"}


def test_a_worse_candidate_fails_and_a_relabelled_champion_shows_no_gain() -> None:
    worse = verdicts(compared(BETTER[::-1]))
    assert worse["value"].verdict is Verdict.FAIL
    same = verdicts(compared(np.array([LOGGING, LOGGING])))
    assert same["value"].verdict is Verdict.INSUFFICIENT
    assert "decide alike" in same["value"].explanation


def test_the_margin_is_asked_of_the_lower_end() -> None:
    found = verdicts(compared(BETTER), margin=0.05)
    assert found["value"].measured is not None
    assert 0.0 < found["value"].measured < 0.05
    assert found["value"].verdict is not Verdict.PASS


def test_a_gain_at_the_cost_of_one_segment_fails_there() -> None:
    # s0 earns 0.09 more, s1 0.05 less than the 0.18 of the champion: more than a fifth of it.
    found = verdicts(compared(LOPSIDED, rows=20_000))
    assert found["value"].verdict is Verdict.PASS
    assert found["segment segment = s0"].verdict is Verdict.PASS
    assert found["segment segment = s1"].verdict is Verdict.FAIL
    assert overall(list(found.values())) is Verdict.FAIL


def test_a_small_segment_is_not_shown_to_be_unharmed() -> None:
    comparison = compared(BETTER)
    few = np.arange(len(comparison.log)) < 90
    found = verdicts(replace(comparison, segments={"few": few, "many": ~few}))
    assert found["segment few"].verdict is Verdict.INSUFFICIENT
    assert "effective sample size" in found["segment few"].explanation
    assert overall(list(found.values())) is Verdict.INSUFFICIENT


def test_more_opt_outs_fail_whatever_is_earned() -> None:
    # The candidate plays arm a more in s0 and b more in s1: its own arm "a" costs it in one of them.
    costly = np.array([0.10, 0.0, 0.0])
    found = verdicts(compared(np.array([[0.9, 0.0, 0.1], [0.9, 0.0, 0.1]]), rows=20_000, opt_out=costly))
    assert found["opt-outs"].verdict is Verdict.FAIL
    assert overall(list(found.values())) is Verdict.FAIL


def test_no_opt_out_at_all_is_a_bound_and_too_few_decisions_are_no_proof() -> None:
    none = np.zeros(3)
    assert verdicts(compared(BETTER, opt_out=none), harm_margin=0.002)["opt-outs"].verdict is Verdict.PASS
    few = verdicts(compared(BETTER, rows=600, opt_out=none), harm_margin=0.002)["opt-outs"]
    assert few.verdict is Verdict.INSUFFICIENT
    assert few.measured is not None
    assert 3 / 600 <= few.measured < 3 / 200


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.PASS), (1.6, Verdict.FAIL)])
def test_predictions_must_happen_as_often_as_they_say(factor: float, verdict: Verdict) -> None:
    comparison = compared(BETTER, rows=12_000)
    assert verdicts(replace(comparison, p_accept=comparison.p_accept * factor))["calibration"].verdict is verdict


def paying(comparison: Comparison, amount: Floats) -> Comparison:
    """Each response earns its own amount, (n,)."""
    return replace(comparison, log=comparison.log.with_reward(comparison.log.reward * amount))


def test_money_is_told_from_four_hundred_effective_decisions_where_responses_alone_would_do() -> None:
    comparison = compared(BETTER, rows=400)
    amounts = np.random.default_rng(5).lognormal(2.0, 0.7, 400)
    assert verdicts(comparison)["value"].measured is not None
    found = verdicts(paying(comparison, amounts))
    assert found["value"].verdict is Verdict.INSUFFICIENT
    assert found["value"].measured is None
    assert "at least 400 is needed for money" in found["value"].explanation
    assert "more decisions like these would do" in found["value"].explanation
    # Opt-outs are no money: they are told all the same.
    assert found["opt-outs"].measured is not None


def test_money_of_which_most_is_a_few_payments_is_not_told_of_the_whole_nor_of_a_segment() -> None:
    comparison = compared(BETTER)
    first = comparison.segments["segment = s0"]
    huge = np.where(first & (comparison.log.reward.cumsum() < 8), 10_000.0, 1.0)
    found = verdicts(paying(comparison, huge))
    for name in ("value", "segments"):
        assert found[name].verdict is Verdict.INSUFFICIENT
        assert "a few large ones decide" in found[name].explanation
    # Where the whole can be told, a segment still may not.
    part = np.random.default_rng(5).lognormal(2.0, 0.7, len(comparison.log))
    few = np.arange(len(comparison.log)) < 450
    found = verdicts(replace(paying(comparison, part), segments={"few": few, "many": ~few}))
    assert found["value"].verdict is Verdict.PASS
    assert "for money" in found["segment few"].explanation


def test_policies_that_seldom_differ_are_not_compared() -> None:
    comparison = compared(np.array([LOGGING, LOGGING]))
    table = comparison.candidate.probability.copy()  # type: ignore[attr-defined]
    table[:60] = BETTER[0]
    found = verdicts(replace(comparison, candidate=Distribution("candidate", table)))
    assert found["value"].verdict is Verdict.INSUFFICIENT
    assert "they seldom differ" in found["value"].explanation


def test_what_is_undecided_says_about_how_many_more_decisions_would_tell() -> None:
    comparison = compared(BETTER, rows=2_500)
    found = verdicts(comparison, margin=0.04)["value"]
    assert found.verdict is Verdict.INSUFFICIENT
    told = re.search(r"; about ([\d,]+) more decisions like these would do", found.explanation)
    assert told is not None
    # So many more leave half the width below what is missing, and the same again would not have been needed.
    assert found.interval is not None
    more = int(told[1].replace(",", ""))
    value = float(re.search(r"difference (\S+)", found.explanation)[1])  # type: ignore[index]
    missing, half = abs(value - 0.04), (found.interval.high - found.interval.low) / 2
    assert half > missing
    assert half * (2_500 / (2_500 + 1.3 * more)) ** 0.5 < missing < half * (2_500 / (2_500 + 0.7 * more)) ** 0.5


def test_what_lies_on_the_limit_promises_no_number_and_what_is_decided_asks_for_none() -> None:
    near = Value(0.1, Bounds(0.0, 0.2))
    assert still_needed(1_000, near, 0.1001) == "; too near the limit to be told by more decisions like these"
    assert still_needed(1_000, Value(0.0, Bounds(0.0, 0.0)), 0.0) == ""
    assert still_needed(1_000, near, 0.3) == ""
    for gate in verdicts(compared(BETTER)).values():
        assert "more decisions" not in gate.explanation


def test_no_opt_out_in_too_few_decisions_says_how_many_it_takes() -> None:
    few = verdicts(compared(BETTER, rows=600, opt_out=np.zeros(3)), harm_margin=0.002)["opt-outs"]
    assert re.search(r"about [\d,]+ more decisions like these would do", few.explanation)


def test_calibration_without_responses_is_unknown() -> None:
    comparison = compared(BETTER)
    unknown = np.full(len(comparison.log), np.nan)
    assert verdicts(replace(comparison, response=unknown))["calibration"].verdict is Verdict.INSUFFICIENT


@pytest.mark.parametrize(("seconds", "verdict"), [(0.0014, Verdict.PASS), (0.0016, Verdict.FAIL)])
def test_a_slow_candidate_fails(seconds: float, verdict: Verdict) -> None:
    comparison = replace(compared(BETTER), candidate_seconds=np.full(200, seconds))
    assert verdicts(comparison)["latency"].verdict is verdict


def test_what_the_log_could_not_play_is_unknown() -> None:
    comparison = compared(BETTER)
    log = comparison.log
    keep = log.arm != 0
    # Everything about arm a is taken away: a log that never could play it.
    table = np.broadcast_to(np.array([0.0, 0.45 / 0.55, 0.1 / 0.55]), (int(keep.sum()), 3))
    part = replace(log.take(keep), action_probability=table[0][log.arm[keep]], logging_probability=table)
    blind = replace(
        comparison,
        log=part,
        champion=Distribution("champion", table),
        candidate=comparison.candidate.take(keep),
        harms={name: column[keep] for name, column in comparison.harms.items()},
        response=comparison.response[keep],
        p_accept=comparison.p_accept[keep],
        segments={name: mask[keep] for name, mask in comparison.segments.items()},
    )
    found = verdicts(blind)
    assert found["value"].verdict is Verdict.INSUFFICIENT
    assert "no support" in found["value"].explanation
    assert overall(list(found.values())) is not Verdict.PASS


def test_only_all_passes_are_a_pass() -> None:
    gates = {v: GateResult("g", v, None, None, "") for v in Verdict}
    assert overall([gates[Verdict.PASS], gates[Verdict.INSUFFICIENT]]) is Verdict.INSUFFICIENT
    assert overall([gates[Verdict.INSUFFICIENT], gates[Verdict.FAIL], gates[Verdict.PASS]]) is Verdict.FAIL
    assert overall([gates[Verdict.PASS]] * 3) is Verdict.PASS


def test_segments_are_values_thirds_and_what_is_missing() -> None:
    column = [float(n) if n % 5 else None for n in range(100)]
    found = segments_of(
        {
            "age": column,
            "channels": ["web"] * 97 + ["sms"] * 3,
            "placement": [None] * 100,
            "intent": ["a"] * 93 + ["b"] * 4 + ["c"] * 3,
        }
    )
    assert {name: int(rows.sum()) for name, rows in found.items()} == {
        "age < 34": 27,
        "age >= 34, < 67": 26,
        "age >= 67": 27,
        "age missing": 20,
        "intent = a": 93,
        "intent = other": 7,
    }
