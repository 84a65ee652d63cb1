"""Responses that take up to ten days bias what is learned by no more than 5 %, of old arms and of young ones.

No chance is involved: moments, answers and delays come from a Kronecker sequence, n times square roots of primes modulo
1, which fills the cube evenly; its error with 4,000 points is below 1 %.
"""

from __future__ import annotations

import math

import pytest

from features.catalogue import Action, Catalogue, Channel, Treatment
from features.clock import DAY
from features.domain import Arm, Outcome
from features.ledger import LearnableItem
from features.rewards import UNIT, RewardRules
from training.learner import Lesson, learn
from training.statistics import Statistics

RULES = RewardRules(
    Catalogue(
        "v",
        {"push": Channel("push", reports="responses"), "email": Channel("email")},
        ("g",),
        {
            name: Action(name, "g", window_days=14.0, treatments=(Treatment("push"), Treatment("email")))
            for name in ("old", "young")
        },
        (),
    )
)
#: True acceptance; the model predicts another, so that there is something to learn.
TRUTH = {"old": 0.12, "young": 0.3}
PREDICTED = 0.2
#: When each is first offered, and when the present is: nine days after the first windows of the young one could close.
BEGINS, NOW = {"old": 0, "young": 40}, 63
LATE = 30 * DAY


def items(channel: str, action: str, heard_by: int, lag: int = 0, size: int = 20_000) -> list[LearnableItem]:
    """Decisions evenly over time, with the responses reported by a day: they take up to 10 days, reports `lag` more."""
    made = []
    for n in range(size):
        u = [n * math.sqrt(prime) % 1.0 for prime in (2, 3, 5)]
        at = round((BEGINS[action] + u[0] * (NOW - BEGINS[action])) * DAY)
        responded_at = at + round(u[2] * 10 * DAY)
        kind = "accepted" if u[1] < TRUTH[action] else "ignored" if channel == "push" else None
        heard = kind is not None and responded_at + lag * DAY <= heard_by * DAY
        told = (Outcome(f"o{n}", f"d{n}", "c", action, kind or "", responded_at),) if heard else ()
        made.append(
            LearnableItem(
                f"d{n}", 1, "c", Arm(action, channel), PREDICTED, PREDICTED, 1.0, at, at + 14 * DAY, "b",
                "open", 0, None, None, at, told,
            )
        )  # fmt: skip
    return made


def learned_value(lesson: Lesson) -> float:
    """Accepts a decision learned from."""
    sums = lesson.changes["b"].weighed(NOW, 0.0)
    ((count, accepts, _), *_) = [one[:3] for one in sums.values()]
    return accepts / UNIT / count


@pytest.mark.parametrize("channel", ["push", "email"])
@pytest.mark.parametrize("action", ["old", "young"])
def test_responses_that_take_ten_days_bias_the_learned_value_by_no_more_than_5_percent(
    channel: str, action: str
) -> None:
    value = learned_value(learn(items(channel, action, heard_by=NOW), RULES, NOW * DAY, LATE))
    assert value == pytest.approx(TRUTH[action], rel=0.05)


@pytest.mark.parametrize("action", ["old", "young"])
def test_counting_successes_at_once_and_silences_later_would_have_flattered_the_young(action: str) -> None:
    """What the rule prevents: of the heard so far and the closed so far, more than its share were successes."""
    told = items("email", action, heard_by=NOW)
    counted = [one for one in told if one.outcomes or one.closes_at <= NOW * DAY]
    hasty = sum(bool(one.outcomes) for one in counted) / len(counted)
    assert hasty > TRUTH[action] * (1.5 if action == "young" else 1.08)


def test_reports_ten_days_late_are_repaired_without_a_trace() -> None:
    """Responses come in time, their reports after the window closed: zeros in between, then the very same sums."""
    early, later = NOW, NOW + 40
    first = learn(items("email", "old", heard_by=early, lag=10), RULES, early * DAY, LATE)
    rows = {row.decision_id: row for row in first.rewards}
    repaired = [
        one._replace(**rows[one.decision_id]._asdict()) if one.decision_id in rows else one
        for one in items("email", "old", heard_by=later, lag=10)
    ]
    second = learn(repaired, RULES, later * DAY, LATE)
    straight = learn(items("email", "old", heard_by=later), RULES, later * DAY, LATE)
    assert first.changes["b"] + second.changes["b"] == straight.changes["b"]
    assert learned_value(straight) == pytest.approx(TRUTH["old"], rel=0.01)
    assert first.changes["b"] != Statistics()
