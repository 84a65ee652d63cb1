"""The OpenAPI description of the HTTP door, from the very structs that parse it and the words of `wire_words`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from features.domain import DO_NOTHING
from serving.schema import DecideRequest, EventMessage, EventsRequest, Id, OutcomeMessage, OutcomesRequest, ShownRequest
from serving.try_out import Example, bodies_of
from serving.wire_words import CODES, FALLBACK_REASONS, FIELDS, REASONS, STATUSES

_TEXT, _NUMBER, _BOOLEAN = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_WHOLE, _OBJECT = {"type": "integer"}, {"type": "object"}
_KEY = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$"}
_TIME = {"type": "string", "format": "date-time"}


def description(prefix: str = "", example: Example | None = None) -> dict[str, Any]:
    """The OpenAPI 3.1 document. `prefix` is the path a proxy shows us under; without one, addresses are relative."""
    example = example or Example()
    messages = (DecideRequest, ShownRequest, OutcomeMessage, OutcomesRequest, EventMessage, EventsRequest, Id)
    schemas, components = msgspec.json.schema_components(messages, ref_template="#/components/schemas/{name}")
    by_type: dict[Any, dict[str, Any]] = dict(zip(messages, schemas, strict=True))
    # Who opts out need not say of what.
    opted_out = {"required": ["customer_id"], "properties": {"customer_id": _TEXT, "kind": {"const": "opted_out"}}}
    named = {"anyOf": [*_either(("decision_id",), ("customer_id", "action"))["anyOf"], opted_out]}
    outcome = {"allOf": [by_type[OutcomeMessage], named]}
    event = {"allOf": [by_type[EventMessage], _either(("customer_id",), ("anonymous_id",))]}
    components = _worded(components | _ANSWERS)
    # Whoever would do nothing needs no channel for it.
    idle = {"properties": {"action": {"const": DO_NOTHING.action}}}
    incumbent = {"allOf": [components["Incumbent"], {"anyOf": [idle, *_either(("channel",))["anyOf"]]}]}
    bodies = {
        "decide": by_type[DecideRequest],
        "shown": by_type[ShownRequest],
        "outcomes": {"anyOf": [outcome, by_type[OutcomesRequest]]},
        "events": {"anyOf": [event, by_type[EventsRequest]]},
    }
    posts = {
        "/v1/" + name: {"post": _post(name, *_POSTS[name], body, bodies_of(example)[name])}
        for name, body in bodies.items()
    }
    gets = {
        "/v1/decisions/{decision_id}": {"get": _get("explain", "decision_id", by_type[Id], example.decision_id)},
        "/v1/catalogue": {"get": _get("catalogue")},
        "/v1/content/{key}": {"get": _get("content", "key", _KEY, example.content)},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Segue",
            "version": "1",
            "description": "For one customer at one moment: the best action and the channel to carry it.",
        },
        "servers": [{"url": prefix or "..", "description": "this service"}],
        "paths": posts | gets,
        "components": {"schemas": components | {"Incumbent": incumbent}},
    }


#: Operation -> summary, answer.
_POSTS = {
    "decide": ("Decide the next best action", "Answer"),
    "shown": ("Say that an item was displayed", "Accepted"),
    "outcomes": ("Say what the customer did with a decision", "Heard"),
    "events": ("Say what a customer did anywhere", "Taken"),
}
_GETS = {
    "explain": ("Why a decision was made, and why not otherwise", "Explanation", ("404", "503")),
    "catalogue": ("What may be decided now: the names that requests use", "Offer", ("503",)),
    "content": ("What the key of an item's content stands for", "Content", ("404", "503")),
}


def _worded(components: dict[str, Any]) -> dict[str, Any]:
    """With what each of them and of their fields means."""
    return {
        name: schema
        | ({"description": FIELDS[name][""]} if FIELDS.get(name, {}).get("") else {})
        | (
            {
                "properties": {
                    field: {**inner, "description": FIELDS.get(name, {}).get(field, "")}
                    for field, inner in schema["properties"].items()
                }
            }
            if "properties" in schema
            else {}
        )
        for name, schema in components.items()
    }


def _either(*sets: tuple[str, ...]) -> dict[str, Any]:
    """One of these sets of fields is there, and none of it null."""
    return {"anyOf": [{"required": list(names), "properties": dict.fromkeys(names, _TEXT)} for names in sets]}


def _post(name: str, summary: str, answer: str, body: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    shown = {words: {"summary": words, "value": value} for words, value in examples.items()}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["segue"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "examples": shown}}},
        "responses": _responses(answer, ("400", "404", "409", "413", "415", "422", "429", "500", "503")),
    }


def _get(name: str, parameter: str | None = None, schema: object = None, example: str = "") -> dict[str, Any]:
    summary, answer, errors = _GETS[name]
    where = {"name": parameter, "in": "path", "required": True, "schema": schema, "example": example}
    words = FIELDS["ShownRequest"]["decision_id"] if parameter == "decision_id" else FIELDS["Item"]["content"]
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["segue"],
        "parameters": [] if parameter is None else [where | {"description": words}],
        "responses": _responses(answer, errors),
    }


def _responses(answer: str, errors: tuple[str, ...]) -> dict[str, Any]:
    def shaped(schema: dict[str, Any], words: str) -> dict[str, Any]:
        return {"description": words, "content": {"application/json": {"schema": schema}}}

    def error(status: str) -> dict[str, Any]:
        code = {"properties": {"error": {"properties": {"code": {"enum": list(CODES[status])}}}}}
        return shaped({"allOf": [_ref("Error"), code]}, STATUSES[status])

    return {"200": shaped(_ref(answer), "Done")} | {status: error(status) for status in errors}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(optional: Mapping[str, Any] = MappingProxyType({}), /, **properties: Any) -> dict[str, Any]:
    """`properties` are always there."""
    return {"type": "object", "properties": properties | dict(optional), "required": list(properties)}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema, **more}


_TAKEN = {"accepted": _WHOLE, "duplicates": _WHOLE, "rejected": _list(_OBJECT)}
_ANSWERS: dict[str, Any] = {
    "Error": _object(error=_ref("ErrorDetail")),
    "ErrorDetail": _object(code=_TEXT, message=_TEXT, field=_maybe(_TEXT)),
    "Accepted": _object(accepted=_WHOLE),
    "Taken": _object(**_TAKEN),
    "Heard": _object({"unattributed": _list(_ref("Unattributed"))}, **_TAKEN),
    "Unattributed": _object(outcome_id=_TEXT, reason=_TEXT),
    "Explanation": _object(candidates=_list(_OBJECT), summary=_list(_TEXT)),
    "Item": _object(
        rank=_WHOLE,
        action=_TEXT,
        channel=_maybe(_TEXT),
        content=_maybe(_TEXT),
        action_probability={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        p_accept=_maybe(_NUMBER),
        expected_value=_NUMBER,
        priority=_NUMBER,
        expires_at=_TIME,
    ),
    "Versions": _object(bundle=_maybe(_TEXT), policy=_TEXT, catalogue=_TEXT),
    "Answer": _object(
        {
            "warnings": _list({"enum": ["unknown_intent", "unknown_placement"]}),
            "dry_run": {"const": True},
            "candidates": _list(_OBJECT),
            "summary": _list(_TEXT),
        },
        decision_id=_maybe(_TEXT),
        request_id=_TEXT,
        customer_id=_TEXT,
        decided_at=_TIME,
        items=_list(_ref("Item"), minItems=1),
        result={"enum": ["action", "do_nothing"]},
        reason={"enum": [*REASONS, None]},
        fallback_reason={"enum": [*FALLBACK_REASONS, None]},
        defer_until=_maybe(_TIME),
        variants=_OBJECT,
        versions=_ref("Versions"),
        replayed=_BOOLEAN,
    ),
    "Offer": _object(
        version=_TEXT,
        channels=_list(_object(id=_TEXT, outbound=_BOOLEAN, reports=_TEXT, reports_display=_BOOLEAN)),
        placements=_list(_TEXT),
        intents=_list(_object(id=_TEXT, weights=_list(_OBJECT))),
        groups=_list(_object(id=_TEXT, exclusive=_BOOLEAN)),
        actions=_list(_object(id=_TEXT, name=_TEXT, group=_maybe(_TEXT), treatments=_list(_OBJECT))),
    ),
    "Content": _object(id=_TEXT, title=_TEXT, body=_TEXT, url=_TEXT, data=_OBJECT, catalogue=_TEXT),
}
