"""What a change is worth: money is told from enough payments, and no number is given from less."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.change.worth import Earnings, worth

ROWS = 4_000


def earnings(payments: np.ndarray) -> Earnings:
    """Customers with one decision each: nobody was predicted to pay anything, and the new strategy does twice as often
    what paid."""
    found = Earnings(now=0)
    weights = np.where(np.arange(len(payments)) % 2, 1.5, 0.5)
    columns = {"chosen": weights / 2, "weight": weights, "reward": payments}
    for name, column in found.columns.items():
        column.extend(columns.get(name, np.zeros(len(payments))).tolist())
    found.units.extend(range(len(payments)))
    found.drawn.extend([0] * len(payments))
    found._arms["offer/web"] = 0
    found.matured.extend([1] * len(payments))
    return found


def test_a_few_large_payments_are_told_as_too_few() -> None:
    paid = np.zeros(ROWS)
    paid[[1, 3, 5]] = (900.0, 40.0, 20.0)
    corrected = worth(earnings(paid)).corrected
    assert corrected.new is None
    assert "money is told from payments worth 1.1 of one size, at least 10 are needed" in str(corrected.insufficient)


def test_many_payments_give_values_and_a_difference_that_is_one_estimate() -> None:
    rng = np.random.default_rng(3)
    paid = np.where(np.arange(ROWS) % 2, 1.0, 0.25) * (rng.random(ROWS) < 0.2) * rng.gamma(4.0, 5.0, ROWS)
    corrected = worth(earnings(paid)).corrected
    assert corrected.insufficient is None
    assert corrected.then is not None
    assert corrected.new is not None
    assert corrected.difference is not None
    assert corrected.then.value == pytest.approx(paid.mean())
    assert corrected.difference.value == pytest.approx(corrected.new.value - corrected.then.value)
    interval = corrected.difference.interval
    assert 0.0 < interval.low < corrected.difference.value < interval.high
    # What both have in common cancels: the difference is known better than either value.
    assert interval.high - interval.low < corrected.new.interval.high - corrected.new.interval.low
