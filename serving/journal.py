"""The service's log: one JSON line for each decision, with ids of ours and nothing of the customer."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from features.clock import format_time
from features.domain import Decision


class Journal:
    """Writes lines to a stream, or nowhere."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._encode = msgspec.json.Encoder().encode

    def decided(self, decision: Decision, seconds: float) -> None:
        if self._stream is None:
            return
        line = {
            "at": format_time(decision.decided_at),
            "decision_id": decision.decision_id,
            "result": decision.result,
            "reason": decision.reason,
            "fallback_reason": decision.fallback_reason,
            "arms": [item.arm.key for item in decision.items],
            "action_probability": decision.action_probability,
            "bundle": decision.versions.bundle,
            "policy": decision.versions.policy,
            "catalogue": decision.versions.catalogue,
            "attempt": decision.attempt,
            "milliseconds": round(seconds * 1e3, 3),
        }
        self._stream.write(self._encode(line) + b"\n")
        self._stream.flush()
