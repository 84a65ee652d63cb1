"""What HTTP carries beside a message: HEAD, packed bodies and answers, ids that come back, and a proxy's path."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from serving.routes import READY
from tests.unit.serving.test_routes import Client, ask, client

__all__ = ["client"]


def test_every_address_that_is_read_answers_head_alike(client: Client) -> None:
    decided = client("POST", "/v1/decide", ask()).json()["decision_id"]
    for path in (READY, "/metrics", "/docs", "/v1/openapi.json", "/v1/catalogue", f"/v1/decisions/{decided}", "/"):
        head, get = client("HEAD", path), client("GET", path)
        assert (head.status_code, head.headers["content-type" if path != "/" else "location"]) == (
            get.status_code,
            get.headers["content-type" if path != "/" else "location"],
        )
    assert client("HEAD", "/v1/nowhere").status_code == 404
    assert client("HEAD", "/v1/decide").status_code == 405


def test_a_packed_body_is_unpacked_up_to_the_limit(client: Client) -> None:
    body = json.dumps(ask()).encode()
    first = client("POST", "/v1/decide", body).content
    bare = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(body[:20]) + gzip.compress(body[20:]),
        "X-GZIP ": gzip.compress(body),
        "deflate": zlib.compress(body),
        "Deflate": bare.compress(body) + bare.flush(),
        "identity": body,
    }
    for encoding, content in packed.items():
        answer = client("POST", "/v1/decide", content, {"content-encoding": encoding})
        assert (answer.content, encoding) == (first, encoding)


BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("br", b"whatever", 415, "unsupported_encoding"),
        ("gzip, gzip", b"whatever", 415, "unsupported_encoding"),
        ("gzip", b"whatever", 400, "malformed_encoding"),
        ("deflate", b"whatever", 400, "malformed_encoding"),
        ("gzip", gzip.compress(b"{}" * 99)[:-9], 400, "malformed_encoding"),
        ("gzip", gzip.compress(b"{}") + b"more", 400, "malformed_encoding"),
        ("gzip", b"", 400, "malformed_json"),
        ("gzip", BOMB, 413, "too_large"),
        ("deflate", zlib.compress(b" " * 50_000_000), 413, "too_large"),
        ("gzip", gzip.compress(b"not json"), 400, "malformed_json"),
    ],
    # By number: a packed body holds the second it was packed in, and would name the case anew in every process.
    ids=[f"case {number}" for number in range(10)],
)
def test_what_is_packed_otherwise_or_too_large_is_said(
    client: Client, encoding: str, body: bytes, status: int, code: str
) -> None:
    for path in ("/v1/decide", "/v1/events", "/v1/outcomes", "/v1/shown"):
        answer = client("POST", path, body, {"content-encoding": encoding})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_only_large_answers_are_packed_and_only_for_who_takes_that(client: Client) -> None:
    small = client("POST", "/v1/decide", ask(), {"accept-encoding": "gzip"})
    assert "content-encoding" not in small.headers
    for accepted, packed in (("gzip", True), ("br, *;q=0.1", True), ("gzip;q=0, *", False), ("br", False), ("", False)):
        large = client("GET", "/v1/openapi.json", headers={"accept-encoding": accepted})
        assert ("content-encoding" in large.headers, large.headers["vary"]) == (packed, "accept-encoding")
        assert large.json()["openapi"] == "3.1.0"  # the client unpacks it


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_ids_a_caller_follows_a_request_by_come_back_whatever_the_answer(client: Client) -> None:
    sent = {"x-request-id": "req-1/a", "traceparent": PARENT}
    for method, path, body in (
        ("POST", "/v1/decide", ask()),
        ("POST", "/v1/decide", b"{"),
        ("GET", "/v1/nowhere", None),
        ("DELETE", "/v1/decide", None),
        ("GET", "/docs", None),
    ):
        headers = client(method, path, body, sent).headers
        assert {name: headers[name] for name in sent} == sent


@pytest.mark.parametrize("bad", ["", "x" * 129, "a b", 'a"b', "a,b", "a\tb", "é"])
def test_an_id_that_is_malformed_is_not_repeated(client: Client, bad: str) -> None:
    answer = client("GET", "/docs", headers={"x-request-id": bad.encode(), "traceparent": bad.encode()})
    assert answer.status_code == 200
    assert not {"x-request-id", "traceparent"} & set(answer.headers)


def test_behind_a_proxy_addresses_hold_and_nobody_is_sent_elsewhere(client: Client) -> None:
    behind = {"x-forwarded-prefix": "/segue/"}
    assert client("GET", "/", headers=behind).headers["location"] == "/segue/docs"
    assert client("GET", "/v1/openapi.json", headers=behind).json()["servers"][0]["url"] == "/segue"
    assert client("GET", "/v1/openapi.json").json()["servers"][0]["url"] == ".."
    page = client("GET", "/docs").text
    assert 'src="/' not in page
    assert 'href="/' not in page
    assert "http" not in page  # nothing from elsewhere
    for bad in ("//evil.example", "/a//b", "evil", "/a?b", "/<script>", "/a\\b"):
        assert client("GET", "/", headers={"x-forwarded-prefix": bad}).headers["location"] == "/docs"
