"""The review of an experiment: sample ratio first, then effects with intervals, then one verdict in words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from experiments.design import Design, read_units
from experiments.homes import NOTE
from experiments.inference import CONFIDENCE, EffectEstimate, Verdict, estimate, overall
from experiments.metrics import HOLDOUT_METRICS, Mean, columns_of
from experiments.srm import RatioCheck, check_ratio
from features.clock import format_time
from features.ledger import existing_ledger
from features.settings import Settings


@dataclass(frozen=True, slots=True)
class Review:
    """What an experiment showed. `estimates` is empty when the sample ratio stops the reading."""

    name: str
    design: Design
    reviewed_at: int
    first_exposed_at: int
    last_exposed_at: int
    crossed: int
    still_open: int
    ratio_check: RatioCheck
    estimates: tuple[EffectEstimate, ...]
    verdict: Verdict
    #: Whether the customers are made up, as those of `segue up` in an empty home.
    simulated: bool = False

    def summary(self) -> str:
        """One or two plain sentences."""
        if self.verdict == Verdict.STOP:
            return (
                f"Do not read further. The design puts {self.design.control_share:.1%} of customers in the "
                f"{self.design.control}, but {self.ratio_check.observed_share:.1%} are there: units were lost on one "
                "side. Find out why (was the share or the salt changed? are decisions of one group missing?) first."
            )
        goal = next(e for e in self.estimates if e.metric.goal)
        if self.verdict == Verdict.INSUFFICIENT:
            return f"Not enough evidence either way: {goal.reason}. Let it run longer, and review again then."
        worse = [e.metric.plain for e in self.estimates if e.verdict == Verdict.WORSE]
        if self.verdict == Verdict.WORSE:
            return f"Deciding with Segue did worse than leaving customers alone, in: {', '.join(worse)}."
        return f"Deciding with Segue did better than leaving customers alone: more {goal.metric.plain}."


def holdout_design(settings: Settings, window_days: float | None = None) -> Design:
    """The universal holdout: customers kept from all actions, against everyone else."""
    return Design("holdout", "everyone", "holdout", settings.holdout_share, window_days)


def review_holdout(
    settings: Settings, now: int, window_days: float | None = None, metrics: tuple[Mean, ...] = HOLDOUT_METRICS
) -> Review:
    """The review of the universal holdout as the ledger has it at `now`.

    Raises NoData when no customer was decided about.
    """
    simulated, design = _simulated(settings), holdout_design(settings, window_days)
    units = read_units(settings.ledger, design, columns_of(metrics), now)
    treatment, control = units.groups[design.treatment], units.groups[design.control]
    check = check_ratio(treatment.count, control.count, design.control_share)
    estimates = tuple(estimate(metric, treatment, control) for metric in metrics) if check.passed else ()
    verdict = overall(estimates) if check.passed else Verdict.STOP
    return Review(
        "holdout",
        design,
        now,
        units.first_exposed_at,
        units.last_exposed_at,
        units.crossed,
        units.still_open,
        check,
        estimates,
        verdict,
        simulated,
    )


def _simulated(settings: Settings) -> bool:
    ledger = existing_ledger(settings.ledger)
    try:
        return ledger.note(NOTE) is not None
    finally:
        ledger.close()


def as_json(review: Review) -> dict[str, Any]:
    """The review as plain values: times in ISO 8601, `confidence` of the intervals, verdicts in words."""
    values = dataclasses.asdict(review)
    for name in ("reviewed_at", "first_exposed_at", "last_exposed_at"):
        values[name] = format_time(values[name])
    values["ratio_check"] |= {"passed": review.ratio_check.passed, "observed_share": review.ratio_check.observed_share}
    return values | {"confidence": CONFIDENCE, "summary": review.summary()}
