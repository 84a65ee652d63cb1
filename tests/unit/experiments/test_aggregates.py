from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.aggregates import aggregate, nothing

NUMBERS = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3)), min_size=2, max_size=40)


@given(NUMBERS, st.lists(st.integers(0, 40), max_size=5), st.randoms(use_true_random=False))
def test_any_split_in_any_order_merges_to_the_same(rows, cuts, random) -> None:
    whole = aggregate({"x": [r[0] for r in rows], "y": [r[1] for r in rows]})
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(edges)]
    random.shuffle(parts)
    merged = nothing(("x", "y"))
    for part in parts:
        merged = merged + aggregate({"x": [r[0] for r in part], "y": [r[1] for r in part]})
    assert merged.count == whole.count
    assert merged.means == pytest.approx(whole.means, rel=1e-9, abs=1e-6)
    size = float(np.abs(whole.scatter).max())
    assert np.allclose(merged.scatter, whole.scatter, rtol=1e-9, atol=1e-9 * size + 1e-6)


@given(NUMBERS)
def test_moments_are_those_of_numpy(rows) -> None:
    x, y = np.array(rows).T
    found = aggregate({"x": x, "y": y})
    expected = np.cov(x, y)
    assert found.mean("x") == pytest.approx(x.mean(), abs=1e-9)
    assert found.variance("x") == pytest.approx(expected[0, 0], rel=1e-9, abs=1e-6)
    assert found.covariance("x", "y") == pytest.approx(expected[0, 1], rel=1e-6, abs=1e-3)


def test_a_small_spread_on_a_large_mean_keeps_its_digits() -> None:
    x = 1e9 + np.arange(1000) % 2
    parts = [aggregate({"x": part}) for part in np.split(x, 10)]
    assert sum(parts[1:], parts[0]).variance("x") == pytest.approx(0.25, rel=2e-3)


def test_statistics_of_other_columns_do_not_add() -> None:
    with pytest.raises(ValueError, match="cannot add"):
        aggregate({"x": [1.0]}) + aggregate({"y": [1.0]})
