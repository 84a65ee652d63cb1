"""What the ledger hands out, and its rows: domain values to columns and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Item, Outcome


@dataclass(frozen=True, slots=True)
class Appended:
    """How many rows an append took, and how many it already had.

    `conflicts` are the places, in what was given, of rows whose id is there with another content: not taken either.
    `contacts` is how many more contacts count for limits.
    """

    accepted: int
    duplicates: int
    conflicts: tuple[int, ...] = ()
    contacts: int = 0


class ContactSlot(msgspec.Struct, frozen=True):
    """One contact of a customer, promised or made."""

    arm: Arm
    action_group: str
    action_class: str
    reserved_at: int
    expires_at: int
    state: str
    decision_id: str = ""
    rank: int = 1
    #: When it was displayed or delivered, where a channel said so.
    shown_at: int | None = None


class Heard(msgspec.Struct, frozen=True):
    """An outcome of a customer, with the arm it is about."""

    arm: Arm
    action_group: str
    kind: str
    occurred_at: int
    decision_id: str = ""
    rank: int = 1


@dataclass(frozen=True, slots=True)
class Suppression:
    """Somebody who is not to be contacted, why, and since when."""

    customer_id: str
    reason: str
    since: int


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The bytes that were answered to a request, and the hash of the request they answered."""

    request_hash: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class BeforeDecision:
    """The ledger's part of what a decision knows.

    `heard` is empty unless asked for. `contact_version` names the state of the contacts that `slots` shows, the
    released ones left out:
    `append_decision` with it refuses once another contact was taken.
    """

    answered: StoredAnswer | None
    customer: Customer | None
    contact_version: int = 0
    slots: tuple[ContactSlot, ...] = ()
    heard: tuple[Heard, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was recorded. `record` is its JSON, None for an imported one."""

    decision_id: str
    customer_id: str
    decided_at: int
    origin: str
    record: bytes | None
    items: tuple[LearnableItem, ...]


@dataclass(frozen=True, slots=True)
class DecidedItem:
    """One answered item, as far as an outcome needs it to find it."""

    decision_id: str
    rank: int
    customer_id: str
    arm: Arm
    decided_at: int
    closes_at: int


class LearnableItem(NamedTuple):
    """One answered item, all that was heard about it, and what was made of that so far: see `features.rewards`.

    A learner makes millions: a tuple takes 0.5 us, a frozen dataclass of as many fields 3.
    """

    decision_id: str
    rank: int
    customer_id: str
    arm: Arm
    p_model: float | None
    p_accept: float | None
    action_value: float
    decided_at: int
    closes_at: int
    #: The bundle whose prediction `p_model` is.
    bundle: str | None
    reward_state: str
    #: Money, in millionths.
    reward_units: int
    #: What the policy has learned from it, success in millionths; None while it has learned nothing.
    success_units: int | None
    #: When it was displayed or delivered, where that was reported.
    shown_at: int | None
    #: When the learner looks at it again though nothing more is heard.
    due_at: int | None
    outcomes: tuple[Outcome, ...]
    #: What `p_accept` was corrected by besides a constant; () where it was by that alone.
    covariates: tuple[int, ...] = ()


def no_decision(outcome_id: str) -> str:
    """What stands for the decision of an outcome that has none; each its own."""
    return "unattributed-" + blake2b(outcome_id.encode(), digest_size=16).hexdigest()


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def customer_row(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "created_at": customer.created_at,
        "zone": customer.zone,
        "consents": as_json(customer.consents),
        "attributes": as_json(customer.attributes),
    }


def customer_of(row: Any) -> Customer:
    decode = msgspec.json.decode
    return Customer(
        row.customer_id, row.created_at, row.zone, decode(row.consents), decode(row.attributes), row.suppressed
    )


def event_row(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "customer_id": event.customer_id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "source": event.source,
        "channel": event.channel,
        "value": event.value,
        "properties": as_json(event.properties),
    }


def event_of(row: Any) -> Event:
    return Event(
        row.event_id,
        row.customer_id,
        row.type,
        row.occurred_at,
        row.source,
        row.channel,
        row.value,
        msgspec.json.decode(row.properties),
    )


def outcome_row(outcome: Outcome, recorded_at: int) -> dict[str, Any]:
    return {
        "outcome_id": outcome.outcome_id,
        "decision_id": outcome.decision_id,
        "rank": outcome.rank,
        "customer_id": outcome.customer_id,
        "action": outcome.action,
        "kind": outcome.kind,
        "occurred_at": outcome.occurred_at,
        "recorded_at": recorded_at,
        "value": outcome.value,
    }


def outcome_of(row: Any) -> Outcome:
    return Outcome(
        row.outcome_id,
        row.decision_id,
        row.customer_id,
        row.action,
        row.kind,
        row.occurred_at,
        row.rank,
        row.value,
    )


def decision_row(decision: Decision, origin: str) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "request_id": decision.request_id,
        "customer_id": decision.customer_id,
        "decided_at": decision.decided_at,
        "origin": origin,
        "result": decision.result,
        "reason": decision.reason,
        "fallback_reason": decision.fallback_reason,
        "variants": as_json(decision.variants),
    }


def item_rows(decision: Decision, reward_state: str) -> list[dict[str, Any]]:
    return [
        {
            "decision_id": decision.decision_id,
            "rank": item.rank,
            "customer_id": decision.customer_id,
            "decided_at": decision.decided_at,
            "action": item.arm.action,
            "channel": item.arm.channel,
            "action_group": item.action_group,
            "action_probability": item.action_probability,
            "p_model": item.p_model,
            "p_accept": item.p_accept,
            "action_value": item.action_value,
            "closes_at": item.closes_at,
            "bundle": decision.versions.bundle,
            "shown_at": None,
            "covariates": as_json(item.covariates) if item.covariates else None,
            # Doing nothing earns nothing, and nobody waits for more.
            "reward_state": "final" if (idle := item.arm == DO_NOTHING) and reward_state == "open" else reward_state,
            "due_at": item.closes_at if reward_state == "open" and not idle else None,
        }
        for item in decision.items
    ]


def reservation_row(
    decision: Decision, item: Item, action_classes: Mapping[str, str], state: str = "reserved"
) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "rank": item.rank,
        "customer_id": decision.customer_id,
        "action": item.arm.action,
        "channel": item.arm.channel,
        "action_group": item.action_group,
        "action_class": action_classes.get(item.arm.action, "marketing"),
        "reserved_at": decision.decided_at,
        "expires_at": item.expires_at,
        "state": state,
    }
