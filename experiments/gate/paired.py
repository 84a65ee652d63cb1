"""Two policies valued on one log, and their difference as one estimate: what is common to both cancels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr

from experiments.formulas import formula
from experiments.ope.contributions import Contributions, contributions
from experiments.ope.diagnostics import MOST_UNSUPPORTED, Diagnostics, diagnose_target, too_little
from experiments.ope.difference import apart, difference
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import Evidence, evidence
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.intervals import Bounds, cumulants, skewed
from experiments.ope.target import Target
from features.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Value:
    """What one policy earns a decision, with its 95 % interval."""

    value: float
    interval: Bounds


@dataclass(frozen=True, slots=True)
class Paired:
    """Candidate less champion, in the unit of the reward; or `insufficient` and why, and then no difference."""

    insufficient: str | None
    rows: int
    champion: Value | None = None
    candidate: Value | None = None
    difference: Value | None = None
    #: Standard error of the difference.
    error: float = math.inf
    #: Rows the candidate's weights are worth.
    effective_sample_size: float = 0.0

    def p_below(self, limit: float) -> float:
        """Chance of a difference so low or lower, were it truly `limit`; 1 where nothing is known."""
        if self.difference is None:
            return 1.0
        if not 0.0 < self.error < math.inf:
            return 1.0 if self.difference.value >= limit else 0.0
        return float(ndtr((self.difference.value - limit) / self.error))


@formula(
    "Candidate less champion",
    "V̂(candidate) − V̂(champion), both by SNDR (SNIPS without a reward model); its error from the differences of their "
    "contributions row by row, added up by customer",
    "Thomas, Brunskill (2016); paired by the delta method, van der Vaart (1998), Asymptotic Statistics, section 3.1",
)
def paired(
    log: LoggedFeedback,
    champion: Target,
    candidate: Target,
    q_hat: Floats | None = None,
    *,
    check_weights: bool = True,
) -> Paired:
    """Values both on the same rows. `q_hat`, (n, k), are cross-fitted predictions, None for SNIPS.

    `check_weights`: whether the mean weight must be 1 as far as luck allows. Asked of the whole log once: wrong
    probabilities show there best.
    """
    try:
        seen = [evidence(log, target, q_hat) for target in (champion, candidate)]
    except InvalidInput as error:
        return Paired(error.message, len(log))
    found = [diagnose_target(log, t, one, 2) for t, one in zip((champion, candidate), seen, strict=True)]
    reason = next(filter(None, (_shortcoming(one, check_weights) for one in found)), None)
    if reason is not None:
        return Paired(reason, len(log), effective_sample_size=found[1].effective_sample_size)
    first, second = (_parts(one) for one in seen)
    champion_value, candidate_value = (Value(one.value, skewed(one)) for one in (first, second))
    effective = found[1].effective_sample_size
    gain = difference(second, first, "champion", seen[1].payment)
    if gain.value is None or gain.interval is None:
        little = f"of candidate less champion: {gain.insufficient}"
        return Paired(little, len(log), champion_value, candidate_value, effective_sample_size=effective)
    spread = math.sqrt(max(one.variance for one in cumulants(apart(second, first))))
    return Paired(None, len(log), champion_value, candidate_value, Value(gain.value, gain.interval), spread, effective)


def _parts(seen: Evidence) -> Contributions:
    return contributions(ESTIMATORS["snips" if seen.predicted is None else "sndr"], seen, 0.0)


def _shortcoming(found: Diagnostics, check_weights: bool) -> str | None:
    if check_weights:
        return found.shortcoming()
    if 1.0 - found.support > MOST_UNSUPPORTED:
        return f"in {1.0 - found.support:.1%} of rows arms that the log could not play"
    seldom = "the log seldom did what the policy does"
    return too_little(found.rows, found.effective_sample_size, found.effective_responses, seldom)
