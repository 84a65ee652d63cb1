"""What a simulated world did before today: visits, past decisions made at random, and how customers answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from experiments.population import customers, join_days
from experiments.simulator import World, response_probabilities, true_values
from experiments.visits import visits
from features.catalogue import Channel
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.ledger import Ledger

T = TypeVar("T")
Progress = Callable[[float], None]

#: Past decisions a customer, one every so many days on average.
_DAYS_BETWEEN_DECISIONS = 8.0
#: Chance that a customer who does not accept says no, on a channel that tells so.
REJECTED_SHARE = 0.25
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened in the days before `now`, each list in order of time."""

    customers: list[Customer]
    events: list[Event]
    decisions: list[Decision]
    outcomes: list[Outcome]


def history(world: World, days: int = 120, *, now: int, recent: int = 0) -> History:
    """The world's past: `days` days of events, and decisions drawn uniformly among the arms a customer allows.

    No decisions of the `recent` days: those are somebody else's.
    """
    rng = np.random.default_rng([world.seed, days])
    if not world.size:
        return History([], [], [], [])
    known = customers(world, now)
    decisions, outcomes, bought = _decisions(world, known, (days, recent), now, rng)
    events = sorted([*visits(world, days, now, rng), *bought], key=lambda e: (e.occurred_at, e.event_id))
    return History(known, events, decisions, outcomes)


def write_history(
    world: World,
    ledger: Ledger,
    now: int,
    progress: Progress = lambda _share: None,
    days: int = 120,
    recent: int = 0,
) -> History:
    """Makes the history and appends it to `ledger`, in batches; `progress` hears the share done, 0 to 1.

    Everything is keyed by id: writing the same history twice changes nothing.
    """
    past = history(world, days, now=now, recent=recent)
    total = len(past.customers) + len(past.events) + len(past.decisions) + len(past.outcomes)
    done = 0
    classes = {action.id: str(action.action_class) for action in world.catalogue.actions.values()}
    steps: list[tuple[Sequence[Any], Callable[[list[Any]], Any]]] = [
        (past.customers, ledger.put_customers),
        (past.events, ledger.append_events),
        (past.decisions, lambda rows: ledger.import_decisions(rows, classes)),
        (past.outcomes, lambda rows: ledger.append_outcomes(rows, now)),
    ]
    for rows, append in steps:
        for batch in _batches(rows):
            append(batch)
            done += len(batch)
            progress(done / max(1, total))
    return past


def answer_kind(channel: Channel, accepted: bool, success: str, u: float) -> str | None:
    """The kind of outcome a channel reports: success, rejected or ignored; None where it keeps silent.

    `u` is a number in [0, 1) that chooses between a no and a shrug.
    """
    if accepted:
        return success
    if channel.reports != "responses":
        return None
    return "rejected" if u < REJECTED_SHARE else "ignored"


def _batches(rows: Sequence[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


# -- decisions --------------------------------------------------------------------------------------------------------


def allowed_arms(world: World, customer: Customer) -> list[Arm]:
    """What a random logging policy may draw: arms on channels that answer a visit or are consented, and DO_NOTHING."""
    channels = world.catalogue.channels
    arms = [a for a in world.arms if not channels[a.channel].outbound or customer.consents.get(a.channel) == "granted"]
    return [*arms, DO_NOTHING]


def _decisions(
    world: World, known: list[Customer], span: tuple[int, int], now: int, rng: np.random.Generator
) -> tuple[list[Decision], list[Outcome], list[Event]]:
    (days, recent), ids, arms = span, world.customer_ids, [*world.arms, DO_NOTHING]
    chance = response_probabilities(world, ids, arms, None)
    worth = {action: true_values(world, ids, action) for action in world.catalogue.actions}
    column = {arm: k for k, arm in enumerate(arms)}
    since = np.minimum(join_days(world, ids), float(days))
    counts = rng.poisson(np.maximum(0.0, since - 1.0) / _DAYS_BETWEEN_DECISIONS)
    decisions, outcomes, bought = [], [], []
    for n, customer in enumerate(known):
        allowed = allowed_arms(world, customer)
        moments = now - (rng.uniform(0.25, max(0.26, since[n]), counts[n]) * DAY).astype(np.int64)
        for k, (drawn, u, u_kind) in enumerate(rng.random((counts[n], 3)).tolist()):
            if moments[k] > now - recent * DAY:
                continue
            arm = allowed[int(drawn * len(allowed))]
            value = 0.0 if arm == DO_NOTHING else float(worth[arm.action][n])
            decision = _decision(world, f"{n}-{k}", customer, arm, len(allowed), int(moments[k]), value)
            answer = answered(world, decision, u < chance[n, column[arm]], u_kind, value, now)
            decisions.append(decision)
            outcomes += answer[0]
            bought += answer[1]
    decisions.sort(key=lambda d: (d.decided_at, d.decision_id))
    outcomes.sort(key=lambda o: (o.occurred_at, o.outcome_id))
    return decisions, outcomes, bought


def _decision(world: World, name: str, customer: Customer, arm: Arm, among: int, moment: int, value: float) -> Decision:
    nothing = arm == DO_NOTHING
    action = None if nothing else world.catalogue.actions[arm.action]
    content = None if nothing else world.catalogue.treatment(arm).content
    window = int((action.window_days if action else 7.0) * DAY)
    item = Item(
        1, arm, action.group if action else "none", 1.0 / among, None, None, value, 0.0, 0.0, content,
        expires_at=moment + DAY, closes_at=moment + window,
    )  # fmt: skip
    versions = Versions(None, "uniform", world.catalogue.version)
    result = "do_nothing" if nothing else "action"
    return Decision(
        f"sim-d-{name}", f"sim-r-{name}", customer.customer_id, moment, (item,), result, None, None, versions
    )


def answered(
    world: World, decision: Decision, accepted: bool, u: float, value: float, now: int
) -> tuple[list[Outcome], list[Event]]:
    """The outcome the channel reports, and the purchase that goes with an acceptance; neither after `now`.

    `u` is a number in [0, 1): what is said, and how long it takes.
    """
    arm = decision.arm
    if arm == DO_NOTHING:
        return [], []
    action = world.catalogue.actions[arm.action]
    kind = answer_kind(world.catalogue.channels[arm.channel], accepted, str(action.outcome), u)
    # Most answer within hours, some on the last day of the window.
    waited = min(action.window_days * DAY * 0.95, HOUR * (0.05 + 24 * -math.log(1.0 - u)))
    at = decision.decided_at + int(waited)
    if kind is None or at > now:
        return [], []
    name, money = decision.decision_id.removeprefix("sim-d-"), round(max(0.01, value), 2)
    outcome = Outcome(
        f"sim-o-{name}",
        decision.decision_id,
        decision.customer_id,
        arm.action,
        kind,
        at,
        1,
        money if accepted else None,
    )
    if not accepted:
        return [outcome], []
    purchase = Event(f"sim-e-accepted-{name}", decision.customer_id, "purchase", at, "simulator", arm.channel, money)
    return [outcome], [purchase]
