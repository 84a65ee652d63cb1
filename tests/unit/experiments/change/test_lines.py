"""What a change comes to is said in words that agree with the numbers beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from experiments.change import lines as told
from experiments.change.page import _headline
from experiments.change.worth import Estimate, Value, Worth
from experiments.ope.intervals import Bounds

LITTLE = Estimate("effective sample size 12.0, at least 400 is needed for money", 50)


def estimate(low: float, high: float) -> Estimate:
    value = Value((low + high) / 2, Bounds(low, high))
    return Estimate(None, 50, value, value, value)


def finding(model: Estimate, corrected: Estimate, changed: int = 0) -> Any:
    tally = SimpleNamespace(decisions=50, contacts=7, contacted={"a"})
    return SimpleNamespace(changed=changed, worth=Worth(model, corrected), then=tally, new=tally)


@pytest.mark.parametrize(
    ("model", "corrected", "headline", "said"),
    [
        (estimate(-0.2, -0.1), LITTLE, "expected to earn less, by the model alone", "the model alone expects -0.15"),
        (estimate(0.1, 0.2), LITTLE, "expected to earn more, by the model alone", "the model alone expects +0.15"),
        (estimate(-0.1, 0.3), LITTLE, "not known to earn more or less", "cannot tell whether it earns more"),
        (estimate(-0.2, -0.1), estimate(-0.3, 0.1), "expected to earn less, by the model alone", "is open: -0.1"),
        (estimate(0.1, 0.2), estimate(-0.3, -0.1), "earns less", "A decision earns less than today: -0.2"),
        (LITTLE, LITTLE, "not known to earn more or less", "cannot tell"),
    ],
)
def test_the_box_says_what_the_model_expects_where_the_record_cannot_tell(
    model: Estimate, corrected: Estimate, headline: str, said: str
) -> None:
    found = finding(model, corrected, changed=3)
    assert _headline(found) == headline
    assert said in told.in_words(found)


def test_nothing_changes_only_where_no_number_does() -> None:
    same = finding(estimate(0.0, 0.0), estimate(0.0, 0.0))
    assert (_headline(same), told.in_words(same)) == (
        "no change",
        "Nothing changes: all 50 decisions come out as they were made.",
    )
    moved = finding(estimate(-0.2, -0.1), LITTLE)
    assert _headline(moved) == "expected to earn less, by the model alone"
    assert told.in_words(moved).startswith("The same arms are drawn in all 50 decisions, with other probabilities.")


def test_a_change_too_small_to_show_has_no_sign() -> None:
    assert told.Line("contacts", 3.0, 2.9999, digits=1).cells()[-1] == "0.0"
    assert told.Line("share", 0.1, 0.09999, share=True).cells()[-1] == "0.0 points"
