"""The learner: turns what was heard of decisions into rewards and statistics, and publishes snapshots of the policy.

What an item has come to is said by `features.rewards`; what it adds to the statistics, by `training.statistics`. An
item that comes to something else than before takes back what it added, exactly, and adds anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from features.catalogue import Catalogue
from features.clock import DAY
from features.ledger import LearnableItem, Ledger, RewardRow
from features.rewards import RewardRules, reward
from training.bandit import ArmStatistics, PolicySnapshot
from training.residual import Sums
from training.statistics import Answer, Statistics, add, contributions, day_of, rounded

#: Items of one transaction: one of 4,000 holds a SQLite ledger for about 30 ms.
BATCH = 4_000
#: What was learned on the fixed predictions that stand in where there is no model goes by this name.
NO_BUNDLE = ""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the learner judges and forgets; see `features.settings`. Days; 0 forgets never."""

    forgetting_days: float = 0.0
    late_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What some items teach: what became of each that changed, and what is to be added, by bundle."""

    rewards: list[RewardRow]
    changes: Mapping[str, Statistics] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """What one round did: the newest snapshot, how many items came to something else, and the log position."""

    snapshot: PolicySnapshot
    finished: int
    position: int


def learn(items: Iterable[LearnableItem], rules: RewardRules, now: int, late: int) -> Lesson:
    """What the items teach by `now`; `late` is microseconds. A pure function of its arguments."""
    rewards: list[RewardRow] = []
    answers: dict[str, list[Answer]] = {}
    for item in items:
        found = reward(item, rules.of(item), now, late)
        before = item.success_units
        if found == (item.reward_state, item.reward_units, before, item.due_at):
            continue
        rewards.append(RewardRow(item.decision_id, item.rank, *found, item.shown_at))
        if found.success == before:
            continue
        told = answers.setdefault(item.bundle or NO_BUNDLE, [])
        if before is not None:
            told.append(Answer(item, before, -1))
        if found.success is not None:
            told.append(Answer(item, found.success))
    return Lesson(rewards, {bundle: contributions(told) for bundle, told in answers.items()})


def latest_snapshot(ledger: Ledger) -> tuple[PolicySnapshot, int]:
    """(newest snapshot, its log position); nothing learned and 0 in a new ledger."""
    stored = ledger.policy_snapshot()
    return (PolicySnapshot(), 0) if stored is None else (PolicySnapshot.from_json(stored[2]), stored[1])


def learn_round(
    ledger: Ledger, catalogue: Catalogue, bundle: str | None, now: int, habits: Habits | None = None, batch: int = BATCH
) -> Learned:
    """Learns from every outcome logged since the last round and every item that is due; publishes a snapshot.

    Statistics, position and rewards are written in one transaction: a crash at any step loses or doubles nothing.
    Publishes nothing when there is nothing new.
    """
    habits = habits or Habits()
    notes = _Notes(ledger, bundle, now, habits)
    rules, late, finished = RewardRules(catalogue), round(habits.late_days * DAY), 0
    position = notes.position
    while True:
        heard_to, heard = ledger.learnable_after(position, batch)
        due = ledger.due(now, batch)
        items = {(i.decision_id, i.rank): i for i in (*heard, *due)}
        lesson = learn(items.values(), rules, now, late)
        done = heard_to == position and not lesson.rewards
        # A stretch of the log that teaches nothing (imported outcomes) is passed over, and noted once at its end.
        if lesson.rewards or (done and (notes.outdated or position > notes.position)):
            notes.publish(lesson, heard_to)
            finished += len(lesson.rewards)
        position = heard_to
        if done:
            return Learned(notes.snapshot, finished, position)


class _Notes:
    """What the ledger has of the learner's work, kept up to date with what is written in this round."""

    def __init__(self, ledger: Ledger, bundle: str | None, now: int, habits: Habits) -> None:
        self._ledger, self._bundle, self._now, self._habits = ledger, bundle, now, habits
        self._statistics: dict[str, Statistics] = {}
        #: `Statistics.raw` of this bundle as of today; adding to it costs a hundredth of weighing all days anew.
        self._raw: dict[str, Sums] | None = None
        self.snapshot, self.position = latest_snapshot(ledger)

    @property
    def outdated(self) -> bool:
        """Whether the newest snapshot is of another bundle, or weighs what was learned otherwise than today."""
        s, forgetting = self.snapshot, self._habits.forgetting_days
        aged = bool(forgetting) and s.day != day_of(self._now)
        return s.bundle != self._bundle or s.forgetting_days != forgetting or aged

    def publish(self, lesson: Lesson, position: int) -> None:
        """Adds a lesson and writes the next snapshot with everything that belongs to it, all or nothing."""
        bundle = self._bundle or NO_BUNDLE
        unread = {*lesson.changes, bundle}.difference(self._statistics)
        if unread:
            read = self._ledger.policy_statistics(sorted(unread))
            self._statistics |= {name: Statistics() + Statistics(sums) for name, sums in read.items()}
        after = {name: self._statistics[name] + more for name, more in lesson.changes.items()}
        known = {**self._statistics, **after}
        number, today, forgetting = self.snapshot.number + 1, day_of(self._now), self._habits.forgetting_days
        if self._raw is None:
            raw = known[bundle].raw(today, forgetting)
        else:
            more = lesson.changes.get(bundle, Statistics()).raw(today, forgetting)
            raw = self._raw | {arm: add(self._raw.get(arm, ()), sums) for arm, sums in more.items()}
        arms = {arm: ArmStatistics.of(sums) for arm, sums in rounded(raw).items()}
        snapshot = PolicySnapshot(number, self._bundle, arms, today, forgetting)
        changed = {b: {key: after[b].sums.get(key, ()) for key in more.sums} for b, more in lesson.changes.items()}
        self._ledger.save_learning(
            number,
            position=position,
            state=snapshot.to_json(),
            now=self._now,
            rewards=lesson.rewards,
            statistics=changed,
        )
        self._statistics, self._raw, self.snapshot, self.position = known, raw, snapshot, position
