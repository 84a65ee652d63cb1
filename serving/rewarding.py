"""What came of a decided item so far, as the ledger has it: for explanations. The states are those of
`features.rewards`."""

from __future__ import annotations

from typing import Any

from features.clock import format_time
from features.domain import DO_NOTHING
from features.ledger import LearnableItem
from features.rewards import UNIT

_STATES = {
    "open": "is open: nothing has counted yet",
    "provisional": "is provisional: more may still be heard",
    "final": "is final",
    "imported": "is not kept for decisions made elsewhere",
}


def reward_told(item: LearnableItem) -> dict[str, Any]:
    """State, money, what the policy has learned from it (1, 0, or null for nothing), when it is looked at again."""
    return {
        "state": item.reward_state,
        "value": item.reward_units / UNIT,
        "success": None if item.success_units is None else item.success_units / UNIT,
        "shown_at": _time(item.shown_at),
        "due_at": _time(item.due_at),
        "outcomes": [
            {"kind": o.kind, "occurred_at": format_time(o.occurred_at), "value": o.value} for o in item.outcomes
        ],
    }


def reward_sentence(item: LearnableItem) -> str:
    """The same for people."""
    if item.arm == DO_NOTHING:
        return "Doing nothing earns nothing, and nothing is learned from it."
    learned = "nothing yet" if item.success_units is None else "a success" if item.success_units else "no success"
    again = "" if item.due_at is None else f" It is looked at again when more is heard, and on {_time(item.due_at)}."
    heard = ", ".join(dict.fromkeys(o.kind for o in item.outcomes)) or "nothing"
    return (
        f"The reward of {item.arm.action} by {item.arm.channel} {_STATES[item.reward_state]}. Heard: {heard}; "
        f"worth {item.reward_units / UNIT:.2f}; the policy has learned {learned} from it.{again}"
    )


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_time(moment)
