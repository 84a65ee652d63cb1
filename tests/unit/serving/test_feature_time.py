"""Features are of a moment that was: too old ones, and those of a moment to come, are a fault with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from features.clock import CLOCK_SKEW, DAY
from features.online import FeatureRow
from serving.customer_features import usable_features
from serving.schema import DecideRequest

NOW = 20_000 * DAY


@pytest.mark.parametrize(
    ("as_of", "newest", "fault"),
    [
        (NOW - 3 * DAY, NOW, None),
        (NOW - 8 * DAY, NOW, "features_too_old"),
        (NOW + CLOCK_SKEW, 0, None),
        (NOW + CLOCK_SKEW + 1, 0, "features_from_the_future"),
        (NOW - DAY, NOW + 36 * 365 * DAY, "features_from_the_future"),
        (0, NOW + DAY, "features_from_the_future"),
    ],
)
def test_a_time_that_cannot_be_trusted_is_named(as_of: int, newest: int, fault: str | None) -> None:
    found = usable_features(FeatureRow((1.0,), as_of, newest), ("a",), NOW, 7.0)
    assert found == ({"a": 1.0} if fault is None else {}, fault)


def test_an_answer_says_when_features_are_of_the_future(deciding: Callable[..., Any]) -> None:
    parts = deciding()
    customer = parts.ledger.customer_ids(1)[0]
    row = parts.live.features.read(customer).row
    decider = parts.decider()
    decider.decide(DecideRequest("r1", customer), row.as_of)
    body = decider.decide(DecideRequest("r2", customer), row.as_of - CLOCK_SKEW - 1).body
    assert b'"fallback_reason":"features_from_the_future"' in body
