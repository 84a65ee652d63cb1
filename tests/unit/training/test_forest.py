"""A forest taken apart gives exactly, to the last bit, what LightGBM gives for the same rows."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from training.calibration import Calibration
from training.forest import Forest
from training.scorer import ArmScorer, Scorer

CUSTOMER, ARM, ROWS = 9, 6, 2_500


def booster(leaves: int, trees: int, seed: int = 1, **options: object) -> lightgbm.Booster:
    """A forest grown on columns of every kind: numbers, flags, and values that are missing."""
    rng = np.random.default_rng(seed)
    rows = matrix(rng, ROWS)
    labels = (np.nansum(rows * rng.normal(0, 1, rows.shape[1]), axis=1) + rng.normal(0, 1, ROWS) > 0).astype(float)
    settings = {"objective": "binary", "num_leaves": leaves, "verbosity": -1, "min_data_in_leaf": 5, "num_threads": 1}
    return lightgbm.train(settings | {"seed": seed} | options, lightgbm.Dataset(rows, labels), trees)


def matrix(rng: np.random.Generator, rows: int) -> np.ndarray:
    values = rng.normal(0, 2, (rows, CUSTOMER + ARM))
    values[:, ::4] = np.round(values[:, ::4])
    values[:, 3] = rng.random(rows) < 0.5
    missing = rng.random(values.shape) < np.linspace(0.0, 0.4, CUSTOMER + ARM)
    missing[:, 0] = False  # a column LightGBM never sees missing, so that there it counts as 0
    return np.where(missing, np.nan, values)


@pytest.mark.parametrize(("leaves", "trees"), [(2, 1), (4, 30), (31, 120), (64, 20)])
def test_the_sum_is_lightgbms_own_to_the_last_bit(leaves: int, trees: int) -> None:
    grown = booster(leaves, trees)
    forest = Forest(grown.model_to_string(), CUSTOMER)
    rng = np.random.default_rng(2)
    for _ in range(40):
        customer, arms = matrix(rng, 1)[0, :CUSTOMER], matrix(rng, 30)[:, CUSTOMER:]
        customer[rng.random(CUSTOMER) < 0.2] = np.nan
        rows = np.hstack([np.broadcast_to(customer, (30, CUSTOMER)), arms])
        wanted = grown.predict(rows, raw_score=True, num_threads=1)
        assert np.array_equal(forest.margins(customer, forest.arms(arms)), wanted)


def test_values_on_a_threshold_go_where_lightgbm_sends_them() -> None:
    grown = booster(31, 40)
    text = grown.model_to_string()
    thresholds = {float(t) for line in text.splitlines() if line.startswith("threshold=") for t in line[10:].split()}
    forest = Forest(text, CUSTOMER)
    for threshold in sorted(thresholds)[::7]:
        row = np.full(CUSTOMER + ARM, threshold)
        wanted = grown.predict(row[None, :], raw_score=True, num_threads=1)
        assert np.array_equal(forest.margins(row[:CUSTOMER], forest.arms(row[None, CUSTOMER:])), wanted)


def test_a_forest_without_a_single_split_is_its_constant() -> None:
    rows = np.zeros((100, CUSTOMER + ARM))
    data = lightgbm.Dataset(rows, np.arange(100) % 4 == 0)
    grown = lightgbm.train({"objective": "binary", "verbosity": -1}, data, 3)
    forest = Forest(grown.model_to_string(), CUSTOMER)
    wanted = grown.predict(rows[:2], raw_score=True, num_threads=1)
    assert np.array_equal(forest.margins(rows[0, :CUSTOMER], forest.arms(rows[:2, CUSTOMER:])), wanted)


def test_what_it_cannot_do_is_refused_and_then_done_in_the_ordinary_way() -> None:
    grown = booster(80, 3, zero_as_missing=True)
    text = grown.model_to_string()
    with pytest.raises(ValueError, match=r"zeros|leaves"):
        Forest(text, CUSTOMER)
    rng = np.random.default_rng(3)
    customer, arms = matrix(rng, 1)[0, :CUSTOMER], matrix(rng, 8)[:, CUSTOMER:]
    scorer = Scorer(text, Calibration("sigmoid", (1.0, 0.0), (), 1e-6))
    rows = np.hstack([np.broadcast_to(customer, (8, CUSTOMER)), arms])
    chosen = np.array([1, 4, 6])
    found = ArmScorer(scorer, {"propensity": 0.1}, arms, CUSTOMER).predict([customer], [chosen])
    assert np.array_equal(found, scorer.predict(rows)[chosen])


def test_a_model_that_is_not_there_answers_with_the_base_rate() -> None:
    found = ArmScorer(None, {"propensity": 0.07}, np.zeros((5, ARM)), CUSTOMER).predict(
        [np.zeros(CUSTOMER)], [np.arange(3)]
    )
    assert found.tolist() == [0.07] * 3
