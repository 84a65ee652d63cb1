"""One decision, as a pure function of values: nothing here reads, writes, or asks the time.

assignment -> funnel (on offer, consent, eligibility, contact policy) -> scoring -> arbitration -> exploration -> draw.
Filter first, draw last; nothing re-ranks afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Apprenticeship, Candidates, Decision, Item, Removal, Scalar, Versions
from features.rewards import reward_rule
from serving.apprentice import follow
from serving.assignment import Layer
from serving.exploration import Draw, Survivors, draw_slate
from serving.expressions import Scope
from serving.funnel import Funnel, defer_until, funnel
from serving.request import Inputs, Knowledge, Request
from serving.scoring import SCORED, Scores, score
from serving.strategy import Strategy

#: Columns of a record that are often one number for all arms.
SAME_FOR_MANY = frozenset({"context_weight", "lever", "contact_cost"})
#: How long an answer may be carried out: a message within a day, a visit within the hour.
OUTBOUND_EXPIRY = DAY
VISIT_EXPIRY = HOUR


def _no_rows() -> np.ndarray:
    return np.empty(0, dtype=np.intp)


def decide(
    request: Request,
    knowledge: Knowledge,
    strategy: Strategy,
    *,
    decision_id: str,
    now: int,
    layers: Sequence[Layer],
    salt: str,
    attempt: int = 1,
    scores: Mapping[str, float] | None = None,
) -> Decision:
    """The decision on this request. The same arguments give the same decision, to the last bit.

    `scores` are the customer's, where they are known already (`Strategy.scores`).
    """
    considered = consider(request, knowledge, strategy, now=now, layers=layers, salt=salt, scores=scores)
    p_model = strategy.p_model(knowledge.features, considered.asked)
    return conclude(considered, p_model, strategy, decision_id=decision_id, attempt=attempt)


@dataclass(frozen=True, slots=True)
class Considered:
    """A decision up to where the model is asked. With a `reason` there is nothing to choose from."""

    request: Request
    knowledge: Knowledge
    now: int
    inputs: Inputs
    variants: Mapping[str, str]
    reason: str | None
    scope: Scope | None = None
    #: For each arm of the strategy why it is out, and (n,) the rows of those that are not.
    found: Funnel | None = None
    rows: np.ndarray = field(default_factory=_no_rows)
    #: (k,) the rows the model is asked about: those without DO_NOTHING.
    asked: np.ndarray = field(default_factory=_no_rows)


def consider(
    request: Request,
    knowledge: Knowledge,
    strategy: Strategy,
    *,
    now: int,
    layers: Sequence[Layer],
    salt: str,
    scores: Mapping[str, float] | None = None,
) -> Considered:
    """Assignment and the funnel. `scores` are the customer's, where they are known already (`Strategy.scores`)."""
    variants = {layer.name: layer.assign(salt, request.customer_id) for layer in layers}
    reason = _reason(knowledge, strategy, variants)
    inputs = Inputs.of(request, knowledge, layers, salt)
    if reason is not None or knowledge.customer is None:
        return Considered(request, knowledge, now, inputs, variants, reason)
    scope = _scope(request, knowledge, strategy, scores)
    found = funnel(strategy, request, knowledge, scope, now)
    rows = np.array([row for row, removal in enumerate(found.removals) if removal is None])
    asked = rows[rows != strategy.nothing]
    return Considered(request, knowledge, now, inputs, variants, None, scope, found, rows, asked)


def conclude(
    considered: Considered, p_model: np.ndarray, strategy: Strategy, *, decision_id: str, attempt: int = 1
) -> Decision:
    """Scoring, exploration and draw. `p_model`, shape (k,), is the model's answer on the rows `considered.asked`."""
    request, knowledge, now, reason = considered.request, considered.knowledge, considered.now, considered.reason
    fallback = knowledge.fallback_reason
    candidates: Candidates | None = None
    items: tuple[Item, ...] = (_nothing(1.0, now),)
    held_until, apprentice = None, None
    if considered.scope is not None and considered.found is not None:
        key = (decision_id, strategy.policy_version, attempt)
        candidates, items, apprentice, reason = _choose(considered, considered.found, p_model, strategy, key)
        fallback = fallback or strategy.fallback_reason
        if len(considered.rows) == 1:
            reason = _nothing_left(request.channels, strategy)
            held_until = defer_until(considered.found, strategy, request, knowledge)
    return Decision(
        decision_id=decision_id,
        request_id=request.request_id,
        customer_id=request.customer_id,
        decided_at=now,
        items=items,
        result="do_nothing" if items[0].arm == DO_NOTHING else "action",
        reason=reason,
        fallback_reason=fallback,
        versions=Versions(strategy.bundle_id, strategy.policy_version, strategy.catalogue.version),
        candidates=candidates,
        variants=considered.variants,
        features=knowledge.features,
        context=request.context,
        channels=request.channels,
        placement=request.placement,
        intent=request.intent,
        attempt=attempt,
        defer_until=held_until,
        apprentice=apprentice,
        inputs=considered.inputs,
    )


