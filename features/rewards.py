"""Rewards: what the outcomes of one decided item come to, and how certain that is. Pure functions, in any order.

A window starts when the item was displayed, where that was reported (`/v1/shown` or an outcome `seen`, the earliest
of them, at the latest the channel's `display_days` after the decision), else with the decision. Outcomes count from
the decision to the end of their window, both included.

An item is in one of three states:

- open: a window is open, nothing that counts was heard, and the success window has not closed. An open window is not
  a zero.
- provisional: something counts, and more may change it: a window is still open; or all closed in silence, but reports
  may come late (`late_days`). A late one replaces the zero that was counted, exactly.
- final: all windows closed, and the customer answered or `late_days` have passed. Nobody waits for more; what is told
  even later still counts, for as long as the ledger keeps the item.

*Success* is what the policy learns: did the action's outcome (or a conversion) come inside its window? It is learned
as soon as any response comes on a channel that reports `responses`, and when the success window closes on one that
reports `acceptances`: counting successes early and silences late would flatter every young arm. It is not learned from
what nobody saw: a contact that failed, or one never displayed on a channel that `reports_display`; a response is
proof of a display. *Reward* is money, for evaluation and reports: by the action's rule the earliest outcome that earns
counts, or all add up; silence earns the default when all windows closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from features.catalogue import Action, Catalogue, Channel
from features.clock import DAY
from features.domain import DO_NOTHING, Arm, OutcomeKind
from features.ledger import DecidedItem, LearnableItem

#: Fixed point of rewards and statistics: whole millionths, so that addition is exact in any order.
UNIT = 1_000_000
#: Outcomes that say no.
_REFUSING = (OutcomeKind.REJECTED, OutcomeKind.IGNORED, OutcomeKind.OPTED_OUT, OutcomeKind.COMPLAINED)
REFUSALS = frozenset(map(str, _REFUSING))
_SEEN, _FAILED = str(OutcomeKind.SEEN), str(OutcomeKind.FAILED)
#: No reward exceeds this, in millionths of money: sums stay within 8 bytes.
MOST = 10**18


class Reward(NamedTuple):
    """`state` is open, provisional or final; `units` money in millionths; `success` what is to be learned, in
    millionths, None for nothing (yet); `due_at` when time alone changes any of it, None for never."""

    state: str
    units: int
    success: int | None
    due_at: int | None


NOTHING = Reward("final", 0, None, None)


@dataclass(frozen=True, slots=True)
class RewardRule:
    """How the outcomes of one arm are counted. Windows and `display_within` are microseconds.

    `worth` maps an outcome to what it earns, money (None: what it reports, or else the value at the decision), and its
    window. `reports_responses` and `reports_display` are the channel's.
    """

    successes: frozenset[str]
    success_window: int
    worth: Mapping[str, tuple[float | None, int]]
    longest_window: int
    add_up: bool
    default_units: int
    reports_responses: bool
    reports_display: bool
    display_within: int


def reward_rule(arm: Arm, action: Action, channel: Channel) -> RewardRule:
    """The rule of an arm; the catalogue's entry for its channel goes before the one for all."""
    own = {r.outcome: r for r in action.rewards if r.channel is None}
    own |= {r.outcome: r for r in action.rewards if r.channel == arm.channel}
    usual = round(action.window_days * DAY)
    successes = frozenset({str(action.outcome), str(OutcomeKind.CONVERTED)})
    worth: dict[str, tuple[float | None, int]] = dict.fromkeys(successes, (None, usual))
    worth |= {
        str(kind): (r.value, usual if r.window_days is None else round(r.window_days * DAY)) for kind, r in own.items()
    }
    return RewardRule(
        successes,
        worth[str(action.outcome)][1],
        worth,
        max(window for _, window in worth.values()),
        action.reward_rule == "sum",
        _units(action.default_reward),
        channel.reports == "responses",
        channel.reports_display,
        round(channel.display_days * DAY),
    )


