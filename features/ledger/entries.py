"""One decision as the ledger writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from features.domain import DO_NOTHING, Decision
from features.ledger.records import decision_row, item_rows, reservation_row


@dataclass(frozen=True, slots=True)
class Entry:
    """The rows of a live decision, and the state of the customer's contacts it was made on."""

    decision: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    #: The contacts it takes: one for each item that is not doing nothing.
    slots: Sequence[Mapping[str, Any]]
    contact_version: int

    @property
    def customer_id(self) -> str:
        return str(self.decision["customer_id"])


def entry_of(
    decision: Decision, request_hash: str, answer: bytes, contact_version: int, action_classes: Mapping[str, str]
) -> Entry:
    """`action_classes` are those of the catalogue: action -> marketing, service or regulatory."""
    row = decision_row(decision, "live") | {
        "request_hash": request_hash,
        "record": msgspec.json.encode(decision),
        "answer": answer,
    }
    slots = [reservation_row(decision, item, action_classes) for item in decision.items if item.arm != DO_NOTHING]
    return Entry(row, item_rows(decision, "open"), slots, contact_version)
