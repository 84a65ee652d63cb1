"""Groups are sticky, sized as asked, and grow without losing anyone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.assignment import Layer, bucket, holdout_layer, uniform

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "buckets.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['salt']}-{c['unit'][:12]}")
def test_buckets_are_those_on_file(case: dict) -> None:
    assert bucket(case["salt"], case["unit"]) == case["bucket"]


def test_a_share_of_the_customers_is_held_out() -> None:
    layer = holdout_layer(0.05)
    held = sum(layer.assign("segue", f"c{i}") == "holdout" for i in range(20_000))
    assert held == 992  # a keyed hash: the same count for ever; 1,000 expected, sd 31


def test_raising_the_share_only_adds_customers() -> None:
    units = [f"c{i}" for i in range(2_000)]
    small = {u for u in units if Layer("x", "in", "out", 0.1).assign("s", u) == "in"}
    large = {u for u in units if Layer("x", "in", "out", 0.3).assign("s", u) == "in"}
    assert small < large


def test_layers_divide_independently() -> None:
    units = [f"c{i}" for i in range(10_000)]
    both = sum(
        Layer("a", "in", "out", 0.5).assign("s", u) == Layer("b", "in", "out", 0.5).assign("s", u) == "in"
        for u in units
    )
    assert abs(both - 2_500) < 4 * 43  # sd of a binomial(10,000, 1/4)


def test_a_share_of_none_or_all_is_exact() -> None:
    assert {holdout_layer(0.0).assign("s", f"c{i}") for i in range(500)} == {"everyone"}
    assert {holdout_layer(1.0).assign("s", f"c{i}") for i in range(500)} == {"holdout"}


def test_a_draw_is_a_function_of_its_key_and_stays_below_one() -> None:
    draws = [uniform("d", i) for i in range(5_000)]
    assert draws == [uniform("d", i) for i in range(5_000)]
    assert all(0.0 <= x < 1.0 for x in draws)
    assert abs(sum(draws) / 5_000 - 0.5) < 0.02
