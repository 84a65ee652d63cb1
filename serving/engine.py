"""One decision, as a pure function of values: nothing here reads, writes, or asks the time.

assignment -> availability -> consent -> eligibility -> contact policy -> scoring -> arbitration -> exploration -> draw.
Filter first, draw last; nothing re-ranks afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Candidate, Customer, Decision, Item, Scalar, Versions
from features.ledger import ContactSlot
from serving import arbitration, contact_policy, eligibility
from serving.assignment import Layer
from serving.eligibility import Removal
from serving.exploration import Draw, draw_slate
from serving.expressions import Scope
from serving.strategy import Strategy

#: How long an answer may be carried out: a message within a day, a visit within the hour.
OUTBOUND_EXPIRY = DAY
VISIT_EXPIRY = HOUR


@dataclass(frozen=True, slots=True)
class Request:
    """What a channel app asks. `channels` None means all; `limit` is the number of places to fill."""

    request_id: str
    customer_id: str
    channels: tuple[str, ...] | None = None
    placement: str | None = None
    limit: int = 1
    intent: str | None = None
    context: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the customer at this moment. `customer` None: nobody has heard of them.

    `features` maps names to values; a name left out is unknown. `fallback_reason` says why features are missing.
    """

    customer: Customer | None
    features: Mapping[str, float | None] = field(default_factory=dict)
    fallback_reason: str | None = None
    slots: Sequence[ContactSlot] = ()
    contact_version: int = 0


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
) -> Decision:
    """The decision on this request. The same arguments give the same decision, to the last bit."""
    variants = {layer.name: layer.assign(salt, request.customer_id) for layer in layers}
    reason = _reason(knowledge, strategy, variants)
    if reason is not None:
        candidates: list[Candidate] = [Candidate(DO_NOTHING, priority=0.0, probability=1.0)]
        draws = [Draw(DO_NOTHING, 1.0)]
        fallback = None
    else:
        candidates = _consider(request, knowledge, strategy, now)
        key = (decision_id, strategy.policy_version, attempt)
        candidates, draws = _draw(candidates, strategy, request.limit, key)
        fallback = knowledge.fallback_reason or strategy.fallback_reason
        if draws[0].arm == DO_NOTHING and sum(c.stage is None for c in candidates) == 1:
            reason = "no_eligible_action"
    return Decision(
        decision_id=decision_id,
        request_id=request.request_id,
        customer_id=request.customer_id,
        decided_at=now,
        items=_items(draws, candidates, strategy, now),
        result="do_nothing" if draws[0].arm == DO_NOTHING else "action",
        reason=reason,
        fallback_reason=fallback,
        versions=Versions(strategy.bundle_id, strategy.policy_version, strategy.catalogue.version),
        candidates=tuple(candidates),
        variants=variants,
        features=knowledge.features,
        context=request.context,
        channels=request.channels,
        placement=request.placement,
        intent=request.intent,
        attempt=attempt,
    )


def _reason(knowledge: Knowledge, strategy: Strategy, variants: Mapping[str, str]) -> str | None:
    """Why there is nothing to choose from, where that is so before looking at any action."""
    if knowledge.customer is None:
        return "unknown_customer"
    if variants.get("holdout") == "holdout":
        return "holdout"
    if not strategy.arms:
        return "empty_catalogue"
    return None


