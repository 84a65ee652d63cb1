"""The ledger's own decisions in the order they were made, each with what became of it, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from features.domain import Arm
from features.ledger import Heard, Ledger, read_arrow
from features.rewards import UNIT
from serving.replay import BLOCK

_ITEMS = """
SELECT i.decision_id, i.rank, i.shown_at, i.reward_state, i.reward_units
FROM decision_items i JOIN decisions d ON d.decision_id = i.decision_id
WHERE d.origin = 'live' AND d.position > {after:d} AND d.position <= {last:d}
"""
_OUTCOMES = """
SELECT o.decision_id, o.rank, o.kind, o.occurred_at, o.recorded_at
FROM outcomes o JOIN decisions d ON d.decision_id = o.decision_id
WHERE d.origin = 'live' AND d.position > {after:d} AND d.position <= {last:d}
ORDER BY o.occurred_at, o.position
"""
#: Answers to contacts made elsewhere, of the customers of a block.
_EARLIER = """
SELECT o.customer_id, o.decision_id, o.rank, i.action, i.channel, i.action_group, o.kind, o.occurred_at
FROM outcomes o JOIN decision_items i ON i.decision_id = o.decision_id AND i.rank = o.rank
WHERE i.reward_state = 'imported' AND o.occurred_at >= {since:d} AND o.customer_id IN (
    SELECT customer_id FROM decisions WHERE origin = 'live' AND position > {after:d} AND position <= {last:d}
)
ORDER BY o.occurred_at, o.position
"""


class Told(NamedTuple):
    """An outcome of an item: when it happened, and when we heard of it."""

    kind: str
    occurred_at: int
    recorded_at: int


@dataclass(slots=True)
class Became:
    """What became of one recorded item. `reward` is money before contact cost; `state` the reward ledger's."""

    shown_at: int | None
    state: str
    reward: float
    told: list[Told]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision made here: its record, and what became of its items by rank. `record` None: not readable."""

    decision_id: str
    customer_id: str
    decided_at: int
    record: dict[str, Any] | None
    became: dict[int, Became]


@dataclass(frozen=True, slots=True)
class Block:
    """Decisions made here, one after the other, and what their customers had answered to contacts made elsewhere."""

    decisions: list[Recorded]
    earlier: dict[str, list[Heard]]


def blocks(ledger: Ledger, heard_back: int | None = None) -> Iterator[Block]:
    """Every decision made here, `BLOCK` at a time: some 10 kB each, and nothing of the blocks before stays.

    `heard_back`: how long before a block answers to contacts made elsewhere matter, microseconds; None for not at all.
    """
    position = 0
    while found := ledger.live_records(position, BLOCK):
        span = {"after": position, "last": found[-1].position}
        became = _became(ledger.url, **span)
        decisions = [
            Recorded(x.decision_id, x.customer_id, x.decided_at, _record(x.record), became.get(x.decision_id, {}))
            for x in found
        ]
        since = min(one.decided_at for one in found) - (heard_back or 0)
        yield Block(decisions, {} if heard_back is None else _earlier(ledger.url, since, **span))
        position = found[-1].position


def _became(url: str, after: int, last: int) -> dict[str, dict[int, Became]]:
    found: dict[str, dict[int, Became]] = {}
    for row in read_arrow(url, _ITEMS.format(after=after, last=last)).to_pylist():
        one = Became(row["shown_at"], row["reward_state"], row["reward_units"] / UNIT, [])
        found.setdefault(row["decision_id"], {})[row["rank"]] = one
    for row in read_arrow(url, _OUTCOMES.format(after=after, last=last)).to_pylist():
        item = found.get(row["decision_id"], {}).get(row["rank"])
        if item is not None:
            item.told.append(Told(row["kind"], row["occurred_at"], row["recorded_at"]))
    return found


def _earlier(url: str, since: int, after: int, last: int) -> dict[str, list[Heard]]:
    found: dict[str, list[Heard]] = {}
    for row in read_arrow(url, _EARLIER.format(since=since, after=after, last=last)).to_pylist():
        arm, place = Arm(row["action"], row["channel"]), (row["decision_id"], row["rank"])
        heard = Heard(arm, row["action_group"], row["kind"], row["occurred_at"], *place)
        found.setdefault(row["customer_id"], []).append(heard)
    return found


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return record if isinstance(record, dict) else None
