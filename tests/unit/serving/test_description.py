"""`/docs`: every field has words, every word an answer may hold is listed, and what it sends works here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import serving
from features import errors
from features.errors import SegueError
from serving.openapi import description
from serving.try_out import Example, bodies_of
from serving.wire_words import CODES, FALLBACK_REASONS, FIELDS, REASONS
from tests.unit.serving.test_routes import SECRET, Client, client

__all__ = ["client"]
SOURCES = Path(serving.__file__).parent
DESCRIBED = description()
#: Modules whose errors no request meets: commands, and what is read at a start.
AWAY = {"contender", "batch", "replay", "refresh", "wiring", "explain"}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one)


def test_every_message_and_every_field_of_it_has_words_and_no_words_are_left_over() -> None:
    components = DESCRIBED["components"]["schemas"]
    for name, schema in components.items():
        fields = schema.get("properties", {})
        assert all(fields[field]["description"] for field in fields), name
        assert set(FIELDS.get(name, {})) - {""} <= set(fields) or name == "Incumbent", name
    assert set(FIELDS) <= set(components)


def test_every_operation_has_an_id_of_its_own_a_summary_and_its_errors_with_codes() -> None:
    operations = [one for path in DESCRIBED["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids) == 7
    for one in operations:
        assert one["summary"]
        for status, answer in one["responses"].items():
            assert answer["description"]
            if status != "200":
                assert answer["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]


def test_every_reference_leads_somewhere() -> None:
    names = {one["$ref"].rpartition("/")[2] for one in objects(DESCRIBED) if "$ref" in one}
    assert names <= set(DESCRIBED["components"]["schemas"])


def written(pattern: str) -> set[str]:
    """What the sources of requests' ways say in these places."""
    texts = [file.read_text() for file in SOURCES.glob("*.py") if file.stem not in AWAY and "cli" not in file.stem]
    return {found for text in texts for found in re.findall(pattern, text)}


def test_every_code_a_request_may_be_refused_with_is_listed() -> None:
    listed = {code for codes in CODES.values() for code in codes}
    assert written(r'code="([a-z_]+)"') - {"http_error", "unknown_catalogue", "no_previous_champion"} <= listed
    by_name = {
        cls.code: str(cls.status)
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, SegueError)
    }
    for status, codes in CODES.items():
        for code in codes:
            assert by_name.get(code, status) == status


def test_every_reason_is_listed() -> None:
    sources = (SOURCES / "engine.py").read_text() + (SOURCES / "apprentice.py").read_text()
    said = set(re.findall(r'"([a-z]+_[a-z_]+|holdout)"', sources))
    assert set(REASONS) - said <= {"deadline_exceeded", "holdout"} | said
    features = written(r'"(features_[a-z_]+|no_model)"')
    assert features - {"features_"} <= set(FALLBACK_REASONS) | {"features_opener"}


def test_what_try_it_out_sends_works_on_the_home_at_hand(client: Client) -> None:
    decided = client("POST", "/v1/decide", {"request_id": "r", "customer_id": SECRET}).json()
    described = client("GET", "/v1/openapi.json").json()
    for path, operations in described["paths"].items():
        if "post" in operations:
            examples = operations["post"]["requestBody"]["content"]["application/json"]["examples"]
            for name, example in examples.items():
                answer = client("POST", path, example["value"])
                assert answer.status_code == 200, (path, name, answer.text)
                assert answer.json().get("customer_id", SECRET) == SECRET
                assert answer.json().get("rejected", []) == []
        else:
            [*parameters] = operations["get"]["parameters"]
            for parameter in parameters:
                path = path.replace("{" + parameter["name"] + "}", parameter["example"])
            assert client("GET", path).status_code == 200, path
    assert decided["decision_id"] in json.dumps(described)


def test_what_it_sends_is_new_each_time() -> None:
    one, two = bodies_of(Example()), bodies_of(Example())
    ids = [bodies["decide"]["A decision"]["request_id"] for bodies in (one, two)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("headers", [{"x-forwarded-for": "10.0.0.7"}])
def test_no_customer_is_named_to_somebody_elsewhere(client: Client, headers: dict[str, str]) -> None:
    assert SECRET not in client("GET", "/v1/openapi.json", headers=headers).text
    assert SECRET in client("GET", "/v1/openapi.json").text
