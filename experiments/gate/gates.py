"""The gates: value, guardrails, segments, calibration, latency. Each is a pure function of a comparison and its limits.

Every gate fails closed: what cannot be shown is `insufficient`, which never promotes. All have to pass, so no gate
needs a correction for there being several (Berger 1982, Multiparameter Hypothesis Testing and Acceptance Sampling): a
candidate that is no better passes the gate of value in about 2.5 % of logs, whatever the others say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from experiments.formulas import formula
from experiments.gate.comparison import Comparison
from experiments.gate.paired import Paired, Value, paired
from experiments.gate.result import GateResult, Limits
from experiments.ope.diagnostics import more_decisions
from experiments.ope.feedback import Floats
from features.figures import number, percent
from training.evaluate import CALIBRATION_BINS, Verdict, calibration_error

#: Fewest decisions timed, and fewest responses from which calibration can be told.
TIMED, RESPONSES = 100, 50
#: More decisions than so many times those at hand are no advice.
MOST_TIMES = 1_000.0
#: Error rate of calling a segment worse.
ALPHA = 0.05

PASS, FAIL, INSUFFICIENT = Verdict.PASS, Verdict.FAIL, Verdict.INSUFFICIENT


def judge(compared: Comparison, limits: Limits, q_hat: Floats | None = None) -> tuple[GateResult, ...]:
    """Every gate, in the order people read them. `q_hat`, (n, k), are cross-fitted rewards, None for SNIPS."""
    whole = paired(compared.log, compared.champion, compared.candidate, q_hat)
    return (
        value(whole, limits),
        *guardrails(compared, limits, whole),
        *segments(compared, limits, whole, q_hat),
        calibration(compared, limits),
        latency(compared.champion_seconds, compared.candidate_seconds, limits),
    )


def value(whole: Paired, limits: Limits) -> GateResult:
    """Earns more than the champion, by more than the margin.

    The lower end of the paired interval is asked for. It is the stricter form of "the candidate's lower bound above the
    champion's": the error of a difference is at least the difference of the errors.
    """
    if whole.difference is None or whole.candidate is None or whole.champion is None:
        return GateResult("value", INSUFFICIENT, None, limits.margin, whole.insufficient or "")
    gain = whole.difference
    verdict = (
        PASS if gain.interval.low > limits.margin else FAIL if gain.interval.high < limits.margin else INSUFFICIENT
    )
    told = {
        PASS: "earns more than the champion",
        FAIL: "does not earn more than the champion",
        INSUFFICIENT: "not shown to earn more than the champion",
    }[verdict]
    if gain.interval.low == gain.interval.high == 0.0:
        told = "both decide alike"
    one, other = whole.candidate, whole.champion
    return GateResult(
        "value",
        verdict,
        gain.interval.low,
        limits.margin,
        f"{told}: {_measured(one)} a decision against {_measured(other)}, difference {_measured(gain, sign=True)}, "
        f"{whole.rows:,} decisions worth "
        f"{whole.effective_sample_size:,.0f}{still_needed(whole.rows, gain, limits.margin)}",
        gain.interval,
    )


@formula(
    "More decisions needed",
    "n (reach / missing)² − n: n decisions so far, missing how far the difference is from the limit, reach how far the "
    "interval goes to that side; both ends come nearer with the root of n",
    "Cochran (1977), Sampling Techniques, section 4.4",
)
def still_needed(rows: int, gain: Value, limit: float) -> str:
    """How many more decisions would tell on which side of the limit a difference lies, if it stays what it is; nothing
    where it is told already.

    >>> from experiments.ope.intervals import Bounds
    >>> still_needed(1_000, Value(0.1, Bounds(-0.1, 0.3)), 0.0)
    '; about 3,000 more decisions like these would do'
    """
    missing = abs(gain.value - limit)
    reach = gain.value - gain.interval.low if gain.value > limit else gain.interval.high - gain.value
    if reach <= missing:
        return ""
    if reach > missing * MOST_TIMES**0.5:
        return "; too near the limit to be told by more decisions like these"
    return more_decisions(rows, (reach / missing) ** 2, 1.0)


def guardrails(compared: Comparison, limits: Limits, whole: Paired) -> Iterator[GateResult]:
    """Opt-outs and complaints may not rise by more than the margin, at the upper end of the interval."""
    for name, harm in compared.harms.items():
        log = compared.log.with_reward(harm)
        found = paired(log, compared.champion, compared.candidate)
        if not harm.any():
            # Nothing happened in n effective decisions: at 95 % the rate is below 3 / n (the rule of three).
            yield _without_any(name, whole, limits)
        elif found.difference is None:
            yield GateResult(name, INSUFFICIENT, None, limits.harm_margin, found.insufficient or "")
        else:
            rise = found.difference
            high, low = rise.interval.high, rise.interval.low
            worse = low > 0.0 and high > limits.harm_margin
            verdict = PASS if high <= limits.harm_margin else FAIL if worse else INSUFFICIENT
            more = still_needed(whole.rows, rise, limits.harm_margin) if verdict is INSUFFICIENT else ""
            yield GateResult(
                name,
                verdict,
                high,
                limits.harm_margin,
                f"change of the share of decisions {percent(rise.value, 3, sign=True)} "
                f"({percent(low, 3, sign=True)} to {percent(high, 3, sign=True)}), {int(harm.sum()):,} seen{more}",
                rise.interval,
            )


def _without_any(name: str, whole: Paired, limits: Limits) -> GateResult:
    # A log without any harm has one reward, of which no estimate is made; its weights are those of the money.
    if whole.candidate is None:
        return GateResult(name, INSUFFICIENT, None, limits.harm_margin, whole.insufficient or "")
    high = 3.0 / whole.effective_sample_size
    verdict = PASS if high <= limits.harm_margin else INSUFFICIENT
    told = f"none seen in {whole.rows:,} decisions worth {whole.effective_sample_size:,.0f}: at most {percent(high, 3)}"
    if verdict is INSUFFICIENT and limits.harm_margin > 0.0:
        told += more_decisions(whole.rows, 3.0 / limits.harm_margin, whole.effective_sample_size)
    return GateResult(name, verdict, high, limits.harm_margin, told)


@formula(
    "Segments",
    "pass: the lower end of every segment's 95 % interval is above −margin (all must hold, so each is tested at the "
    "full level); fail: some segment is below −margin at 5 % after Holm's correction",
    "Berger (1982), intersection-union tests; Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure",
)
def segments(compared: Comparison, limits: Limits, whole: Paired, q_hat: Floats | None = None) -> Iterator[GateResult]:
    """No segment may lose more than the margin, a share of what the champion earns over all."""
    if whole.champion is None:
        yield GateResult("segments", INSUFFICIENT, None, None, whole.insufficient or "")
        return
    if not compared.segments:
        yield GateResult("segments", PASS, None, None, "nothing divides these decisions")
        return
    margin = limits.segment_margin * abs(whole.champion.value)
    found = {name: _within(compared, rows, q_hat) for name, rows in compared.segments.items()}
    worse = holm([one.p_below(-margin) for one in found.values()])
    for (name, one), is_worse in zip(found.items(), worse, strict=True):
        if one.difference is None:
            yield GateResult(f"segment {name}", INSUFFICIENT, None, -margin, one.insufficient or "")
            continue
        gain = one.difference
        verdict = FAIL if is_worse else PASS if gain.interval.low > -margin else INSUFFICIENT
        told = f"difference {_measured(gain, sign=True)}, {one.rows:,} rows"
        if verdict is INSUFFICIENT:
            told += still_needed(whole.rows, gain, -margin)
        yield GateResult(f"segment {name}", verdict, gain.interval.low, -margin, told, gain.interval)


def _measured(one: Value, *, sign: bool = False) -> str:
    found, low, high = (number(v, sign=sign) for v in (one.value, one.interval.low, one.interval.high))
    return f"{found} ({low} to {high})"


def _within(compared: Comparison, rows: np.ndarray, q_hat: Floats | None) -> Paired:
    part = None if q_hat is None else q_hat[rows]
    champion, candidate = (policy.take(rows) for policy in (compared.champion, compared.candidate))
    return paired(compared.log.take(rows), champion, candidate, part, check_weights=False)


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which hypotheses are rejected, all of them together wrong at most alpha of the time (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [True, False, False]
    """
    rejected = [False] * len(p_values)
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] > alpha / (len(p_values) - step):
            break
        rejected[place] = True
    return rejected


