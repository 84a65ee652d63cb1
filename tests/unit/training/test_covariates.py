"""The covariates of the online correction: which they are, and what a customer's come to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.covariates import Covariates, choose_covariates, varied_covariates
from training.residual import ONE

SHOP = Covariates(("age", "spend"), (40.0, 9.0), (10.0, 3.0))


def test_values_are_taken_from_the_middle_in_spreads_and_cut_off_at_three() -> None:
    assert SHOP.of({"age": 45.0, "spend": 1e9, "other": 1.0}) == (ONE // 2, 3 * ONE)
    assert SHOP.of({"age": -1e9, "spend": 9.0}) == (-3 * ONE, 0)


@pytest.mark.parametrize("unknown", [{}, {"age": None, "spend": None}, {"age": math.nan, "spend": math.nan}])
def test_what_is_not_known_is_in_the_middle(unknown: dict) -> None:
    assert SHOP.of(unknown) == (0, 0)


def test_they_are_the_features_the_model_gained_most_by() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(5.0, 2.0, 4_000), np.ones(4_000), rng.random(4_000) < 0.2, rng.random(4_000)])
    found = choose_covariates(("a", "constant", "flag", "unused"), np.array([10.0, 99.0, 50.0, 0.0]), matrix)
    assert found.names == ("flag", "a")  # one never varies, one says nothing
    assert found.centres == (0.0, pytest.approx(5.0, abs=0.2))
    assert found.spreads == (pytest.approx(0.4, abs=0.02), pytest.approx(2.0, abs=0.1))


def test_no_more_are_chosen_than_asked_for_and_none_from_nothing() -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 9))
    names = tuple("abcdefghi")
    assert choose_covariates(names, np.arange(1.0, 10.0), matrix, 3).names == ("i", "h", "g")
    assert len(choose_covariates(names, np.ones(9), matrix).names) == 7
    assert choose_covariates(names, np.ones(9), np.full((50, 9), np.nan)) == Covariates()
    assert choose_covariates((), np.empty(0), np.empty((50, 0))) == Covariates()


def test_they_are_kept_as_json() -> None:
    assert Covariates.from_json(SHOP.to_json()) == SHOP
    for bad in (
        '{"names": ["a"], "centres": [1.0], "spreads": [0.0]}',
        '{"names": ["a"], "centres": [], "spreads": [1.0]}',
    ):
        with pytest.raises(ValueError, match="middle and a spread"):
            Covariates.from_json(bad)


def test_before_a_model_they_are_what_tells_customers_apart_and_no_two_say_the_same() -> None:
    rng = np.random.default_rng(0)
    age, rare = rng.normal(40.0, 10.0, 1_000), np.where(rng.random(1_000) < 0.4, rng.normal(size=1_000), np.nan)
    matrix = np.column_stack([np.full(1_000, 3.0), rng.random(1_000) < 0.1, rare, age, 2.0 * age + 1.0])
    found = varied_covariates(("constant", "flag", "rare", "age", "age_again"), matrix)
    assert found.names == ("age", "rare", "flag")
    assert found.spreads[0] == pytest.approx(10.0, rel=0.1)
    assert varied_covariates(("a",), np.full((9, 1), np.nan)) == Covariates()
