"""Why not another arm: the rule it broke, or what it would have needed for the highest priority."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.arbitration import priorities, worth
from serving.explain import headline, to_win


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


def test_the_highest_priority_needs_nothing() -> None:
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


def drawn(action: str) -> dict[str, Any]:
    """A record whose answer is this action, on the web where it is one."""
    arm = {"action": action, "channel": "none" if action == "do_nothing" else "web"}
    item = {"arm": arm, "action_probability": 0.08, "p_accept": 0.06, "action_value": 40.0, "priority": 2.4}
    return {"items": [item], "reason": None, "fallback_reason": None, "channels": None}


RANKED = [
    {"action": "refer", "channel": "web", "stage": None, "priority": 4.0, "deviation": 1.1, "probability": 0.6},
    {"action": "upgrade", "channel": "web", "stage": None, "priority": 2.4, "deviation": 0.9, "probability": 0.08},
    {"action": "do_nothing", "channel": None, "stage": None, "priority": 0.0, "deviation": 0.0, "probability": 0.0005},
]
LEARNED = (
    "The highest priority had refer by web (4.00, give or take 1.10), drawn with probability 0.6: "
    "others are drawn too, so that what they bring is learned."
)


@pytest.mark.parametrize("action", ["upgrade", "do_nothing"])
def test_a_draw_that_was_not_of_the_highest_priority_says_so_and_why(action: str) -> None:
    assert headline(drawn(action), RANKED)[1:] == [LEARNED]


def test_a_draw_of_the_highest_priority_needs_no_excuse() -> None:
    assert len(headline(drawn("refer"), RANKED)) == 1
    tie = [{**RANKED[1], "priority": 4.0}, *RANKED]
    assert len(headline(drawn("refer"), tie)) == 1


def test_an_incumbents_choice_is_told_as_such_whatever_its_priority() -> None:
    told = {"incumbent": "upgrade@web", "own": "refer@web", "own_probability": 0.6, "incumbent_probability": 0.08}
    lines = headline({**drawn("upgrade"), "apprentice": told}, RANKED)
    assert len(lines) == 2
    assert "the incumbent's choice" in lines[1]


def test_where_nothing_could_be_drawn_nothing_is_said_of_others() -> None:
    assert len(headline({**drawn("do_nothing"), "reason": "holdout"}, [])) == 1
