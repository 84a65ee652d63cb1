"""What outcomes earn, as product teams write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.catalogue import (
    Action,
    Channel,
    Group,
    Reward,
    Treatment,
    load_catalogue,
    read_catalogue,
    write_catalogue,
)

HEAD = """
[[channel]]
id = "web"
outbound = false
reports = "responses"
reports_display = true
display_days = 0.5
[[channel]]
id = "email"
[[group]]
id = "g"
[[action]]
id = "a"
group = "g"
treatment = [{ channel = "web" }, { channel = "email" }]
"""


def write(folder: Path, rest: str) -> Path:
    (folder / "c.toml").write_text(HEAD + rest)
    return folder


def test_windows_and_values_differ_by_outcome_and_channel(tmp_path: Path) -> None:
    rewards = """
reward_rule = "sum"
default_reward = -0.01
reward = [
  { outcome = "clicked", value = 0.1, window_days = 1 },
  { outcome = "clicked", value = 0, channel = "email" },
  { outcome = "converted", window_days = 30 },
]
"""
    catalogue = load_catalogue(write(tmp_path, rewards))
    action = catalogue.actions["a"]
    assert action.rewards == (
        Reward("clicked", 0.1, 1.0),
        Reward("clicked", 0.0, None, "email"),
        Reward("converted", None, 30.0),
    )
    assert (action.reward_rule, action.default_reward) == ("sum", -0.01)
    assert [(c.reports_display, c.display_days) for c in catalogue.channels.values()] == [(True, 0.5), (False, 3.0)]


def test_the_short_form_still_says_it_all(tmp_path: Path) -> None:
    action = load_catalogue(write(tmp_path, "")).actions["a"]
    assert (action.rewards, action.reward_rule, action.default_reward) == ((), "earliest", 0.0)


@pytest.mark.parametrize(
    ("rest", "key", "words"),
    [
        ("reward = [{ value = 1 }]", "action.reward.outcome", "is needed"),
        ('reward = [{ outcome = "bought" }]', "action.reward.outcome", "must be one of"),
        ('reward = [{ outcome = "failed" }]', "action.reward.outcome", "must be one of"),
        ('reward = [{ outcome = "seen", window_days = 0 }]', "action.reward.window_days", "at least"),
        ('reward = [{ outcome = "seen", window_days = 40000 }]', "action.reward.window_days", "at most"),
        ('reward = [{ outcome = "seen", value = "much" }]', "action.reward.value", "must be a number"),
        ('reward = [{ outcome = "seen", price = 1 }]', "action.reward.price", "unknown key"),
        ('reward = [{ outcome = "seen", channel = "sms" }]', "action.reward.channel", "no arm 'a@sms'"),
        ('reward = [{ outcome = "seen" }, { outcome = "seen" }]', "action.reward", "two rewards"),
        ('reward_rule = "latest"', "action.reward_rule", "must be one of earliest, sum"),
        ('default_reward = "none"', "action.default_reward", "must be a number"),
    ],
)
def test_a_fault_is_named_with_its_key(tmp_path: Path, rest: str, key: str, words: str) -> None:
    _, faults = read_catalogue(write(tmp_path, rest))
    assert [(fault.key, words in fault.message) for fault in faults] == [(key, True)]
    assert faults[0].line == len(HEAD.splitlines()) + 1 or key == "action.reward.channel"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    web = Channel("web", False, 0.0, "responses", True, 0.5)
    action = Action(
        "a", "g", treatments=(Treatment("web"),), rewards=(Reward("clicked", 0.0, 1.0, "web"), Reward("converted")),
        reward_rule="sum", default_reward=0.25,
    )  # fmt: skip
    write_catalogue(tmp_path, "c.toml", [web], [Group("g")], [action])
    again = load_catalogue(tmp_path)
    assert again.channels["web"] == web
    assert again.actions["a"].rewards == action.rewards
    assert (again.actions["a"].reward_rule, again.actions["a"].default_reward) == ("sum", 0.25)
