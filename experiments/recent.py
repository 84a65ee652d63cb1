"""The latest weeks of a simulated past: decided by the engine itself, recorded, answered, and learned from.

So a new home has decisions with their probabilities whose windows have closed, for whoever wants to train, compare,
value or review at once. They are drawn uniformly among what rules, consents and limits allow, and customers of the
holdout get nothing. Everything is as it was then: features as of each week, answers told when they had come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from experiments.history import Progress, answered
from experiments.population import join_days
from experiments.simulator import World, response_probabilities, true_values
from features.aggregates import open_history
from features.catalogue import read_sources
from features.clock import DAY, HOUR, MINUTE
from features.contract import FeatureContract, build_contract
from features.domain import DO_NOTHING, Decision, Event, Outcome
from features.errors import CatalogueError
from features.ledger import Ledger
from features.online import MemoryFeatureStore
from features.settings import Settings
from serving.assignment import holdout_layer
from serving.batch import Batch, BatchRequest
from serving.breaker import GuardedStore
from serving.expressions import compile_catalogue
from serving.strategy import Strategy
from training.bandit import PolicySnapshot
from training.explorer import Explorer
from training.learner import Habits, learn_round
from training.policies import Uniform

#: Weeks decided so; the last is less than a window ago, five of seven are closed with the shipped catalogue.
WEEKS = 7
DAYS = 7 * WEEKS
#: When in its week each round is made, in days after the week began.
_ROUND = 3.0
#: Shares of customers written to, and met on a visit, each week.
_WRITTEN_TO, _MET = 0.35, 0.35
#: What has happened is told so long before the next round.
_TOLD_BEFORE = MINUTE


@dataclass(slots=True)
class _Pending:
    """What customers did and have not told yet."""

    outcomes: list[Outcome]
    events: list[Event]

    def told_by(self, moment: int) -> _Pending:
        """What happened by then, taken off."""
        found = _Pending(
            [o for o in self.outcomes if o.occurred_at <= moment], [e for e in self.events if e.occurred_at <= moment]
        )
        self.outcomes = [o for o in self.outcomes if o.occurred_at > moment]
        self.events = [e for e in self.events if e.occurred_at > moment]
        return found


def decide_recent(world: World, settings: Settings, ledger: Ledger, now: int, progress: Progress) -> int:
    """Decides the weeks before `now` and lets customers answer; gives the number of decisions.

    Taken up again after it was interrupted, it goes on where it was. Raises CatalogueError for a catalogue by which
    nothing can be decided.
    """
    strategy, contract = _strategy(world, settings, ledger)
    pending, made = _Pending([], []), 0
    for week in range(WEEKS):
        moment = now - DAYS * DAY + week * 7 * DAY + int(_ROUND * DAY)
        _tell(ledger, pending.told_by(moment - _TOLD_BEFORE), moment - _TOLD_BEFORE)
        for decisions in _round(world, settings, ledger, strategy, contract, week, moment):
            ledger.mark_all_shown([(d.decision_id, 1, d.decided_at) for d in decisions if d.arm != DO_NOTHING])
            _answer(world, decisions, now, pending)
            made += len(decisions)
        progress((week + 1) / (WEEKS + 1))
    _tell(ledger, pending.told_by(now), now)
    ledger.release_expired(now)
    learn_round(ledger, world.catalogue, None, now, Habits(settings.forgetting_days, settings.late_days))
    progress(1.0)
    return made


def _strategy(world: World, settings: Settings, ledger: Ledger) -> tuple[Strategy, FeatureContract]:
    """A draw among what is allowed, of a catalogue that is kept for whoever replays."""
    with open_history(ledger.url) as history:
        contract = build_contract(world.catalogue, history.attributes())
    compiled, faults = compile_catalogue(world.catalogue, contract.names)
    if faults:
        raise CatalogueError("; ".join(str(fault) for fault in faults))
    files = {name: content.decode("utf-8-sig") for name, content in read_sources(settings.catalogue_folder).items()}
    ledger.keep_catalogue(world.catalogue.version, files)
    return Strategy(compiled, None, PolicySnapshot(), Explorer(Uniform())), contract


def _round(
    world: World,
    settings: Settings,
    ledger: Ledger,
    strategy: Strategy,
    contract: FeatureContract,
    week: int,
    moment: int,
) -> Iterator[list[Decision]]:
    """The decisions of a week: some customers are written to, others come by."""
    known = [c for c, days in zip(world.customer_ids, join_days(world, world.customer_ids), strict=True)
             if days * DAY > DAYS * DAY - week * 7 * DAY]  # fmt: skip
    store = MemoryFeatureStore(contract)
    with open_history(ledger.url) as history:
        store.push(history.latest(contract, moment, known))
    guarded = GuardedStore(store, settings.deadline_seconds)
    batch = Batch(settings, ledger, strategy, guarded, [holdout_layer(settings.holdout_share)])
    draws = world.uniforms(f"week {week}", known, 1)[:, 0] if known else np.empty(0)
    channels = world.catalogue.channels.values()
    asked = (
        ("written", draws < _WRITTEN_TO, tuple(c.id for c in channels if c.outbound)),
        ("met", (draws >= _WRITTEN_TO) & (draws < _WRITTEN_TO + _MET), tuple(c.id for c in channels if not c.outbound)),
    )
    clock = _clock(moment)
    for how, where, reached in asked:
        if reached:
            ids = [known[n] for n in np.flatnonzero(where).tolist()]
            yield from batch.decide(BatchRequest(f"past-{week}-{how}", reached), ids, clock)


def _clock(moment: int) -> Callable[[], int]:
    """Blocks of customers are decided an hour apart, within the days until the week is over."""
    blocks = count()
    return lambda: moment + min(next(blocks) * HOUR, int(_ROUND * DAY))


def _answer(world: World, decisions: Sequence[Decision], now: int, pending: _Pending) -> None:
    """What customers do after these decisions, as their world has it, whenever that is."""
    contacts = [d for d in decisions if d.arm != DO_NOTHING]
    if not contacts:
        return
    arms = sorted({d.arm for d in contacts})
    ids = [d.customer_id for d in contacts]
    chance = response_probabilities(world, ids, arms, None)
    draws = world.uniforms("past answer", [d.decision_id for d in contacts], 2)
    worth = {action: true_values(world, ids, action) for action in {arm.action for arm in arms}}
    for n, decision in enumerate(contacts):
        accepted = bool(draws[n, 0] < chance[n, arms.index(decision.arm)])
        value = float(worth[decision.arm.action][n])
        outcomes, events = answered(world, decision, accepted, float(draws[n, 1]), value, now)
        pending.outcomes += outcomes
        pending.events += events


def _tell(ledger: Ledger, told: _Pending, moment: int) -> None:
    ledger.append_events(told.events)
    ledger.append_outcomes(sorted(told.outcomes, key=lambda o: (o.occurred_at, o.outcome_id)), moment)
