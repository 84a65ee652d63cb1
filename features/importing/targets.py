"""What rows can become, with the fields of each: the vocabulary of a mapping file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from features.importing.kinds import (
    AMOUNT,
    AMOUNT_OR_TEXT,
    CONSENT,
    DAYS,
    FREE,
    ID,
    NAME,
    NAMES,
    NUMBER,
    OUTCOME_KIND,
    PROBABILITY,
    RANK,
    SOURCE,
    TEXT,
    ZONE,
    Kind,
)
from features.importing.times import TIME


@dataclass(frozen=True, slots=True)
class Target:
    """Fields that a rule must give, may give, and tables of freely named fields."""

    needed: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    tables: Mapping[str, Kind] = field(default_factory=dict)


TARGETS: Mapping[str, Target] = {
    "action": Target(
        {"id": ID, "group": ID},
        {
            "name": TEXT,
            "class": NAME,
            "value": AMOUNT_OR_TEXT,
            "cost": AMOUNT,
            "lever": NUMBER,
            "outcome": NAME,
            "window_days": DAYS,
            "starts_at": TIME,
            "ends_at": TIME,
            "eligible": TEXT,
            "applicable": TEXT,
            "suitable": TEXT,
            "purpose": TEXT,
            "channels": NAMES,
            "placements": NAMES,
            "content": TEXT,
        },
        {"attributes": FREE},
    ),
    "customer": Target(
        {"customer_id": ID},
        {"created_at": TIME, "zone": ZONE, "said_at": TIME},
        {"consents": CONSENT, "attributes": FREE},
    ),
    "decision": Target(
        {
            "decision_id": ID,
            "customer_id": ID,
            "action": ID,
            "channel": NAME,
            "decided_at": TIME,
            "action_probability": PROBABILITY,
        },
        {"action_group": ID, "action_value": AMOUNT, "window_days": DAYS},
    ),
    "event": Target(
        {"event_id": ID, "customer_id": ID, "type": NAME, "occurred_at": TIME},
        {"source": SOURCE, "channel": NAME, "value": AMOUNT},
        {"properties": FREE},
    ),
    "outcome": Target(
        {"outcome_id": ID, "kind": OUTCOME_KIND, "occurred_at": TIME},
        {"value": AMOUNT, "customer_id": ID, "action": ID, "channel": NAME, "decision_id": ID, "rank": RANK},
    ),
}
