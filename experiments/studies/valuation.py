"""What each policy would have earned in a study, and whether a learned one beats the best constant one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.inference import Verdict
from experiments.ope.contributions import Contributions, contributions
from experiments.ope.diagnostics import Diagnostics, diagnose
from experiments.ope.difference import Difference, difference
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import evidence
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.intervals import Bounds, skewed
from experiments.ope.payments import payments
from experiments.ope.reward_model import Fit
from experiments.ope.target import Target, constant
from experiments.studies.learned import LEARNERS, best_constant_of_other_folds, learned_policies

#: Estimators shown: the log's own means, weighed, and those with what reward models explain taken out.
PLAIN, ADJUSTED = "snips", "sndr"


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """One policy on one reward: estimates with 95 % intervals, or `insufficient` and why, and then no number."""

    name: str
    #: Arm -> share of rows in which the policy plays it, largest first.
    plays: tuple[tuple[str, float], ...]
    effective_sample_size: float
    insufficient: str | None
    plain: float | None = None
    plain_interval: Bounds | None = None
    adjusted: float | None = None
    adjusted_interval: Bounds | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether a learned policy beats every constant one. `against_best` is the difference to the best constant;
    `hardest` the difference to the constant that comes closest, which decides."""

    policy: str
    verdict: Verdict
    against_best: Difference
    hardest: Difference
    #: Against choosing the best constant from the other folds: a fair comparison of two things learned.
    against_chosen: Difference


@dataclass(frozen=True, slots=True)
class Valuation:
    """Every policy on one reward. Constants come best first; `best_constant` is the first of them with a number."""

    reward: str
    constants: tuple[PolicyValue, ...]
    learned: tuple[PolicyValue, ...]
    claims: tuple[Claim, ...]

    @property
    def best_constant(self) -> PolicyValue | None:
        return next((c for c in self.constants if c.insufficient is None), None)

    @property
    def in_order(self) -> tuple[PolicyValue, ...]:
        """The best constant beside the learned ones, then the other constants."""
        best = self.best_constant
        return (*([best] if best else []), *self.learned, *(c for c in self.constants if c is not best))


def value_policies(
    log: LoggedFeedback,
    reward: str,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _share: None,
    learners: Mapping[str, Fit] = LEARNERS,
) -> Valuation:
    """Values every constant policy and those learned from the log itself, out of fold."""
    learned, q_hat = learned_policies(log, seed, progress, learners)
    names = {f"constant:{arm}": arm for arm in log.arms}
    constants = [_valued(log, constant(log, arm), q_hat, names) for arm in log.arms]
    constants.sort(key=lambda c: -np.inf if c[0].adjusted is None else c[0].adjusted, reverse=True)
    chosen = _valued(log, best_constant_of_other_folds(log, seed), q_hat, names)
    judged = [_valued(log, policy, q_hat, names) for policy in learned]
    payment = payments(log)
    claims = tuple(_claim(one, constants, chosen, payment) for one in judged)
    return Valuation(reward, tuple(c[0] for c in constants), (chosen[0], *(one[0] for one in judged)), claims)


def _valued(
    log: LoggedFeedback, target: Target, q_hat: Floats, names: dict[str, str]
) -> tuple[PolicyValue, Contributions]:
    seen = evidence(log, target, q_hat)
    found = diagnose(seen)
    adjusted = contributions(ESTIMATORS[ADJUSTED], seen, 0.0)
    value = PolicyValue(
        names.get(target.name, target.name), _plays(log, target), found.effective_sample_size, _shortcoming(found)
    )
    if value.insufficient is not None:
        return value, adjusted
    plain = contributions(ESTIMATORS[PLAIN], seen, 0.0)
    told = replace(value, plain=plain.value, plain_interval=skewed(plain))
    return replace(told, adjusted=adjusted.value, adjusted_interval=skewed(adjusted)), adjusted


def _shortcoming(found: Diagnostics) -> str | None:
    """That the mean weight is 1 has been tested of all arms at once (`balance`), so no policy is asked for itself."""
    return replace(found, mean_weight=found.expected_weight).shortcoming()


def _plays(log: LoggedFeedback, target: Target) -> tuple[tuple[str, float], ...]:
    rows, k = slice(0, len(log)), len(log.arms)
    shares = [
        float(target.average(log, np.broadcast_to(np.eye(k)[arm], (len(log), k)), rows).mean()) for arm in range(k)
    ]
    played = sorted(((share, name) for share, name in zip(shares, log.arms, strict=True) if share > 0.0), reverse=True)
    return tuple((name, share) for share, name in played)


def _claim(
    one: tuple[PolicyValue, Contributions],
    constants: Sequence[tuple[PolicyValue, Contributions]],
    chosen: tuple[PolicyValue, Contributions],
    payment: Floats | None,
) -> Claim:
    """Better only where the whole interval lies above zero against every constant: which is best is not known, and then
    no correction for many comparisons is needed (Berger 1982, Multiparameter Hypothesis Testing, Technometrics).
    Worse only against the constant chosen in other folds: the best of many in the same data is flattered.
    """
    value, parts = one
    usable = [c for c in constants if c[0].insufficient is None]
    against = [difference(parts, c[1], c[0].name, payment) for c in usable]
    against_chosen = difference(parts, chosen[1], chosen[0].name, payment)
    why = value.insufficient or (None if usable else "no constant policy has a value")
    if why is not None:
        none = Difference("–", why)
        return Claim(value.name, Verdict.INSUFFICIENT, none, none, none)
    hardest = min(against, key=lambda d: -np.inf if d.interval is None else d.interval.low)
    if hardest.interval is not None and hardest.interval.low > 0.0:
        verdict = Verdict.BETTER
    elif against_chosen.interval is not None and against_chosen.interval.high < 0.0:
        verdict = Verdict.WORSE
    else:
        verdict = Verdict.INSUFFICIENT
    return Claim(value.name, verdict, against[0], hardest, against_chosen)
