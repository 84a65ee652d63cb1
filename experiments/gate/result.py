"""What a gate says: its verdict, what was measured, the limit, and the reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.ope.intervals import Bounds
from features.settings import Settings
from training.evaluate import Verdict


@dataclass(frozen=True, slots=True)
class GateResult:
    """A condition of promotion. `measured` and `limit` are in the gate's own unit, None where there is no number."""

    name: str
    verdict: Verdict
    measured: float | None
    limit: float | None
    explanation: str
    #: The 95 % interval that was measured, where the gate has one.
    interval: Bounds | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gates ask for."""

    #: Money a decision by which the candidate must earn more, at the lower end of the interval.
    margin: float = 0.0
    #: Most that the share of decisions answered with an opt-out, or a complaint, may rise.
    harm_margin: float = 0.002
    #: Most that any segment may lose, as a share of what the champion earns over all.
    segment_margin: float = 0.2
    #: Most that predicted and seen response may be apart, as a share of the response rate.
    calibration_error: float = 0.25
    #: Most that a decision may take, in times of the champion's.
    latency_ratio: float = 1.5

    @staticmethod
    def of(settings: Settings) -> Limits:
        s = settings
        return Limits(
            s.gate_margin, s.gate_harm_margin, s.gate_segment_margin, s.gate_calibration_error, s.gate_latency_ratio
        )


def overall(results: Sequence[GateResult]) -> Verdict:
    """pass only when every gate passes; without any fail, one insufficient is insufficient. No gate at all is no pass.

    >>> str(overall([]))
    'insufficient'
    """
    verdicts = {one.verdict for one in results}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INSUFFICIENT
