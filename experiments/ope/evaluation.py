"""One target policy valued on one log: diagnostics first, then every estimate with its intervals, or a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.inference import Verdict
from experiments.ope import refusals
from experiments.ope.contributions import Contributions, contributions, numbers
from experiments.ope.diagnostics import Diagnostics, diagnose_target
from experiments.ope.difference import Difference, difference
from experiments.ope.estimators import ESTIMATORS, Estimator
from experiments.ope.evidence import Evidence, evidence
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.intervals import Bounds, bernstein, bootstrap, skewed
from experiments.ope.reward_model import cross_fitted
from experiments.ope.target import Target
from features.errors import InvalidInput

#: What is read first: doubly robust, self-normalised; without a reward model, SNIPS.
HEADLINES = ("sndr", "snips")
#: What the gain is measured against.
LOG = "the log itself"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's answer, in the unit of the reward; or `insufficient` and why, and then no number."""

    estimator: Estimator
    insufficient: str | None
    value: float | None = None
    interval: Bounds | None = None
    bootstrap: Bounds | None = None
    bernstein: Bounds | None = None
    #: The number it was tuned to, where it has one.
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A target on a log, or on one `place` of a log of slates (None where there is one place each)."""

    target: str
    place: int | None
    diagnostics: Diagnostics
    #: What the log itself earned a row.
    logged_value: float
    estimates: tuple[Estimate, ...]
    #: The headline estimate less the logged value, as one estimate: what is common to both cancels.
    gain: Difference

    @property
    def insufficient(self) -> str | None:
        """Why there is no number at all, or None."""
        return self.diagnostics.shortcoming()

    @property
    def headline(self) -> Estimate:
        """The estimate to read first."""
        by_name = {one.estimator.name: one for one in self.estimates}
        return next(by_name[name] for name in HEADLINES if name in by_name)

    @property
    def verdict(self) -> Verdict:
        """Better or worse than what the log earned only when the whole interval of the gain says so."""
        found = self.gain.interval
        if found is None:
            return Verdict.INSUFFICIENT
        return Verdict.BETTER if found.low > 0.0 else Verdict.WORSE if found.high < 0.0 else Verdict.INSUFFICIENT


def evaluate(
    log: LoggedFeedback,
    targets: Sequence[Target],
    *,
    model: bool = True,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _share: None,
) -> list[Evaluation]:
    """Values each target on each place of the log. `model`: with cross-fitted reward models, one for each place.

    A place of a slate is valued by its own weight, the places before it being as they were logged (the item-position
    model of Li et al. 2018, Offline Evaluation of Ranking Policies with Click Models, KDD).
    Raises InvalidInput for a log that can tell nothing; places that tell nothing are left out (`silent_places`).
    """
    refusals.uninformative(log)
    places = [None] if log.place is None else sorted(set(log.place.tolist()))
    silent: dict[int, str] = silent_places(log)
    if len(silent) == len(places):
        raise InvalidInput(f"of no place anything can be told; of place {min(silent)}: {silent[min(silent)]}")
    found, looks = [], len(targets) * (len(places) - len(silent))
    for done, place in enumerate(places):
        if place in silent:
            continue
        mask = np.ones(len(log), dtype=bool) if log.place is None else log.place == place
        part = log if mask.all() else log.take(mask)
        q_hat = cross_fitted(part, seed=seed, progress=_within(progress, done, len(places))) if model else None
        for target in targets:
            here = target if mask.all() else target.take(mask)
            only = None if place is None or len(places) == 1 else int(place)
            found.append(evaluate_one(part, here, q_hat, place=only, seed=seed, targets=looks))
        progress((done + 1) / len(places))
    return found


def silent_places(log: LoggedFeedback) -> dict[int, str]:
    """Places of which nothing can be told, and why; the others can be valued all the same."""
    found = {}
    for place in sorted(set(log.place.tolist())) if log.place is not None else []:
        try:
            refusals.uninformative(log.take(log.place == place))
        except InvalidInput as error:
            found[int(place)] = error.message
    return found


def evaluate_one(
    log: LoggedFeedback,
    target: Target,
    q_hat: Floats | None = None,
    *,
    place: int | None = None,
    seed: int = 0,
    targets: int = 1,
) -> Evaluation:
    """Values one target of so many; `q_hat`, (n, k), are cross-fitted predictions, None for no reward model."""
    seen = evidence(log, target, q_hat)
    found = diagnose_target(log, target, seen, targets)
    reason, number_of = found.shortcoming(), numbers(seen)
    estimates = tuple(
        _estimate(
            ESTIMATORS[name], seen, number_of[name], reason or _own_shortcoming(ESTIMATORS[name], seen, found), seed
        )
        for name in number_of
    )
    headline = next(name for name in HEADLINES if name in number_of)
    gain = Difference(LOG, reason) if reason else _gain(contributions(ESTIMATORS[headline], seen, 0.0), seen)
    return Evaluation(target.name, place, found, float(log.reward.mean()), estimates, gain)


def _gain(parts: Contributions, seen: Evidence) -> Difference:
    """Against what the log earned: an estimate with every weight 1 and the same reward model."""
    predicted = np.zeros(len(seen)) if seen.predicted is None else seen.predicted
    logged = Contributions(predicted, np.ones(len(seen)), parts.residual, True, seen.unit, parts.money)
    return difference(parts, logged, LOG, seen.payment)


def _estimate(estimator: Estimator, seen: Evidence, number: float, reason: str | None, seed: int) -> Estimate:
    if reason is not None:
        return Estimate(estimator, reason)
    parts = contributions(estimator, seen, number)
    tuned_to = None if estimator.tuned is None else number
    return Estimate(estimator, None, parts.value, skewed(parts), bootstrap(parts, seed), bernstein(parts), tuned_to)


def _own_shortcoming(estimator: Estimator, seen: Evidence, found: Diagnostics) -> str | None:
    """What keeps this one estimator from a number where others have one."""
    if not estimator.uniform_log:
        return None
    if not seen.uniform_log:
        return "the log was not drawn uniformly"
    agreed = float(seen.chosen.sum()) ** 2 / max(float(seen.chosen @ seen.chosen), 1e-300)
    if agreed < found.least_sample:
        return f"the policies agree on {agreed:,.0f} rows, at least {found.least_sample:g} are needed"
    return None


def _within(progress: Callable[[float], None], done: int, of: int) -> Callable[[float], None]:
    return lambda share: progress((done + share) / of)
