"""The yardstick: an empty `@bentoml.api` endpoint with the same input and the same output as a decision."""

from __future__ import annotations

from typing import Any

import bentoml
from pydantic import BaseModel


class DecideInput(BaseModel):
    request_id: str
    customer_id: str
    channels: list[str] | None = None
    placement: str | None = None
    limit: int = 1
    intent: str | None = None
    context: dict[str, Any] = {}
    explain: bool = False


ITEM = {
    "rank": 1,
    "action": "action_07",
    "channel": "email",
    "content": "bench/07/email",
    "action_probability": 0.90125,
    "p_accept": 0.08713912,
    "expected_value": 1.9312,
    "priority": 2.0391,
    "expires_at": "2026-01-02T00:00:00.000000Z",
}


@bentoml.service(name="empty", traffic={"timeout": 30})
class Empty:
    """Takes a decision request, answers a decision, does nothing in between."""

    @bentoml.api(route="/v1/decide", input_spec=DecideInput)
    def decide(self, **request: Any) -> dict[str, Any]:
        return {
            "decision_id": "d-000000000000000000000000000000",
            "request_id": request["request_id"],
            "customer_id": request["customer_id"],
            "decided_at": "2026-01-01T00:00:00.000000Z",
            "items": [ITEM],
            "result": "action",
            "reason": None,
            "fallback_reason": None,
            "defer_until": None,
            "variants": {"holdout": "everyone"},
            "versions": {"bundle": "b-000000000000", "policy": "epsilon-greedy-0.1/12", "catalogue": "000000000000"},
            "replayed": False,
        }
