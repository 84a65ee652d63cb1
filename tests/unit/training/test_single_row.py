"""One row at a time is the same model: LightGBM's short way and its long way agree to the last bit."""

import lightgbm
import numpy as np
import pytest

from features.errors import UntrustedArtefact
from training.single_row import SingleRow

RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    rows = RNG.normal(0.0, 3.0, (3_000, 12))
    rows[RNG.random(rows.shape) < 0.2] = np.nan
    labels = (np.nan_to_num(rows[:, 0]) + RNG.normal(0, 1, len(rows)) > 0).astype(float)
    options = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "seed": 1, "num_threads": 1}
    return lightgbm.train(options, lightgbm.Dataset(rows, labels), 200)


def test_a_single_row_gets_what_the_whole_matrix_gets(booster: lightgbm.Booster) -> None:
    rows = RNG.normal(0.0, 3.0, (500, 12))
    rows[RNG.random(rows.shape) < 0.3] = np.nan
    rows[0] = 0.0
    rows[1] = np.nan
    single = SingleRow(booster.model_to_string(), 12)
    expected = booster.predict(rows, raw_score=True, num_threads=1)
    assert [single.margin(row) for row in rows] == expected.tolist()


def test_a_row_that_is_a_column_of_a_matrix_is_read_right(booster: lightgbm.Booster) -> None:
    rows = np.asfortranarray(RNG.normal(0.0, 3.0, (5, 12)))
    single = SingleRow(booster.model_to_string(), 12)
    assert single.margin(rows[3]) == booster.predict(rows[3:4], raw_score=True)[0]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UntrustedArtefact):
        SingleRow("tree\nnothing of the kind\n", 3)
