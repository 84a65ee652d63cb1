"""The ledger: the one durable record of events, customers, decisions, outcomes, reservations, and what was learned."""

from features.ledger.arrow import read_arrow
from features.ledger.store import (
    Appended,
    ContactSlot,
    LearnableItem,
    Ledger,
    StoredAnswer,
    StoredDecision,
    open_ledger,
)

__all__ = [
    "Appended",
    "ContactSlot",
    "LearnableItem",
    "Ledger",
    "StoredAnswer",
    "StoredDecision",
    "open_ledger",
    "read_arrow",
]
