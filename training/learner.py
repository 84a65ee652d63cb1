"""The learner: joins outcomes to decisions inside their attribution window and updates the policy, exactly once each.

A decision counts when it is final. On a channel that reports every response, that is when the response comes; on one
that reports acceptances only, when the window closes, for good and bad alike: counting successes early and silences
late would flatter every young arm. A late success reverses the zero that was learned, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from features.catalogue import Catalogue
from features.domain import DO_NOTHING, OutcomeKind
from features.ledger import LearnableItem, Ledger
from training.bandit import UNIT, ArmStatistics, PolicySnapshot

#: Outcomes that say no.
REFUSALS = frozenset({OutcomeKind.REJECTED, OutcomeKind.IGNORED, OutcomeKind.OPTED_OUT, OutcomeKind.COMPLAINED})
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Learned:
    """What one round did: the newest snapshot, how many items became final or were repaired, and the log position."""

    snapshot: PolicySnapshot
    finished: int
    position: int


def reward(item: LearnableItem, catalogue: Catalogue, now: int) -> tuple[str, int]:
    """(open | final, reward in millionths) of an item from all outcomes heard so far, in whatever order they came."""
    action = catalogue.actions.get(item.arm.action)
    channel = catalogue.channels.get(item.arm.channel)
    success = action.outcome if action else OutcomeKind.ACCEPTED
    inside = [o for o in item.outcomes if o.occurred_at <= item.closes_at]
    accepted = any(o.kind in (success, OutcomeKind.CONVERTED) for o in inside)
    answered = channel is not None and channel.reports == "responses"
    refused = any(o.kind in REFUSALS for o in inside)
    if now >= item.closes_at or item.reward_state == "final" or (answered and (accepted or refused)):
        return "final", UNIT if accepted else 0
    return "open", 0


def contribution(item: LearnableItem, state: str, units: int) -> ArmStatistics:
    """What an item adds to its arm's statistics once it is final."""
    if state != "final" or item.p_model is None or item.arm == DO_NOTHING:
        return ArmStatistics()
    return ArmStatistics(1, units, round(item.p_model * UNIT))


def learn(
    snapshot: PolicySnapshot, items: Iterable[LearnableItem], catalogue: Catalogue, now: int
) -> tuple[PolicySnapshot, list[tuple[str, int, str, int]]]:
    """(next snapshot, changed rewards as (decision, rank, state, units)): a pure function of its arguments."""
    changes: dict[str, ArmStatistics] = {}
    rewards = []
    for item in items:
        state, units = reward(item, catalogue, now)
        if (state, units) == (item.reward_state, item.reward_units):
            continue
        rewards.append((item.decision_id, item.rank, state, units))
        if item.bundle != snapshot.bundle:
            continue  # a correction of another bundle's predictions
        before = contribution(item, item.reward_state, item.reward_units)
        difference = contribution(item, state, units) + -before
        changes[item.arm.key] = changes.get(item.arm.key, ArmStatistics()) + difference
    return snapshot.learned(changes), rewards


def latest_snapshot(ledger: Ledger) -> tuple[PolicySnapshot, int]:
    """(newest snapshot, its log position); nothing learned and 0 in a new ledger."""
    stored = ledger.policy_snapshot()
    return (PolicySnapshot(), 0) if stored is None else (PolicySnapshot.from_json(stored[2]), stored[1])


def learn_round(ledger: Ledger, catalogue: Catalogue, bundle: str | None, now: int) -> Learned:
    """Learns from every outcome logged since the last round and every window that closed; publishes a snapshot.

    Statistics, position and the items' states are written in one transaction: a crash at any step loses or doubles
    nothing. Publishes nothing when there is nothing new.
    """
    snapshot, saved = latest_snapshot(ledger)
    fresh = snapshot.bundle != bundle
    if fresh:
        snapshot = PolicySnapshot(snapshot.number, bundle)
    finished, position = 0, saved
    while True:
        heard_to, heard = ledger.learnable_after(position, BATCH)
        closed = ledger.matured(now, BATCH)
        items = {(i.decision_id, i.rank): i for i in (*heard, *closed)}
        done = heard_to == position and not items
        following, rewards = learn(snapshot, items.values(), catalogue, now)
        # A stretch of the log that teaches nothing (imported outcomes) is passed over, and noted once at its end.
        if rewards or fresh or (done and position > saved):
            ledger.save_learning(
                following.number, position=heard_to, state=following.to_json(), now=now, rewards=rewards
            )
            snapshot, saved, fresh = following, heard_to, False
            finished += len(rewards)
        position = heard_to
        if done:
            return Learned(snapshot, finished, position)
