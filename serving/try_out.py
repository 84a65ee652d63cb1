"""What "Try it out" on `/docs` sends: requests that work in the home at hand."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from features.catalogue import Catalogue
from features.clock import format_time
from features.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Example:
    """Names that requests use; as they are here they work nowhere, see `example_of`."""

    customer_id: str = "customer-1"
    channels: tuple[str, ...] = ()
    action: str = "an_action"
    decision_id: str = "d-0123456789abcdef0123456789abcd"
    content: str = "group/action/banner"
    now: int = 0


def example_of(catalogue: Catalogue, ledger: Ledger, now: int) -> Example:
    """Names that work in this home: some customer, the catalogue's channels, the last decision."""
    plain = Example()
    contents = (t.content for a in catalogue.actions.values() for t in a.treatments if t.content in catalogue.content)
    return Example(
        customer_id=next(iter(ledger.customer_ids(1)), plain.customer_id),
        channels=tuple(catalogue.channels),
        action=next(iter(catalogue.actions), plain.action),
        decision_id=ledger.latest_decision() or plain.decision_id,
        content=next(contents, None) or plain.content,
        now=now,
    )


def bodies_of(example: Example) -> dict[str, dict[str, Any]]:
    """Operation -> name -> body; ids are new ones each time, so that what is sent is not a repetition."""
    new, at = uuid.uuid4().hex[:12], format_time(example.now)
    asked: dict[str, Any] = {"request_id": f"try-{new}", "customer_id": example.customer_id}
    if example.channels:
        asked["channels"] = list(example.channels)
    outcome = {"outcome_id": f"try-{new}", "kind": "accepted", "occurred_at": at}
    event = {"event_id": f"try-{new}", "customer_id": example.customer_id, "type": "session", "occurred_at": at}
    return {
        "decide": {"A look, which changes nothing": asked | {"dry_run": True}, "A decision": asked | {"explain": True}},
        "shown": {"The first place": {"decision_id": example.decision_id, "rank": 1}},
        "outcomes": {
            "By customer and action": outcome | {"customer_id": example.customer_id, "action": example.action},
            "Of a decision": outcome | {"decision_id": example.decision_id},
        },
        "events": {"A visit": event, "Several": {"events": [event]}},
    }
