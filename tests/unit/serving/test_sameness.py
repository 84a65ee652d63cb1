"""The same request is known however its JSON is written, and other requests are not taken for it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInput, Malformed
from serving.sameness import is_same, request_hash
from serving.schema import DecideRequest, EventsRequest, Reader

READER = Reader()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(-1e15, 1e15),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20),
)
CONTEXTS = st.dictionaries(st.text("abcdefgh_:\" '", min_size=1, max_size=5), SCALARS, max_size=6)


def asked(context: Any = None, **more: Any) -> dict[str, Any]:
    return {"request_id": "r1", "customer_id": "anna", "context": context or {}} | more


def read(body: Any) -> DecideRequest:
    return READER.read(body if isinstance(body, bytes) else json.dumps(body).encode(), DecideRequest)


def written_otherwise(value: Any) -> Any:
    """Whole numbers as broken ones, keys the other way round."""
    if isinstance(value, dict):
        return {key: written_otherwise(value[key]) for key in reversed(value)}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(CONTEXTS)
def test_order_blanks_escapes_and_spelling_of_numbers_make_no_other_request(context: dict[str, Any]) -> None:
    first = read(json.dumps(asked(context), ensure_ascii=True, indent=3).encode())
    turned = asked(written_otherwise(context))
    second = read(json.dumps(dict(reversed(turned.items())), ensure_ascii=False).encode())
    assert request_hash(first) == request_hash(second)
    assert is_same(second, request_hash(first))


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": True}), ({"a": 1}, {"a": "1"}), ({"a": None}, {}), ({"a": 1}, {"b": 1}), ({"a": 1}, {"a": 1.5})],
)
def test_what_is_not_the_same_value_is_not_the_same_request(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not is_same(read(asked(one)), request_hash(read(asked(other))))
    assert not is_same(read(asked(limit=2)), request_hash(read(asked())))


#: Hashes as ledgers of before have them, with the bodies they were made from.
BEFORE = [
    (
        b'{"request_id":"r1","customer_id":"anna"}',
        "e9e3254928f24c903af1d94df3bfbbeca331416f40928b207dbe0f573d43111e",
    ),
    (
        b'{"request_id":"r1","customer_id":"anna","context":{"b":2.0,"a":1},"channels":["web"],"explain":true}',
        "b95e43375cb370bdb7e3e7477e95613bf20aec955619a4d19857858e80757998",
    ),
    (
        b'{"request_id":"r1","customer_id":"anna","incumbent":{"action":"x","channel":"web"}}',
        "48b49959668f3f9e7bd025ea149fcbae7c958021fa8c0342e89517096840ae3d",
    ),
]


@pytest.mark.parametrize(("body", "stored"), BEFORE)
def test_a_retry_of_the_very_bytes_that_an_older_ledger_hashed_is_known(body: bytes, stored: str) -> None:
    assert is_same(read(body), stored)


def test_a_look_is_the_same_as_the_request_it_looks_ahead_to() -> None:
    plain = request_hash(read(asked({"b": 1})))
    assert {request_hash(read(asked({"b": 1}, dry_run=dry))) for dry in (True, False)} == {plain}
    literal = hashlib.sha256(msgspec.json.encode(read(asked({"b": 1, "a": 2.0})))).hexdigest()
    assert is_same(read(asked({"b": 1, "a": 2.0}, dry_run=True)), literal)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"request_id":"r","customer_id":"a","customer_id":"b"}', "customer_id"),
        (b'{"request_id":"r","customer_id":"a","context":{"x":1,"x":2}}', "x"),
        (b'{"request_id":"r","customer_id":"a","context":{"x":1,"\\u0078":2}}', "x"),
        (b'{"request_id" :"r","request_id"\t: "r","customer_id":"a"}', "request_id"),
        (b'{"request_id":"r","customer_id":"a","context":{"x:":"\\":","x":1,"x":1}}', "x"),
        (b'{"request_id":"r","customer_id":"a","incumbent":{"action":"do_nothing","action":"do_nothing"}}', "action"),
        (b'{"request_id":"r","customer_id":"a","context":{"anna@shop":1,"anna@shop":2}}', None),
    ],
)
def test_a_key_that_is_there_twice_is_refused_by_its_name(body: bytes, field: str | None) -> None:
    with pytest.raises(Malformed) as caught:
        read(body)
    assert (caught.value.code, caught.value.field, caught.value.status) == ("duplicate_key", field, 400)
    assert "anna" not in caught.value.message


def test_a_key_twice_deep_in_a_batch_is_refused_too() -> None:
    event = b'{"event_id":"e%d","customer_id":"a","type":"t","occurred_at":"2026-01-01T00:00:00Z","properties":{%s}}'
    batch = b'{"events":[%s,%s]}'
    assert len(READER.read(batch % (event % (1, b'"x":1'), event % (2, b'"x":1')), EventsRequest).events) == 2
    with pytest.raises(Malformed, match="twice"):
        READER.read(batch % (event % (1, b'"x":1'), event % (2, b'"x":1,"x":1')), EventsRequest)


@given(CONTEXTS, st.sampled_from([None, 1]))
def test_no_body_without_a_key_twice_is_refused_for_one(context: dict[str, Any], indent: int | None) -> None:
    assert read(json.dumps(asked(context), indent=indent).encode()).context == context


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9007199254740993", "123456789012345678901234567890"])
def test_numbers_that_no_double_holds_exactly_are_refused(number: str) -> None:
    with pytest.raises(InvalidInput):
        read(b'{"request_id":"r","customer_id":"a","context":{"x":%s}}' % number.encode())


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b'"\\ud800"', b'"\xed\xa0\x80"'])
def test_what_is_no_json_is_refused_as_such(value: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON"):
        read(b'{"request_id":"r","customer_id":"a","context":{"x":%s}}' % value)
