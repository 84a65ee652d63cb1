"""The ledger: the one durable record of events, customers, decisions, outcomes, reservations, and what was learned."""

from features.ledger.arrow import read_arrow
from features.ledger.bulk import ToAppend
from features.ledger.learning import RewardRow
from features.ledger.past import DrawnItem, LiveRecord
from features.ledger.records import (
    Appended,
    BeforeDecision,
    ContactSlot,
    DecidedItem,
    Heard,
    LearnableItem,
    StoredAnswer,
    StoredDecision,
    Suppression,
    no_decision,
)
from features.ledger.store import Ledger, existing_ledger, open_ledger
from features.ledger.turns import at_once, waiting_until

__all__ = [
    "Appended",
    "BeforeDecision",
    "ContactSlot",
    "DecidedItem",
    "DrawnItem",
    "Heard",
    "LearnableItem",
    "Ledger",
    "LiveRecord",
    "RewardRow",
    "StoredAnswer",
    "StoredDecision",
    "Suppression",
    "ToAppend",
    "at_once",
    "existing_ledger",
    "no_decision",
    "open_ledger",
    "read_arrow",
    "waiting_until",
]
