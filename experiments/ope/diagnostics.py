"""Whether a log can say anything about a target policy; below these limits no number is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from experiments.ope.evidence import Evidence, chunks
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.mean_weight import FALSE_ALARMS, chance, error_foretold, error_unseen, once_in
from experiments.ope.payments import effective_responses
from experiments.ope.target import Target

#: Fewest rows the weights must be worth; the intervals are proven from here on (`tests/coverage.py`).
LEAST_EFFECTIVE_SAMPLE = 100.0
#: The same where rewards are money, and how many payments of one size they must then be worth. With fewer a few large
#: ones decide, which most logs do not have: down to 84 of 100 intervals held the truth; from here on 93 to 98.
LEAST_SAMPLE_OF_MONEY, LEAST_RESPONSES_OF_MONEY = 400.0, 10.0
#: Largest share of rows in which the target plays what the log could not: their reward is nowhere in the data.
MOST_UNSUPPORTED = 0.01
#: A target's probability on impossible arms counts from here; less is rounding.
_SOME = 1e-9


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Of the weights of one target on one log."""

    rows: int
    #: (Σ w)² / Σ w², in rows (Kish 1965).
    effective_sample_size: float
    largest_weight: float
    mean_weight: float
    mean_weight_error: float
    #: Share of rows in which the log could have played whatever the target plays, 0 .. 1.
    support: float
    #: (Σ w y)² / Σ (w y)², y the payments; None where rewards are a response or none.
    effective_responses: float | None = None
    #: The mean weight of a log with right probabilities: less than 1 by what the target plays and the log could not.
    expected_weight: float = 1.0
    #: Targets looked at together, each of which may look odd by luck.
    targets: int = 1
    #: Standard error of the mean weight with what luck may have kept from being drawn (`mean_weight`).
    luck_error: float = 0.0

    @property
    def odd_weights(self) -> bool:
        """Whether the spread of the weights alone would call the mean too far off to be luck."""
        return self._chance(self.mean_weight_error) < FALSE_ALARMS

    @property
    def least_sample(self) -> float:
        """The effective sample size that is needed."""
        return LEAST_EFFECTIVE_SAMPLE if self.effective_responses is None else LEAST_SAMPLE_OF_MONEY

    def shortcoming(self) -> str | None:
        """Why no number is given, or None."""
        if 1.0 - self.support > MOST_UNSUPPORTED:
            return f"no support: in {1.0 - self.support:.1%} of rows the target plays arms that the log could not play"
        seldom = "the log seldom did what the target does"
        if little := too_little(self.rows, self.effective_sample_size, self.effective_responses, seldom):
            return little
        return self.wrong_weights() if self.odd_weights else None

    def wrong_weights(self) -> str | None:
        """Why a mean weight that is off keeps a number back; None where it is luck, as the probabilities foretell."""
        error = max(self.mean_weight_error, self.luck_error)
        by_luck = self._chance(error)
        if by_luck < FALSE_ALARMS:
            return (
                f"mean weight {self.mean_weight:.3f} ± {error:.3f} instead of {self.expected_weight:.3f}: by luck that "
                f"happens {once_in(by_luck)}, so the logged probabilities are most likely not those the arms were "
                "drawn with"
            )
        # Heavy weights were not drawn yet, so the sample that was seen is worth less than it looks.
        foretold = self.rows / (1.0 + self.rows * error * error)
        return too_little(self.rows, foretold, self.effective_responses, "the log can seldom do what the target does")

    def _chance(self, error: float) -> float:
        return chance(self.mean_weight, self.expected_weight, error, self.targets)


def too_little(rows: int, sample: float, responses: float | None, seldom: str) -> str | None:
    """Why an effective sample of this size, and payments worth so many (None: no money), give no number, or None.

    `seldom` says in words what a small sample means.
    """
    money = responses is not None
    least = LEAST_SAMPLE_OF_MONEY if money else LEAST_EFFECTIVE_SAMPLE
    if sample < least:
        what = f"effective sample size {sample:,.1f}, at least {least:g} is needed" + " for money" * money
        return f"{what}: {seldom}{more_decisions(rows, least, sample)}"
    if responses is not None and responses < LEAST_RESPONSES_OF_MONEY:
        least = LEAST_RESPONSES_OF_MONEY
        what = f"money is told from payments worth {responses:,.1f} of one size, at least {least:g} are needed"
        return f"{what}: a few large ones decide{more_decisions(rows, least, responses)}"
    return None


def more_decisions(rows: int, least: float, had: float) -> str:
    """How many more decisions it would take for what comes in proportion to them, to two digits; nothing where there is
    nothing to go by."""
    if had < 1.0:
        return ""
    more = rows * (least / had - 1.0)
    unit = 10 ** max(0, math.floor(math.log10(max(more, 1.0))) - 1)
    return f"; about {math.ceil(more / unit) * unit:,} more decisions like these would do"


def diagnose_target(log: LoggedFeedback, target: Target, seen: Evidence, targets: int = 1) -> Diagnostics:
    """The same of one of so many `targets` on a log, whose probabilities are asked where the weights look odd."""
    found = replace(diagnose(seen), targets=targets)
    if not found.odd_weights:
        return found
    foretold = error_foretold(log, target)
    known = log.logging_probability is not None
    return replace(found, luck_error=foretold if known else max(foretold, found.luck_error))


def diagnose(evidence: Evidence) -> Diagnostics:
    """In one pass over the weights; the standard error counts each customer once."""
    n, total, squares, largest, unsupported = len(evidence), 0.0, 0.0, 0.0, 0
    for rows in chunks(n):
        w = evidence.weight[rows]
        total += float(w.sum())
        squares += float(w @ w)
        largest = max(largest, float(w.max()))
        unsupported += int(np.count_nonzero(evidence.outside[rows] > _SOME))
    mean = total / n
    if evidence.unit is None:
        error = math.sqrt(max(squares / n - mean * mean, 0.0) / (n - 1))
    else:
        sums = np.bincount(evidence.unit, evidence.weight - mean)
        error = math.sqrt(float(sums @ sums)) / n
    effective = total * total / squares if squares > 0.0 else 0.0
    payment = evidence.payment
    responses = None if payment is None else effective_responses(evidence.weight, payment, evidence.unit)
    expected = 1.0 - float(evidence.outside.mean())
    luck = error_unseen(error, expected - mean, largest, n)
    return Diagnostics(n, effective, largest, mean, error, 1.0 - unsupported / n, responses, expected, luck_error=luck)