class RewardRules:
    """The rules of a catalogue, each made once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._made: dict[Arm, RewardRule] = {}

    def of(self, item: LearnableItem | DecidedItem) -> RewardRule:
        """The rule of an item's arm; an action the catalogue no longer has keeps the window of its decision."""
        found = self._made.get(item.arm)
        return self._make(item) if found is None else found

    def _make(self, item: LearnableItem | DecidedItem) -> RewardRule:
        arm = item.arm
        channel = self._catalogue.channels.get(arm.channel, Channel(arm.channel))
        action = self._catalogue.actions.get(arm.action)
        if action is None:
            lasted = (item.closes_at - item.decided_at) / DAY
            return reward_rule(arm, Action(arm.action, "", window_days=lasted), channel)
        self._made[arm] = rule = reward_rule(arm, action, channel)
        return rule


def longest_window(catalogue: Catalogue) -> int:
    """Microseconds after a decision until none of its arms can earn any more, a late display where those are reported
    included; 0 for a catalogue without arms."""
    found = [
        (rule.longest_window, rule.display_within if rule.reports_display else 0)
        for arm in catalogue.arms()
        for rule in [reward_rule(arm, catalogue.actions[arm.action], catalogue.channels[arm.channel])]
    ]
    return max((sum(parts) for parts in found), default=0)


def last_moment(item: DecidedItem, rule: RewardRule) -> int:
    """The last at which an outcome can count for an item, however late it was displayed."""
    return item.decided_at + rule.display_within + rule.longest_window


def window_starts(item: LearnableItem, rule: RewardRule) -> int:
    """When the windows of an item start."""
    displayed_at = item.shown_at
    for outcome in item.outcomes:  # in the order they happened
        if outcome.kind == _SEEN:
            displayed_at = outcome.occurred_at if displayed_at is None else min(displayed_at, outcome.occurred_at)
            break
    if displayed_at is None:
        return item.decided_at
    return min(max(displayed_at, item.decided_at), item.decided_at + rule.display_within)


def reward(item: LearnableItem, rule: RewardRule, now: int, late: int) -> Reward:
    """What an item has come to by `now`, out of everything heard of it; `late` is microseconds."""
    if item.arm == DO_NOTHING:
        return NOTHING
    starts = window_starts(item, rule)
    success_by, closes_at = starts + rule.success_window, starts + rule.longest_window
    succeeded = answered = False
    earned = None
    if item.outcomes:  # most have none
        succeeded, answered = _response(item, rule, success_by)
        earned = _earned(item, rule, starts)
    heard = answered or earned is not None
    counts = now >= success_by or (answered and rule.reports_responses)
    learned = counts and item.p_model is not None and _was_seen(item, rule)
    success = (UNIT if succeeded else 0) if learned else None
    if now < closes_at:
        due_at = success_by if now < success_by else closes_at
        return Reward("provisional" if heard or counts else "open", earned or 0, success, due_at)
    units = rule.default_units if earned is None else earned
    if heard or now >= closes_at + late:
        return Reward("final", units, success, None)
    return Reward("provisional", units, success, closes_at + late)


def _response(item: LearnableItem, rule: RewardRule, success_by: int) -> tuple[bool, bool]:
    """(success, any answer) inside the success window."""
    succeeded = refused = False
    for outcome in item.outcomes:
        if outcome.occurred_at <= success_by:
            succeeded = succeeded or outcome.kind in rule.successes
            refused = refused or outcome.kind in REFUSALS
    return succeeded, succeeded or refused


def _earned(item: LearnableItem, rule: RewardRule, starts: int) -> int | None:
    """Millionths of money, None where no outcome earns any. Outcomes come in the order they happened."""
    total = None
    for outcome in item.outcomes:
        value, window = rule.worth.get(outcome.kind, (None, -1))
        if window < 0 or outcome.occurred_at > starts + window:
            continue
        if value is None:
            value = item.action_value if outcome.value is None else outcome.value
        total = (total or 0) + _units(value)
        if not rule.add_up:
            break
    return None if total is None else max(-MOST, min(MOST, total))


def _was_seen(item: LearnableItem, rule: RewardRule) -> bool:
    """Whether anybody can have seen it. That a contact was made outweighs that it failed."""
    if item.shown_at is not None:
        return True
    failed = False
    for outcome in item.outcomes:
        if outcome.kind != _FAILED:
            return True
        failed = True
    return not failed and not rule.reports_display


def _units(money: float) -> int:
    return round(max(-1e12, min(1e12, money)) * UNIT)
