"""Whatever is sent to the running service: one error schema, nothing of it in the log, and no harm to others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.clock import DAY, format_time, now

#: Stands for a person: no part of an answer or of the log may repeat it.
SECRET = "anna.4711"
ASKED = {"request_id": "bad-input", "customer_id": SECRET}
OUTCOME = {
    "outcome_id": f"outcome-of-{SECRET}",
    "decision_id": f"decision-of-{SECRET}",
    "kind": "accepted",
    "occurred_at": "2026-01-01T00:00:00Z",
}
LARGE = b'{"request_id": "' + b"x" * 2_000_000 + b'"}'
ERRORS: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/v1/decide", b'{"request_id": "anna.4711', 400, "malformed_json"),
    ("POST", "/v1/decide", b"\xff\xfe anna.4711", 400, "malformed_json"),
    ("POST", "/v1/decide", b"[" * 100_000, 422, "invalid_value"),
    ("POST", "/v1/outcomes", b'{"outcomes": ' * 10_000, 422, "invalid_value"),
    ("POST", "/v1/events", b'{"x": ' * 10_000, 422, "invalid_value"),
    ("POST", "/v1/decide", b'{"request_id": "anna.4711", "customer_id": NaN}', 400, "malformed_json"),
    (
        "POST",
        "/v1/decide",
        b'{"request_id": "r", "customer_id": "anna.4711", "context": {"x": -Infinity}}',
        400,
        "malformed_json",
    ),
    (
        "POST",
        "/v1/decide",
        b'{"request_id": "r", "customer_id": "anna.4711", "context": {"x": 1e999}}',
        422,
        "invalid_value",
    ),
    ("POST", "/v1/decide", {**ASKED, "anna.4711": 1}, 422, "invalid_value"),
    ("POST", "/v1/decide", {**ASKED, "limit": SECRET}, 422, "invalid_value"),
    ("POST", "/v1/decide", {**ASKED, "request_id": "anna.4711\u0000"}, 422, "invalid_value"),
    ("POST", "/v1/decide", {**ASKED, "customer_id": SECRET * 1_200}, 422, "invalid_value"),
    ("POST", "/v1/decide", [ASKED], 422, "invalid_value"),
    ("POST", "/v1/decide", LARGE, 413, "too_large"),
    ("POST", "/v1/outcomes", OUTCOME, 404, "unknown_decision"),
    ("POST", "/v1/outcomes", {**OUTCOME, "occurred_at": format_time(now() + DAY)}, 422, "in_the_future"),
    ("POST", "/v1/outcomes", {**OUTCOME, "occurred_at": SECRET * 2}, 422, "invalid_value"),
    ("POST", "/v1/outcomes", {**OUTCOME, "occurred_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid_value"),
    ("POST", "/v1/shown", {"decision_id": SECRET}, 404, "unknown_decision"),
    ("GET", f"/v1/decisions/{SECRET}", None, 404, "unknown_decision"),
    ("GET", "/v1/decisions/%00%ff", None, 404, "unknown_decision"),
    ("GET", "/v1/decisions/one%0Atwo", None, 404, "unknown_decision"),
    ("GET", "/one%0Atwo", None, 404, "not_found"),
    ("GET", f"/v1/{SECRET}", None, 404, "not_found"),
    ("GET", f"/{SECRET}", None, 404, "not_found"),
    ("POST", f"/elsewhere/{SECRET}", ASKED, 404, "not_found"),
    ("POST", f"/v1/{SECRET}", ASKED, 404, "not_found"),
    ("DELETE", "/v1/decide", None, 405, "method_not_allowed"),
    ("POST", "/docs", ASKED, 405, "method_not_allowed"),
]


@pytest.fixture(scope="module")
def client(service: Any) -> Iterator[httpx.Client]:
    with service.client() as open_client:
        yield open_client


@pytest.fixture(autouse=True)
def quiet_log(service: Any) -> Iterator[None]:
    """Whatever a test does, the log of the service says nothing of it."""
    before = service.child.log.stat().st_size
    yield
    said = service.child.log.read_bytes()[before:].decode()
    assert SECRET not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), ERRORS, ids=lambda x: str(x)[:40])
def test_bad_input_is_told_what_is_wrong_in_one_schema(
    client: httpx.Client, method: str, path: str, body: Any, status: int, code: str
) -> None:
    sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    answer = client.request(method, path, **sent)
    one_error(answer, status, code)
    assert ("allow" in answer.headers) == (status == 405)


def one_error(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["code"] == code
    assert SECRET not in answer.text


def test_a_large_body_that_does_not_announce_itself_is_refused_all_the_same(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(LARGE), 50_000):
            yield LARGE[start : start + 50_000]

    answer = client.post("/v1/decide", content=chunks())
    one_error(answer, 413, "too_large")


def test_who_hangs_up_halfway_disturbs_nobody(service: Any, client: httpx.Client) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=10) as one:
            one.sendall(b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{" + SECRET.encode())
    assert client.get("/readyz").status_code == 200


def test_an_outcome_told_twice_counts_once_and_a_batch_names_what_it_refuses(client: httpx.Client) -> None:
    decided = client.post("/v1/decide", json={"request_id": "twice", "customer_id": "sim-000001"}).json()
    told = {**OUTCOME, "decision_id": decided["decision_id"], "occurred_at": format_time(now())}
    assert client.post("/v1/outcomes", json=told).json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert client.post("/v1/outcomes", json=told).json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    mixed = client.post("/v1/outcomes", json={"outcomes": [told, {**told, "outcome_id": "other", "rank": 7}]})
    assert (mixed.status_code, mixed.json()["duplicates"]) == (200, 1)
    assert [(r["outcome_id"], r["code"]) for r in mixed.json()["rejected"]] == [("other", "unknown_decision")]


def test_the_pages_of_the_server_beside_ours_are_still_there(client: httpx.Client) -> None:
    assert "swagger" in client.get("/docs").text
    assert client.get("/static_content/swagger-ui.css").status_code == 200
    assert [client.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]


def test_the_log_is_where_it_is_looked_for(service: Any) -> None:
    log: Path = service.child.log
    assert log.read_bytes()