def _consider(request: Request, knowledge: Knowledge, strategy: Strategy, now: int) -> list[Candidate]:
    """Every arm of the catalogue with the stage that removed it, survivors scored, DO_NOTHING last."""
    assert knowledge.customer is not None
    scope = _scope(request, knowledge, strategy)
    closed = contact_policy.closed_rules(strategy.catalogue, knowledge.slots, now)
    # Dates and conditions belong to the action: checked once for all its channels.
    unavailable = {
        action.id: eligibility.unavailable(action, now, request.placement)
        for action in strategy.catalogue.actions.values()
    }
    conditions: dict[str, Removal | None] = {}
    removals: list[Removal | None] = []
    for arm in strategy.arms:
        action, channel = strategy.catalogue.actions[arm.action], strategy.catalogue.channels[arm.channel]
        removal = (
            unavailable[action.id]
            or eligibility.not_asked(arm.channel, request.channels)
            or eligibility.unconsented(action, channel, knowledge.customer.consents)
        )
        if removal is None:
            if action.id not in conditions:
                conditions[action.id] = eligibility.ineligible(strategy.compiled.expressions[action.id], scope)
            removal = conditions[action.id] or contact_policy.over_limit(arm, strategy.catalogue, closed)
        removals.append(removal)
    survivors = [i for i, removal in enumerate(removals) if removal is None]
    p_model = strategy.p_model(knowledge.features, survivors)
    scored = {i: _score(i, float(p), strategy, scope) for i, p in zip(survivors, p_model, strict=True)}
    candidates = [
        scored.get(i) or Candidate(arm, stage=removal.stage, rule=removal.rule, seen=removal.seen, limit=removal.limit)  # type: ignore[union-attr]
        for i, (arm, removal) in enumerate(zip(strategy.arms, removals, strict=True))
    ]
    return [*candidates, Candidate(DO_NOTHING, action_value=0.0, priority=0.0)]


def _scope(request: Request, knowledge: Knowledge, strategy: Strategy) -> Scope:
    attributes = knowledge.customer.attributes if knowledge.customer else {}
    customer: dict[str, Scalar] = {
        name: knowledge.features[name] if name in knowledge.features else attributes.get(name)
        for name in strategy.compiled.customer_names
    }
    context = dict(request.context) | {"intent": request.intent, "placement": request.placement}
    return Scope(customer, context, strategy.scores(knowledge.features))


def _score(index: int, p_model: float, strategy: Strategy, scope: Scope) -> Candidate:
    """A survivor with each factor of its priority."""
    arm = strategy.arms[index]
    action = strategy.catalogue.actions[arm.action]
    expression = strategy.compiled.expressions[action.id].value
    value = action.value if expression is None else expression.amount(scope.cel)
    assert not isinstance(value, str)
    p_accept = strategy.snapshot.p_accept(arm.key, p_model)
    lever, cost = arbitration.factor([action.lever]), strategy.costs[index]
    return Candidate(
        arm,
        p_model=p_model,
        p_accept=p_accept,
        action_value=value,
        lever=lever,
        contact_cost=cost,
        priority=arbitration.priority(p_accept, 1.0, value, lever, cost),
    )


def _draw(
    candidates: list[Candidate], strategy: Strategy, limit: int, key: tuple[object, ...]
) -> tuple[list[Candidate], list[Draw]]:
    survivors = [i for i, c in enumerate(candidates) if c.stage is None]
    arms = [candidates[i].arm for i in survivors]
    draws, first = draw_slate(strategy.policy, arms, [candidates[i].priority or 0.0 for i in survivors], limit, key)
    for i, probability in zip(survivors, first, strict=True):
        candidates[i] = replace(candidates[i], probability=float(probability))
    return candidates, draws


def _items(draws: Sequence[Draw], candidates: Sequence[Candidate], strategy: Strategy, now: int) -> tuple[Item, ...]:
    by_arm: Mapping[Arm, Candidate] = {c.arm: c for c in candidates}
    items = []
    for rank, one in enumerate(draws, 1):
        candidate = by_arm[one.arm]
        doing = one.arm != DO_NOTHING
        action = strategy.catalogue.actions[one.arm.action] if doing else None
        outbound = doing and strategy.catalogue.channels[one.arm.channel].outbound
        value = 1.0 if candidate.action_value is None else candidate.action_value
        items.append(
            Item(
                rank=rank,
                arm=one.arm,
                action_group=action.group if action else "none",
                action_probability=one.probability,
                p_model=candidate.p_model,
                p_accept=candidate.p_accept,
                action_value=value if doing else 0.0,
                expected_value=(candidate.p_accept or 0.0) * value - candidate.contact_cost if doing else 0.0,
                priority=candidate.priority or 0.0,
                content=strategy.catalogue.treatment(one.arm).content if doing else None,
                expires_at=now + (OUTBOUND_EXPIRY if outbound else VISIT_EXPIRY),
                closes_at=now + (round(action.window_days * DAY) if action else 0),
            )
        )
    return tuple(items)
