"""The ledger's own decisions in the order they were made, each with what became of it, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from features.ledger import Ledger, read_arrow
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
_LONGEST = "SELECT max(closes_at - decided_at) AS longest FROM decision_items WHERE reward_state <> 'imported'"


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


def blocks(ledger: Ledger) -> Iterator[list[Recorded]]:
    """Every decision made here, `BLOCK` at a time: some 10 kB each, and nothing of the blocks before stays."""
    position = 0
    while found := ledger.live_records(position, BLOCK):
        became = _became(ledger.url, position, found[-1].position)
        yield [
            Recorded(x.decision_id, x.customer_id, x.decided_at, _record(x.record), became.get(x.decision_id, {}))
            for x in found
        ]
        position = found[-1].position


def longest_window(url: str) -> int:
    """Microseconds after a decision until nothing it did can still earn; 0 without any."""
    return int(read_arrow(url, _LONGEST).to_pylist()[0]["longest"] or 0)


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


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return record if isinstance(record, dict) else None
