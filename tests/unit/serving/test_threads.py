"""What many threads read for the first time at the same moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Reads by 32 threads that switch as often as can be: without `prepare` one process in three ends by a signal.
TOGETHER = """
import sys, threading
import msgspec
from features.domain import Candidates, Decision
from serving.request import Inputs
from serving.schema import DecideRequest, EventsRequest, OutcomesRequest

sys.setswitchinterval(1e-6)
barrier, read = threading.Barrier(32), []

def one():
    barrier.wait()
    read.append(msgspec.convert({SAMPLE}, {TYPE}))

threads = [threading.Thread(target=one) for _ in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(read) == 32, len(read)
"""
ITEM = {
    **{"rank": 1, "arm": {"action": "a", "channel": "web"}, "action_group": "g", "action_probability": 1.0},
    **{"p_model": None, "p_accept": None, "action_value": 1.0, "expected_value": 1.0, "priority": 1.0},
    **{"content": None, "expires_at": 1, "closes_at": 1},
}
DECISION = {
    **{"decision_id": "d", "request_id": "r", "customer_id": "c", "decided_at": 1, "items": [ITEM], "result": "action"},
    **{"reason": None, "fallback_reason": None, "versions": {"bundle": None, "policy": "p", "catalogue": "c"}},
}
SLOT = {
    **{"arm": {"action": "a", "channel": "web"}, "action_group": "g", "action_class": "marketing"},
    **{"reserved_at": 1, "expires_at": 1, "state": "reserved"},
}
AT = "2026-01-01T00:00:00Z"
SAMPLES = {
    "Candidates": {"arms": ["a"], "removed": [0], "removals": [{"stage": "consent", "rule": "r"}], "columns": {}},
    "Decision": DECISION,
    "Inputs": {"limit": 1, "salt": "s", "layers": [], "knowledge": {"customer": None, "slots": [SLOT]}},
    "DecideRequest": {"request_id": "r", "customer_id": "c", "incumbent": {"action": "a", "channel": "web"}},
    "OutcomesRequest": {"outcomes": [{"outcome_id": "o", "decision_id": "d", "kind": "accepted", "occurred_at": AT}]},
    "EventsRequest": {"events": [{"event_id": "e", "customer_id": "c", "type": "session", "occurred_at": AT}]},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_threads_that_read_a_type_together_for_the_first_time_all_read_it(name: str) -> None:
    script = TOGETHER.replace("{SAMPLE}", repr(SAMPLES[name])).replace("{TYPE}", name)
    ended = subprocess.run([sys.executable, "-X", "faulthandler", "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
