"""Why not another arm: the rule it broke, or what it would have needed to be the favourite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.arbitration import priorities, worth
from serving.explain import to_win


def survivor(p: float, value: float, lever: float = 1.0, cost: float = 0.0, weight: float = 1.0) -> dict[str, Any]:
    chance, money, weights, levers, costs = (np.array([x]) for x in (p, value, weight, lever, cost))
    return {
        "action": "offer",
        "channel": "web",
        "stage": None,
        "p_accept": p,
        "action_value": value,
        "context_weight": weight,
        "lever": lever,
        "contact_cost": cost,
        "priority": float(priorities(chance, worth(money, weights, levers), costs)[0]),
    }


def test_the_favourite_needs_nothing() -> None:
    assert to_win(survivor(0.5, 10.0), best=5.0) is None


def test_what_is_told_is_what_it_takes() -> None:
    told = to_win(survivor(0.1, 10.0, lever=1.5, cost=0.5), best=4.0)
    assert told == "a response probability of 0.3 instead of 0.1, or a success worth 30.00 instead of 10.00"
    assert survivor(0.3, 10.0, lever=1.5, cost=0.5)["priority"] == pytest.approx(4.0)
    assert survivor(0.1, 30.0, lever=1.5, cost=0.5)["priority"] == pytest.approx(4.0)


def test_a_probability_above_one_is_not_asked_for() -> None:
    assert to_win(survivor(0.5, 2.0), best=4.0) == "a success worth 8.00 instead of 2.00"


def test_an_arm_that_was_removed_needs_its_rule() -> None:
    removed = {"action": "offer", "channel": "email", "stage": "consent", "rule": "consent.email", "limit": "granted"}
    assert to_win(removed, best=4.0) == "consent.email to be granted"


def test_doing_nothing_wins_when_all_else_is_worth_less() -> None:
    nothing = {"action": "do_nothing", "channel": None, "stage": None, "priority": 0.0}
    assert to_win(nothing, best=4.0) == "every other arm to be worth less than 0.00"
