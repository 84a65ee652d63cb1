"""The OpenAPI description of the HTTP door, made from the very structs that parse it, and the page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from features.domain import DO_NOTHING
from serving.schema import DecideRequest, EventMessage, EventsRequest, Id, OutcomeMessage, OutcomesRequest, ShownRequest

#: Swagger's viewer is served by BentoML from this machine: the page needs no network.
DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Segue: the decision service</title>
<link rel="stylesheet" href="/static_content/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/v1/openapi.json", dom_id: "#swagger-ui"})</script>
</body></html>
"""

_TEXT, _NUMBER, _BOOLEAN = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time"}


def description() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    messages = (DecideRequest, ShownRequest, OutcomeMessage, OutcomesRequest, EventMessage, EventsRequest, Id)
    schemas, components = msgspec.json.schema_components(messages, ref_template="#/components/schemas/{name}")
    by_type: dict[Any, dict[str, Any]] = dict(zip(messages, schemas, strict=True))
    outcome = {"allOf": [by_type[OutcomeMessage], _either(("decision_id",), ("customer_id", "action"))]}
    event = {"allOf": [by_type[EventMessage], _either(("customer_id",), ("anonymous_id",))]}
    outcomes = {"anyOf": [outcome, by_type[OutcomesRequest]]}
    events = {"anyOf": [event, by_type[EventsRequest]]}
    # Whoever would do nothing needs no channel for it.
    idle = {"properties": {"action": {"const": DO_NOTHING.action}}}
    incumbent = {"allOf": [components["Incumbent"], {"anyOf": [idle, *_either(("channel",))["anyOf"]]}]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Segue",
            "version": "1",
            "description": "For one customer at one moment: the best action and the channel to carry it.",
        },
        "paths": {
            "/v1/decide": {"post": _operation("Decide the next best action", by_type[DecideRequest], "Answer")},
            "/v1/shown": {"post": _operation("Say that an item was displayed", by_type[ShownRequest], "Accepted")},
            "/v1/outcomes": {"post": _operation("Say what the customer did with a decision", outcomes, "Heard")},
            "/v1/events": {"post": _operation("Say what a customer did anywhere", events, "Taken")},
            "/v1/decisions/{decision_id}": {"get": _explain(by_type[Id])},
        },
        "components": {"schemas": components | {"Incumbent": incumbent} | _ANSWERS},
    }


def _either(*sets: tuple[str, ...]) -> dict[str, Any]:
    """One of these sets of fields is there, and none of it null."""
    return {"anyOf": [{"required": list(names), "properties": dict.fromkeys(names, _TEXT)} for names in sets]}


def _operation(summary: str, body: dict[str, Any], answer: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": _responses(answer, ("400", "404", "409", "413", "422", "429", "503")),
    }


def _explain(decision_id: dict[str, Any]) -> dict[str, Any]:
    where = {"name": "decision_id", "in": "path", "required": True, "schema": decision_id}
    return {
        "summary": "Why a decision was made, and why not otherwise",
        "parameters": [where],
        "responses": _responses("Explanation", ("404", "503")),
    }


def _responses(answer: str, errors: tuple[str, ...]) -> dict[str, Any]:
    def shaped(name: str, words: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"description": words, "content": {"application/json": {"schema": schema}}}

    return {"200": shaped(answer, "Done")} | {code: shaped("Error", "Not done") for code in errors}


def _object(optional: Mapping[str, Any] = MappingProxyType({}), /, **properties: Any) -> dict[str, Any]:
    """`properties` are always there."""
    return {"type": "object", "properties": properties | dict(optional), "required": list(properties)}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_ITEM = _object(
    rank={"type": "integer"},
    action=_TEXT,
    channel=_maybe(_TEXT),
    content=_maybe(_TEXT),
    action_probability={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    p_accept=_maybe(_NUMBER),
    expected_value=_NUMBER,
    priority=_NUMBER,
    expires_at=_TIME,
)
_ANSWERS: dict[str, Any] = {
    "Error": _object(error=_object(code=_TEXT, message=_TEXT, field=_maybe(_TEXT))),
    "Accepted": _object(accepted={"type": "integer"}),
    "Taken": _object(
        accepted={"type": "integer"},
        duplicates={"type": "integer"},
        rejected={"type": "array", "items": {"type": "object"}},
    ),
    # What belongs to no decision is kept, and named with the reason.
    "Heard": {
        "allOf": [{"$ref": "#/components/schemas/Taken"}],
        "properties": {"unattributed": {"type": "array", "items": _object(outcome_id=_TEXT, reason=_TEXT)}},
    },
    "Explanation": _object(
        candidates={"type": "array", "items": {"type": "object"}}, summary={"type": "array", "items": _TEXT}
    ),
    "Answer": _object(
        {"warnings": {"type": "array", "items": {"enum": ["unknown_intent", "unknown_placement"]}}},
        decision_id=_TEXT,
        request_id=_TEXT,
        customer_id=_TEXT,
        decided_at=_TIME,
        items={"type": "array", "items": _ITEM, "minItems": 1},
        result={"enum": ["action", "do_nothing"]},
        reason=_maybe(_TEXT),
        fallback_reason=_maybe(_TEXT),
        defer_until=_maybe(_TIME),
        variants={"type": "object"},
        versions=_object(bundle=_maybe(_TEXT), policy=_TEXT, catalogue=_TEXT),
        replayed=_BOOLEAN,
    ),
}
