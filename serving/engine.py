"""One decision, as a pure function of values: nothing here reads, writes, or asks the time.

assignment -> funnel (on offer, consent, eligibility, contact policy) -> scoring -> arbitration -> exploration -> draw.
Filter first, draw last; nothing re-ranks afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Apprenticeship, Candidates, Decision, Item, Removal, Scalar, Versions
from serving.apprentice import follow
from serving.assignment import Layer
from serving.exploration import Draw, Survivors, draw_slate, first_shares
from serving.expressions import Scope
from serving.funnel import Funnel, defer_until, funnel
from serving.request import EDITION, Inputs, Knowledge, Request
from serving.scoring import SCORED, Eligible, Scores, score
from serving.strategy import Strategy

#: Columns of a record that are often one number for all arms.
SAME_FOR_MANY = frozenset({"context_weight", "lever", "contact_cost"})
LITTLE_ENDIAN = sys.byteorder == "little"
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
    edition: int | None = EDITION,
) -> Decision:
    """The decision on this request. The same arguments give the same decision, to the last bit."""
    considered = consider(request, knowledge, strategy, now=now, layers=layers, salt=salt, edition=edition)
    (weighed,) = weigh([considered], strategy)
    return conclude(considered, weighed, strategy, decision_id=decision_id, attempt=attempt)


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
    #: (k,) the customer as the models see them, and what of the features the correction looks at.
    encoded: np.ndarray = field(default_factory=_no_rows)
    covariates: tuple[int, ...] = ()


def consider(
    request: Request,
    knowledge: Knowledge,
    strategy: Strategy,
    *,
    now: int,
    layers: Sequence[Layer],
    salt: str,
    encoded: np.ndarray | None = None,
    scores: Mapping[str, float] | None = None,
    edition: int | None = EDITION,
) -> Considered:
    """Assignment and the funnel. `encoded` and `scores` are the customer's, where `Strategy` was asked already."""
    variants = {layer.name: layer.assign(salt, request.customer_id) for layer in layers}
    reason = _reason(knowledge, strategy, variants)
    inputs = Inputs.of(request, knowledge, layers, salt, edition)
    if reason is not None or knowledge.customer is None:
        return Considered(request, knowledge, now, inputs, variants, reason)
    if encoded is None:
        encoded = strategy.encoded(knowledge.features)
    if scores is None:
        (scores,) = strategy.scores([encoded])
    scope = _scope(request, knowledge, strategy, scores)
    found = funnel(strategy, request, knowledge, scope, now, edition)
    rows = np.array([row for row, removal in enumerate(found.removals) if removal is None])
    seen = encoded, strategy.covariates(knowledge.features)
    return Considered(request, knowledge, now, inputs, variants, None, scope, found, rows, *seen)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the arms left are worth, and how likely each is to be drawn: (n,), the rows `Considered.rows`."""

    scores: Scores
    survivors: Survivors
    shares: np.ndarray


def weigh(considered: Sequence[Considered], strategy: Strategy) -> list[Weighed | None]:
    """Model, scores and probabilities, for several customers at once; None where there is nothing to choose from."""
    left = [one for one in considered if one.scope is not None]
    if not left:
        return [None] * len(considered)
    asked = [one.rows[one.rows != strategy.nothing] for one in left]
    p_model = strategy.p_model([one.encoded for one in left], asked)
    eligible = [Eligible(one.rows, one.scope, one.covariates) for one in left if one.scope is not None]
    scores = score(strategy, p_model, eligible)
    survivors = [_survivors(*one, strategy) for one in zip(left, scores, strict=True)]
    weighed = map(Weighed, scores, survivors, first_shares(strategy.policy, survivors))
    return [None if one.scope is None else next(weighed) for one in considered]


def _survivors(considered: Considered, scores: Scores, strategy: Strategy) -> Survivors:
    rows, found = considered.rows, considered.found
    nothing = int(np.searchsorted(rows, strategy.nothing))
    caps = None if strategy.caps is None else strategy.caps[rows]
    room = None if found is None or considered.request.limit == 1 else _room(found, rows)
    return Survivors(scores.priority, scores.deviation, strategy.action_numbers[rows], nothing, caps, room)


def conclude(
    considered: Considered, weighed: Weighed | None, strategy: Strategy, *, decision_id: str, attempt: int = 1
) -> Decision:
    """The draw, and the decision as it is recorded."""
    request, knowledge, now, reason = considered.request, considered.knowledge, considered.now, considered.reason
    fallback = knowledge.fallback_reason
    candidates: Candidates | None = None
    items: tuple[Item, ...] = (_nothing(1.0, now),)
    held_until, apprentice = None, None
    if considered.found is not None and weighed is not None:
        key = (decision_id, strategy.policy_version, attempt)
        candidates, items, apprentice, reason = _choose(considered, considered.found, weighed, strategy, key)
        fallback = fallback or strategy.fallback_reason
        if len(considered.rows) == 1:
            if apprentice is None or considered.inputs.edition is None:
                reason = _nothing_left(request.channels, strategy)
            held_until = defer_until(considered.found, strategy, request, knowledge, considered.inputs.edition)
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
        warnings=_warnings(request, strategy),
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


def _warnings(request: Request, strategy: Strategy) -> tuple[str, ...]:
    """What the request names and the catalogue does not know: said beside the decision, which is made all the same."""
    named = (("intent", request.intent), ("placement", request.placement))
    return tuple([f"unknown_{what}" for what, name in named if name is not None and not strategy.knows(what, name)])


def _choose(
    considered: Considered, found: Funnel, weighed: Weighed, strategy: Strategy, key: tuple[object, ...]
) -> tuple[Candidates, tuple[Item, ...], Apprenticeship | None, str | None]:
    rows, now, scores, shares = considered.rows, considered.now, weighed.scores, weighed.shares
    draws = draw_slate(strategy.policy, weighed.survivors, shares, considered.request.limit, key)
    apprentice, reason, incumbent = None, None, considered.request.incumbent
    if incumbent is not None:
        arms = [strategy.arms[row] for row in rows]
        draw, shares, apprentice, reason = follow(incumbent, arms, weighed.survivors.nothing, draws[0], shares)
        draws = [draw]
    given = (scores, strategy, now, considered.covariates)
    items = tuple(_item(rank, one, int(rows[one.index]), *given) for rank, one in enumerate(draws, 1))
    return _candidates(strategy, found.removals, scores, shares), items, apprentice, reason


def _room(found: Funnel, rows: np.ndarray) -> Callable[[Sequence[int]], np.ndarray]:
    """What the contact limits leave of the survivors once some are drawn."""
    return lambda drawn: found.contacts.room_after([int(rows[index]) for index in drawn], rows)


def _scope(request: Request, knowledge: Knowledge, strategy: Strategy, scores: Mapping[str, float]) -> Scope:
    customer: dict[str, Scalar] = {name: knowledge.features.get(name) for name in strategy.compiled.customer_names}
    context = dict(request.context) | {"intent": request.intent, "placement": request.placement}
    return Scope(customer, context, scores)


def _candidates(
    strategy: Strategy, removals: Sequence[Removal | None], scores: Scores, shares: np.ndarray
) -> Candidates:
    # One removal stands for many arms, and most arms have none.
    distinct: dict[int, int] = {}
    whys: list[Removal] = []
    removed = [-1] * len(removals)
    for row, removal in enumerate(removals):
        if removal is not None:
            removed[row] = number = distinct.setdefault(id(removal), len(distinct))
            if number == len(whys):
                whys.append(removal)
    columns = {name: _packed(getattr(scores, name), name in SAME_FOR_MANY) for name in SCORED}
    return Candidates(
        arms=strategy.keys,
        removed=removed,
        removals=whys,
        columns=columns | {"probability": _packed(shares, False)},
    )


def _packed(column: np.ndarray, may_be_one: bool) -> bytes | float:
    """A column as `Candidates` keeps it."""
    if may_be_one and (column == column[0]).all():
        return float(column[0])
    return column.tobytes() if LITTLE_ENDIAN else column.astype("<f8").tobytes()


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
        closes_at=now + strategy.success_windows[row],
        covariates=covariates,
    )
