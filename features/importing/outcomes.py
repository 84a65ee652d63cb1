"""Outcomes wait until every decision is in the ledger; then each is attached to its own."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import NamedTuple

from features.clock import DAY
from features.domain import Outcome
from features.importing.cells import BadValue
from features.importing.mapping import Rule
from features.importing.rules import Fields
from features.ledger import DecidedItem, Ledger

_CHUNK = 5_000


class Waiting(NamedTuple):
    """One outcome as read, and where it was read. Sorted by customer, each customer's decisions are asked for once."""

    customer_id: str
    occurred_at: int
    outcome_id: str
    kind: str
    action: str
    decision_id: str
    rank: int
    value: float | None
    within_days: float | None
    file: str
    line: int

    @classmethod
    def of(cls, fields: Fields, rule: Rule, file: str, line: int) -> Waiting:
        """Raises BadValue where what names the decision, or what finds it, is missing."""
        for name in ("customer_id", "action") if rule.attach_to else ("decision_id",):
            if name not in fields:
                raise BadValue(f"{name}: is missing")
        return cls(
            fields.get("customer_id", ""),
            fields["occurred_at"],
            fields["outcome_id"],
            fields["kind"],
            fields.get("action", ""),
            fields.get("decision_id", ""),
            fields.get("rank", 1),
            fields.get("value"),
            rule.attach_within_days,
            file,
            line,
        )


def attached(
    waiting: list[Waiting], ledger: Ledger, reject: Callable[[Waiting, str], None]
) -> Iterator[list[tuple[Waiting, Outcome]]]:
    """Batches of outcomes with their decisions. Those without one are rejected, with the reason."""
    waiting.sort(key=lambda one: one[:3])
    for start in range(0, len(waiting), _CHUNK):
        chunk = waiting[start : start + _CHUNK]
        named = ledger.decided_items(one.decision_id for one in chunk if one.decision_id)
        past = ledger.decided_for(one.customer_id for one in chunk if not one.decision_id)
        batch = []
        for one in chunk:
            try:
                batch.append((one, _named(one, named) if one.decision_id else _latest(one, past)))
            except BadValue as bad:
                reject(one, str(bad))
        yield batch


def _named(one: Waiting, named: dict[tuple[str, int], DecidedItem]) -> Outcome:
    found = named.get((one.decision_id, one.rank))
    if found is None:
        raise BadValue(f"decision_id: no decision {one.decision_id!r} with an item {one.rank}")
    customer_id, action = found.customer_id, found.arm.action
    if one.customer_id not in ("", customer_id) or one.action not in ("", action):
        raise BadValue(f"decision_id: {one.decision_id!r} is a decision for another customer or action")
    return Outcome(one.outcome_id, one.decision_id, customer_id, action, one.kind, one.occurred_at, one.rank, one.value)


def _latest(one: Waiting, past: dict[tuple[str, str], list[tuple[int, str, int]]]) -> Outcome:
    made = past.get((one.customer_id, one.action), [])
    place = bisect.bisect_right(made, one.occurred_at, key=lambda decided: decided[0]) - 1
    if place < 0:
        raise BadValue("no earlier decision for this customer and action")
    decided_at, decision_id, rank = made[place]
    if one.within_days is not None and one.occurred_at - decided_at > one.within_days * DAY:
        raise BadValue(f"no decision for this customer and action within {one.within_days:g} days before")
    return Outcome(one.outcome_id, decision_id, one.customer_id, one.action, one.kind, one.occurred_at, rank, one.value)
