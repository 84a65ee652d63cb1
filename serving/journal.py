"""The service's log: one JSON line for each decision, with ids of ours and nothing of the customer."""

from __future__ import annotations

from collections import deque
from typing import BinaryIO

import msgspec

from features.clock import format_time
from features.domain import Decision
from serving.exchange import Trace

#: Bytes that a pipe takes whole (PIPE_BUF on Linux).
PORTION = 4_096


class Journal:
    """Writes lines to a stream, or nowhere. Lines wait for `flush`: writing each at once costs 0.28 ms of a decision,
    and what must not be lost is in the ledger."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._encode = msgspec.json.Encoder().encode
        self._waiting: deque[bytes] = deque()

    def decided(self, decision: Decision, seconds: float, trace: Trace | None = None) -> None:
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
        if trace is not None:  # under names of their own: a request id of ours is another thing
            line |= trace.headers()
        self._waiting.append(self._encode(line))

    def flush(self) -> None:
        """Writes the lines that wait, a few at a time: what another worker writes to the same pipe never mixes in."""
        if self._stream is None:
            return
        portion = b""
        for _ in range(len(self._waiting)):
            line = self._waiting.popleft() + b"\n"
            if len(portion) + len(line) > PORTION:
                self._write(portion)
                portion = b""
            portion += line
        self._write(portion)

    def _write(self, portion: bytes) -> None:
        if self._stream is not None and portion:
            self._stream.write(portion)
            self._stream.flush()
