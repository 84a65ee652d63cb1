"""The running totals of live traffic: how much was decided, where, and how it compares with chance."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.simulator import Array
from features.domain import DO_NOTHING

#: Decisions of the recent past, to see learning that a total would hide.
RECENT = 500
_NO_ITEM: Mapping[str, Any] = {"rank": 1, "action": DO_NOTHING.action, "channel": None}


def first_item(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an answer of `/v1/decide` says to do first, doing nothing where it says nothing."""
    items: Sequence[Mapping[str, Any]] = answer.get("items") or [_NO_ITEM]
    return items[0]


@dataclass(slots=True)
class Score:
    """Totals of one run. Rewards are true expected money; doing nothing earns 0, holdout decisions are not compared."""

    decisions: int = 0
    contacts: int = 0
    accepted: int = 0
    holdout: int = 0
    errors: int = 0
    compared: int = 0
    chosen_sum: float = 0.0
    random_sum: float = 0.0
    best_sum: float = 0.0
    channels: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    #: Offers that were shown and that the simulated world knows nothing of, by arm: nobody answered them.
    unknown: Counter[str] = field(default_factory=Counter)
    #: Why the latest step that failed did.
    last_error: str = ""
    policy: str = ""
    bundle: str | None = None
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def failed(self, why: str) -> None:
        """Takes a step that failed."""
        self.errors += 1
        self.last_error = why

    def count(self, answer: Mapping[str, Any], accepted: bool) -> None:
        """Takes one answer of `/v1/decide`, and whether the customer accepted what it said."""
        item = first_item(answer)
        contact = item["action"] != DO_NOTHING.action
        self.decisions += 1
        self.contacts += contact
        self.accepted += accepted
        self.holdout += answer["reason"] == "holdout"
        self.channels[item["channel"] if contact else "(nothing)"] += 1
        self.actions[item["action"]] += 1
        if answer["fallback_reason"]:
            self.fallbacks[answer["fallback_reason"]] += 1
        if answer["reason"]:
            self.reasons[answer["reason"]] += 1
        self.policy, self.bundle = answer["versions"]["policy"], answer["versions"]["bundle"]

    def reward(self, chosen: float, allowed: Array) -> None:
        """Takes the true expected reward of the choice, and of every arm that was allowed (doing nothing is one).

        A decision that had no choice says nothing about choosing, and is not counted.
        """
        if len(allowed) < 2:
            return
        self.compared += 1
        self.chosen_sum += chosen
        self.random_sum += float(allowed.mean())
        self.best_sum += float(allowed.max())
        self.recent.append((chosen, float(allowed.mean())))

    def per_decision(self, total: float) -> float:
        """A sum of rewards, for each compared decision."""
        return total / max(1, self.compared)

    @property
    def recent_rewards(self) -> tuple[float, float]:
        """(chosen, random) for each of the latest compared decisions."""
        count = max(1, len(self.recent))
        return sum(c for c, _ in self.recent) / count, sum(r for _, r in self.recent) / count