def calibration(compared: Comparison, limits: Limits) -> GateResult:
    """What the candidate predicts of the arms drawn happens as often as it says.

    The expected calibration error less what a perfect model of so many rows shows by chance (about
    sqrt(2 bins p (1 - p) / (pi n)), see `training.evaluate.calibration_error`), as a share of the response rate: an
    error of 0.01 is nothing where half respond, and everything where one in a hundred does.
    """
    known = ~np.isnan(compared.response) & ~np.isnan(compared.p_accept)
    response, predicted = compared.response[known], compared.p_accept[known]
    limit = limits.calibration_error
    if response.sum() < RESPONSES:
        told = f"{int(response.sum())} responses, {RESPONSES} are needed"
        told += more_decisions(len(compared.log), RESPONSES, float(response.sum()))
        return GateResult("calibration", INSUFFICIENT, None, limit, told)
    rate = float(response.mean())
    chance = math.sqrt(2.0 * CALIBRATION_BINS * rate * (1.0 - rate) / (math.pi * len(response)))
    error = calibration_error(predicted, response)
    measured = max(0.0, error - chance) / rate
    told = (
        f"calibration error {error:.4f}, {chance:.4f} of it by chance, where {percent(rate, 2)} respond "
        f"({len(response):,} contacts); predicted {percent(float(predicted.mean()), 2)}"
    )
    verdict = PASS if measured <= limit and chance <= limit * rate else FAIL if measured > limit else INSUFFICIENT
    if verdict is INSUFFICIENT:
        told += more_decisions(len(compared.log), (chance / (limit * rate)) ** 2, 1.0) if limit > 0.0 else ""
    return GateResult("calibration", verdict, measured, limit, told)


def latency(champion: Floats, candidate: Floats, limits: Limits) -> GateResult:
    """A decision takes at most so many times what the champion's takes; medians of the same requests, taken in turn."""
    if min(len(champion), len(candidate)) < TIMED:
        told = f"{len(candidate)} decisions timed, {TIMED} are needed"
        return GateResult("latency", INSUFFICIENT, None, limits.latency_ratio, told)
    one, other = float(np.median(champion)), float(np.median(candidate))
    measured = other / one
    told = f"{other * 1e3:.3f} ms a decision by the engine against {one * 1e3:.3f} ms (medians of {len(candidate):,})"
    verdict = PASS if measured <= limits.latency_ratio else FAIL
    return GateResult("latency", verdict, measured, limits.latency_ratio, told)
