from __future__ import annotations

import numpy as np
import pytest

from features.aggregates import open_history
from features.catalogue import load_catalogue
from features.settings import Settings
from training.dataset import MIN_ROWS, USES, Dataset, Rows, Source, customer_datasets, data_hash, propensity_dataset
from training.pipeline import make_source
from training.split import Slice, choose_horizon


@pytest.fixture(scope="module")
def source(keen_home: Settings, now: int) -> Source:
    return make_source(open_history(keen_home.ledger), load_catalogue(keen_home.catalogue_folder), None, now)


def test_the_hash_knows_the_rows_but_not_their_order() -> None:
    keys = ["a", "b", "c"]
    labels, slices = np.array([1.0, 0.0, 1.0]), np.array([0, 1, 2])
    matrix = np.array([[1.0, np.nan], [0.0, 2.0], [3.0, 4.0]])
    whole = data_hash(keys, labels, slices, matrix)
    order = [2, 0, 1]
    assert data_hash([keys[n] for n in order], labels[order], slices[order], matrix[order]) == whole
    assert data_hash(keys, labels, slices, matrix * [[1.0, -1.0]]) != whole
    assert data_hash(keys, 1.0 - labels, slices, matrix) != whole
    assert data_hash(["a", "b", "d"], labels, slices, matrix) != whole
    assert data_hash(keys, labels, slices[::-1], matrix) != whole


def test_minus_zero_is_zero_and_every_nan_is_the_same() -> None:
    odd_nan = np.frombuffer(np.array([0x7FF8000000000123], dtype=np.uint64).tobytes())
    labels, slices = np.array([1.0]), np.array([0])
    plain = data_hash(["a"], labels, slices, np.array([[0.0, np.nan]]))
    assert data_hash(["a"], labels, slices, np.array([[-0.0, odd_nan[0]]])) == plain


def test_churn_and_conversion_share_moments_and_churn_asks_only_the_active(source: Source) -> None:
    sets = customer_datasets(source, choose_horizon(0, source.span))
    churn, conversion = sets["churn"], sets["conversion"]
    assert conversion.rows == 4 * 800
    assert 2_000 < churn.rows < conversion.rows
    assert len(conversion.parts[Slice.TRAIN].labels) == 2 * 800
    assert conversion.reference.column_names == list(source.contract.names)


def test_propensity_rows_are_the_customer_beside_the_arm(source: Source) -> None:
    dataset = propensity_dataset(source)
    width = len(source.encoder.customer_columns) + len(source.encoder.arm_columns)
    assert {part.matrix.shape[1] for part in dataset.parts.values()} == {width}
    assert dataset.reference.num_rows == len(dataset.parts[Slice.TEST].labels)


def test_the_same_history_gives_the_same_hash(source: Source) -> None:
    assert propensity_dataset(source).data_hash == propensity_dataset(source).data_hash


@pytest.mark.parametrize(("rows", "positives"), [(MIN_ROWS - 1, 50), (1_000, 9), (1_000, 991), (0, 0)])
def test_too_few_rows_or_too_few_of_a_class_is_a_shortcoming(rows: int, positives: int) -> None:
    def part(n: int, ones: int) -> Rows:
        return Rows(np.zeros((n, 1)), np.repeat([1.0, 0.0], [ones, n - ones]), np.arange(n))

    good = part(MIN_ROWS, 20)
    for slice_ in Slice.TRAIN, Slice.CALIBRATION, Slice.TEST:
        parts = dict.fromkeys((Slice.TRAIN, Slice.CALIBRATION, Slice.TEST), good)
        assert Dataset("churn", parts, "", None).shortcoming() is None
        parts[slice_] = part(rows, positives)
        told = Dataset("churn", parts, "", None).shortcoming() or ""
        assert told.startswith("too little history: ")
        assert f"customers {USES[slice_]}" in told
        assert told.endswith("import a longer history, or set a shorter horizon_days in segue.toml")
