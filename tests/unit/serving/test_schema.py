"""What does not fit the contract is refused with its place, and never repeated back."""

from __future__ import annotations

import msgspec
import pytest

from features.domain import DO_NOTHING
from features.errors import InvalidInput, Malformed
from serving.schema import DecideRequest, OutcomeMessage, OutcomesRequest, Reader, error_body, time_of

READER = Reader()
SECRET = "anna-4711"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"request_id": NaN}',
        b'{"request_id": Infinity}',
        b"\xff\xfe",
        b'{"a"' * 3,
        b'{"limit": "x"',  # what does not fit comes before the end that is missing
        b'{"a":',
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        READER.read(body, DecideRequest)
    assert (caught.value.status, caught.value.code) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", None),
        (b'{"customer_id": "x"}', "request_id"),
        (b'{"request_id": "r", "customer_id": 5}', "customer_id"),
        (b'{"request_id": "r", "customer_id": ""}', "customer_id"),
        (b'{"request_id": "r", "customer_id": "a\\u0000b"}', "customer_id"),
        (b'{"request_id": "r", "customer_id": "' + b"x" * 129 + b'"}', "customer_id"),
        (b'{"request_id": "r", "customer_id": "c", "limit": 0}', "limit"),
        (b'{"request_id": "r", "customer_id": "c", "limit": 1.5}', "limit"),
        (b'{"request_id": "r", "customer_id": "c", "limit": true}', "limit"),
        (b'{"request_id": "r", "customer_id": "c", "channels": "web"}', "channels"),
        (b'{"request_id": "r", "customer_id": "c", "context": {"k": [1]}}', "context[...]"),
        (b'{"request_id": "r", "customer_id": "c", "context": {"k": 1e999}}', "context[...]"),
        (b'{"request_id": "r", "customer_id": "c", "context": {"k": 1e20}}', "context[...]"),
        (b'{"request_id": "r", "customer_id": "c", "context": {"k": 100000000000000000000}}', "context[...]"),
        (b'{"request_id": "r", "customer_id": "c", "chanels": ["anna-4711"]}', "chanels"),
        (b'{"request_id": "r", "customer_id": "c", "incumbent": {"channel": "web"}}', "incumbent.action"),
        (b'{"request_id": "r", "customer_id": "c", "incumbent": {"action": 5, "channel": "web"}}', "incumbent.action"),
        (b'{"request_id": "r", "customer_id": "c", "incumbent": {"action": "offer"}}', "incumbent.channel"),
        (b'{"request_id": "r", "customer_id": "c", "incumbent": {"action": "a", "chanel": "web"}}', "incumbent.chanel"),
        (b'{"request_id": "r", "customer_id": "c", "anna-4711": 1}', "unknown"),
        (b'{"request_id": "r", "customer_id": "c", "a`b - at `$.c`": 1}', "unknown"),
        (b'{"request_id": "r", "customer_id": "c", "' + b"x" * 500 + b'": 1}', "unknown"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        READER.read(body, DecideRequest)
    assert caught.value.status == 422
    assert caught.value.field == field
    assert SECRET not in caught.value.message
    assert set(msgspec.json.decode(error_body(caught.value))["error"]) == {"code", "message", "field"}


def test_an_outcome_of_an_unknown_kind_is_refused() -> None:
    body = b'{"outcome_id": "o", "decision_id": "d", "kind": "loved", "occurred_at": "2026-01-01T00:00:00Z"}'
    with pytest.raises(InvalidInput) as caught:
        READER.read(body, OutcomeMessage)
    assert caught.value.field == "kind"
    assert caught.value.message.startswith("must be one of ")
    assert ", accepted, " in caught.value.message
    assert "loved" not in caught.value.message


def test_a_batch_names_the_entry_that_is_wrong() -> None:
    with pytest.raises(InvalidInput) as caught:
        READER.read(b'{"outcomes": [{"outcome_id": 3}]}', OutcomesRequest)
    assert caught.value.field == "outcomes[0].outcome_id"
    with pytest.raises(InvalidInput, match="no such field") as caught:
        READER.read(b'{"outcomes": [{"outcome_id": "o", "decison_id": "d"}]}', OutcomesRequest)
    assert caught.value.field == "outcomes[0].decison_id"
    assert "there are outcome_id, kind," in caught.value.message
    with pytest.raises(InvalidInput, match="there are action, channel") as caught:
        READER.read(b'{"request_id": "r", "customer_id": "c", "incumbent": {"a": 1}}', DecideRequest)


def test_a_field_that_is_missing_in_a_batch_is_named_with_its_entry() -> None:
    with pytest.raises(InvalidInput, match="is needed") as caught:
        READER.read(b'{"outcomes": [{"outcome_id": "o"}]}', OutcomesRequest)
    assert caught.value.field == "outcomes[0].kind"


@pytest.mark.parametrize("channel", ["", ', "channel": null', ', "channel": "none"'])
def test_an_incumbent_that_would_do_nothing_needs_no_channel(channel: str) -> None:
    body = f'{{"request_id": "r", "customer_id": "c", "incumbent": {{"action": "do_nothing"{channel}}}}}'
    incumbent = READER.read(body.encode(), DecideRequest).incumbent
    assert incumbent is not None
    assert incumbent.arm == DO_NOTHING


def test_a_misspelt_field_is_told_with_the_fields_there_are() -> None:
    with pytest.raises(
        InvalidInput, match=r"there are request_id, customer_id, channels, placement, limit, "
    ) as caught:
        READER.read(b'{"request_id": "r", "customer_id": "c", "chanels": []}', DecideRequest)
    assert caught.value.field == "chanels"


@pytest.mark.parametrize(
    "text", ["yesterday!", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-01-01T00:00:00+99:00"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="must"):
        time_of(text, "occurred_at")