def _reason(knowledge: Knowledge, strategy: Strategy, variants: Mapping[str, str]) -> str | None:
    """Why there is nothing to choose from, where that is so before looking at any action."""
    if knowledge.out_of_time:
        return "deadline_exceeded"
    if knowledge.customer is None:
        return "unknown_customer"
    if variants.get("holdout") == "holdout":
        return "holdout"
    if not strategy.catalogue.actions:
        return "empty_catalogue"
    return None


def _nothing_left(channels: tuple[str, ...] | None, strategy: Strategy) -> str:
    """Why no arm survived. A channel that nobody knows is a result: the catalogue changes while requests come."""
    if channels and not any(channel in strategy.catalogue.channels for channel in channels):
        return "unknown_channel"
    return "no_eligible_action"


def _choose(
    considered: Considered, found: Funnel, p_model: np.ndarray, strategy: Strategy, key: tuple[object, ...]
) -> tuple[Candidates, tuple[Item, ...], Apprenticeship | None, str | None]:
    rows, now, limit = considered.rows, considered.now, considered.request.limit
    assert considered.scope is not None
    covariates = strategy.covariates(considered.knowledge.features)
    scores = score(strategy, p_model, rows, considered.scope, covariates)
    nothing = int(np.searchsorted(rows, strategy.nothing))
    caps = None if strategy.caps is None else strategy.caps[rows]
    numbers, room = strategy.action_numbers[rows], _room(found, rows) if limit > 1 else None
    survivors = Survivors(scores.priority, scores.deviation, numbers, nothing, caps, room)
    draws, shares = draw_slate(strategy.policy, survivors, limit, key)
    apprentice, reason, incumbent = None, None, considered.request.incumbent
    if incumbent is not None:
        arms = [strategy.arms[row] for row in rows]
        draw, shares, apprentice, reason = follow(incumbent, arms, nothing, draws[0], shares)
        draws = [draw]
    given = (scores, strategy, now, covariates)
    items = tuple(_item(rank, one, int(rows[one.index]), *given) for rank, one in enumerate(draws, 1))
    return _candidates(strategy, found.removals, scores, shares), items, apprentice, reason


def _room(found: Funnel, rows: np.ndarray) -> Callable[[Sequence[int]], np.ndarray]:
    """What the contact limits leave of the survivors once some are drawn."""
    return lambda drawn: found.contacts.room_after([int(rows[index]) for index in drawn], rows)


def _scope(
    request: Request, knowledge: Knowledge, strategy: Strategy, scores: Mapping[str, float] | None = None
) -> Scope:
    customer: dict[str, Scalar] = {name: knowledge.features.get(name) for name in strategy.compiled.customer_names}
    context = dict(request.context) | {"intent": request.intent, "placement": request.placement}
    return Scope(customer, context, strategy.scores(knowledge.features) if scores is None else scores)


def _candidates(
    strategy: Strategy, removals: Sequence[Removal | None], scores: Scores, shares: np.ndarray
) -> Candidates:
    distinct = {id(r): r for r in removals if r is not None}
    number = {key: n for n, key in enumerate(distinct)} | {id(None): -1}
    columns = {name: _packed(getattr(scores, name), name in SAME_FOR_MANY) for name in SCORED}
    return Candidates(
        arms=strategy.keys,
        removed=[number[id(r)] for r in removals],
        removals=list(distinct.values()),
        columns=columns | {"probability": _packed(shares, False)},
    )


def _packed(column: np.ndarray, may_be_one: bool) -> bytes | float:
    """A column as `Candidates` keeps it."""
    if may_be_one and (column == column[0]).all():
        return float(column[0])
    return column.astype("<f8", copy=False).tobytes()


def _nothing(probability: float, now: int) -> Item:
    """Doing nothing, which can only fill the first place."""
    return Item(1, DO_NOTHING, "none", probability, None, None, 0.0, 0.0, 0.0, None, now + VISIT_EXPIRY, now)


def _item(
    rank: int, draw: Draw, row: int, scores: Scores, strategy: Strategy, now: int, covariates: tuple[int, ...]
) -> Item:
    """The place filled by this draw."""
    arm = strategy.arms[row]
    if arm == DO_NOTHING:
        return _nothing(draw.probability, now)
    action, channel = strategy.catalogue.actions[arm.action], strategy.catalogue.channels[arm.channel]
    value = float(scores.action_value[draw.index])
    value = 1.0 if value != value else value
    p_accept = float(scores.p_accept[draw.index])
    return Item(
        rank=rank,
        arm=arm,
        action_group=action.group,
        action_probability=draw.probability,
        p_model=float(scores.p_model[draw.index]),
        p_accept=p_accept,
        action_value=value,
        expected_value=p_accept * value - float(scores.contact_cost[draw.index]),
        priority=float(scores.priority[draw.index]),
        content=strategy.catalogue.treatment(arm).content,
        expires_at=now + (OUTBOUND_EXPIRY if channel.outbound else VISIT_EXPIRY),
        closes_at=now + reward_rule(arm, action, channel).success_window,
        covariates=covariates,
    )
