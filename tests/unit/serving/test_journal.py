"""One JSON line a decision, with ids of ours and nothing of the customer."""

from __future__ import annotations

import io
import json

from features.domain import DO_NOTHING, Decision, Item, Versions
from serving.exchange import Trace
from serving.journal import PORTION, Journal

ITEM = Item(1, DO_NOTHING, "none", 0.25, None, None, 0.0, 0.0, 0.0, None, 5, 5)


def decision(name: str) -> Decision:
    return Decision(name, "r-anna", "anna-4711", 5, (ITEM,), "do_nothing", None, None, Versions(None, "p", "c"))


def test_lines_come_in_order_when_they_are_flushed_and_once() -> None:
    out = io.BytesIO()
    journal = Journal(out)
    for name in ("d1", "d2"):
        journal.decided(decision(name), 0.0021)
    assert out.getvalue() == b""
    journal.flush()
    journal.flush()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["decision_id"] for line in lines] == ["d1", "d2"]
    assert (lines[0]["action_probability"], lines[0]["milliseconds"]) == (0.25, 2.1)
    assert b"anna" not in out.getvalue()


def test_without_a_stream_nothing_is_kept() -> None:
    journal = Journal(None)
    journal.decided(decision("d1"), 0.001)
    journal.flush()


def test_a_portion_is_never_more_than_a_pipe_takes_whole() -> None:
    class Pipe(io.BytesIO):
        def write(self, portion: bytes) -> int:  # type: ignore[override]
            portions.append(portion)
            return len(portion)

    portions: list[bytes] = []
    journal = Journal(Pipe())
    for n in range(50):
        journal.decided(decision(f"d{n}"), 0.001)
    journal.flush()
    assert max(map(len, portions)) <= PORTION
    assert all(portion.endswith(b"\n") for portion in portions)
    lines = [json.loads(line)["decision_id"] for line in b"".join(portions).splitlines()]
    assert lines == [f"d{n}" for n in range(50)]


def test_a_line_has_the_ids_its_caller_follows_it_by_where_there_are_any() -> None:
    out = io.BytesIO()
    journal = Journal(out)
    journal.decided(decision("d1"), 0.001, Trace("req-1"))
    journal.decided(decision("d2"), 0.001)
    journal.flush()
    traced, plain = (json.loads(line) for line in out.getvalue().splitlines())
    assert traced["x-request-id"] == "req-1"
    assert "traceparent" not in traced
    assert not {"x-request-id", "traceparent"} & set(plain)
