"""Outcomes wait until every decision is in the ledger; then each is attached to its own."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from features.clock import DAY
from features.consent import EVERY_CHANNEL
from features.domain import Outcome, OutcomeKind
from features.importing.cells import BadValue
from features.importing.mapping import Rule
from features.importing.rules import Fields
from features.ledger import DecidedItem, Ledger, no_decision

_CHUNK = 5_000
#: (customer, action) -> every (decided_at, decision_id, rank, channel) for it, in order of time.
Past = dict[tuple[str, str], list[tuple[int, str, int, str]]]


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
    channel: str | None
    within_days: float | None
    file: str
    line: int

    @classmethod
    def of(cls, fields: Fields, rule: Rule, file: str, line: int) -> Waiting:
        """Raises BadValue where what names the decision, or what finds it, is missing."""
        if fields["kind"] != OutcomeKind.OPTED_OUT or "customer_id" not in fields:
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
            fields.get("channel"),
            rule.attach_within_days,
            file,
            line,
        )


def attached(
    waiting: list[Waiting], ledger: Ledger, channels: Collection[str], reject: Callable[[Waiting, str], None]
) -> Iterator[list[tuple[Waiting, Outcome]]]:
    """Batches of outcomes with their decisions. Those without one are rejected, with the reason.

    But an opt-out holds without one too, see `refused`. `channels` are those of the catalogue.
    """
    waiting.sort(key=lambda one: one[:3])
    for start in range(0, len(waiting), _CHUNK):
        chunk = waiting[start : start + _CHUNK]
        named = ledger.decided_items(one.decision_id for one in chunk if one.decision_id)
        past = ledger.decided_for(one.customer_id for one in chunk if not one.decision_id)
        batch = []
        for one in chunk:
            try:
                batch.append((one, _named(one, named) if one.decision_id else _found(one, past, channels)))
            except BadValue as bad:
                reject(one, str(bad))
        yield batch


def refused(batch: Iterable[tuple[Waiting, Outcome]]) -> dict[str, str]:
    """The channel of each opt-out that names no decision, by outcome id: the one it names, else all."""
    return {
        one.outcome_id: one.channel or EVERY_CHANNEL
        for one, _ in batch
        if one.kind == OutcomeKind.OPTED_OUT and not one.decision_id
    }


def _named(one: Waiting, named: dict[tuple[str, int], DecidedItem]) -> Outcome:
    found = named.get((one.decision_id, one.rank))
    if found is None:
        raise BadValue(f"decision_id: no decision {one.decision_id!r} with an item {one.rank}")
    customer_id, action = found.customer_id, found.arm.action
    if one.customer_id not in ("", customer_id) or one.action not in ("", action):
        raise BadValue(f"decision_id: {one.decision_id!r} is a decision for another customer or action")
    if one.channel not in (None, found.arm.channel):
        raise BadValue(f"channel: {one.decision_id!r} is a decision on the channel {found.arm.channel!r}")
    return _made(one, one.decision_id, one.rank, customer_id, action)


def _found(one: Waiting, past: Past, channels: Collection[str]) -> Outcome:
    """The outcome of the latest decision, or an opt-out of none."""
    try:
        decision_id, rank = _latest(one, past)
    except BadValue:
        known = ", ".join(channels)
        if one.channel is not None and channels and one.channel not in channels:
            raise BadValue(f"channel: the catalogue has no channel {one.channel!r}; it has {known}") from None
        if one.kind != OutcomeKind.OPTED_OUT:
            raise
        return _made(one, no_decision(one.outcome_id), 0, one.customer_id, one.action)
    return _made(one, decision_id, rank, one.customer_id, one.action)


def _latest(one: Waiting, past: Past) -> tuple[str, int]:
    """(decision_id, rank) of the latest decision before it. Raises BadValue where there is none."""
    made = past.get((one.customer_id, one.action), [])
    if one.channel is not None:
        made = [decided for decided in made if decided[3] == one.channel]
    place = bisect.bisect_right(made, one.occurred_at, key=lambda decided: decided[0]) - 1
    if place < 0:
        raise BadValue("no earlier decision for this customer and action")
    decided_at, decision_id, rank, _ = made[place]
    if one.within_days is not None and one.occurred_at - decided_at > one.within_days * DAY:
        raise BadValue(f"no decision for this customer and action within {one.within_days:g} days before")
    return decision_id, rank


def _made(one: Waiting, decision_id: str, rank: int, customer_id: str, action: str) -> Outcome:
    return Outcome(one.outcome_id, decision_id, customer_id, action, one.kind, one.occurred_at, rank, one.value)
