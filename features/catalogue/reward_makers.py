"""From the `reward` entries of an action to values."""

from __future__ import annotations

from typing import Any

from features.catalogue.entry import Entry
from features.catalogue.values import REWARD_RULES, Reward
from features.domain import OutcomeKind
from features.figures import number

#: No attribution needs a longer window: a century.
MAX_WINDOW_DAYS = 36_500.0
#: Outcomes that can earn something: a contact that failed was none.
EARNING = tuple(str(kind) for kind in OutcomeKind if kind != OutcomeKind.FAILED)


def reward_keys(entry: Entry) -> dict[str, Any]:
    """What an action says of its rewards: `reward`, `reward_rule` and `default_reward`, by the names of its fields."""
    rewards = tuple(_reward(one, entry) for one in entry.items("reward", dict))
    if len({(one.outcome, one.channel) for one in rewards}) != len(rewards):
        entry.wrong("reward", "two rewards for one outcome on one channel")
    return {
        "rewards": rewards,
        "reward_rule": entry.choice("reward_rule", REWARD_RULES, "earliest"),
        "default_reward": entry.number("default_reward", 0.0),
    }


def window_days(entry: Entry, default: float) -> float:
    """A window above 0 and not endless."""
    days = entry.number("window_days", default, at_least=1e-6)
    if days > MAX_WINDOW_DAYS:
        entry.wrong("window_days", f"must be at most {number(MAX_WINDOW_DAYS)}, not {number(days)}")
        return default
    return days


def _reward(values: dict[str, Any], action: Entry) -> Reward:
    """`{ outcome = "clicked", value = 0.1, window_days = 1, channel = "email" }`; only the outcome is needed."""
    entry = action.inner(values, "reward", near=str(values.get("outcome", "")))
    days, value = window_days(entry, 1.0), entry.number("value", 0.0)
    reward = Reward(
        entry.choice("outcome", EARNING, None),
        value if "value" in values else None,
        days if "window_days" in values else None,
        entry.take("channel", str, "") or None,
    )
    entry.finish()
    return reward
