"""The wire: what requests may say, and how answers are written. DESIGN's contract, one struct a message.

Types, lengths and ranges are checked by msgspec while it parses; times and references are checked here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, get_args

import msgspec

from features.clock import LATEST, format_time, parse_time
from features.domain import DO_NOTHING, Arm, Decision, OutcomeKind, prepare
from features.errors import InvalidInput, Malformed, SegueError
from serving.duplicates import LIKE_A_FIELD, refuse_duplicates

#: Ids and names from outside: 1 to 128 characters, none of them a control character (PostgreSQL takes no NUL).
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Time = Annotated[str, msgspec.Meta(min_length=10, max_length=40, extra_json_schema={"format": "date-time"})]
Text = Annotated[str, msgspec.Meta(max_length=1000, pattern=r"^[^\x00]*$")]
#: Whole numbers that a double holds exactly, so that nothing changes on the way.
Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Money = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
#: The same range for broken ones: who writes 1e20 and who writes its digits get the same answer.
Number = Annotated[float, msgspec.Meta(ge=-(2**53), le=2**53)]
Value = Text | Whole | Number | bool | None
Values = Annotated[dict[Id, Value], msgspec.Meta(max_length=100)]


class _Message(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


#: What msgspec says of a field that has to be there, before its name.
_MISSING = "Object missing required field"


class Incumbent(_Message, frozen=True):
    action: Id
    #: Doing nothing needs none.
    channel: Id | None = None

    def __post_init__(self) -> None:
        if self.action != DO_NOTHING.action and self.channel is None:
            raise ValueError(f"{_MISSING} `channel`")

    @property
    def arm(self) -> Arm:
        if self.channel is None or self.action == DO_NOTHING.action:
            return DO_NOTHING
        return Arm(self.action, self.channel)


class DecideRequest(_Message, frozen=True):
    request_id: Id
    customer_id: Id
    channels: Annotated[tuple[Id, ...], msgspec.Meta(max_length=50)] | None = None
    placement: Id | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    intent: Id | None = None
    context: Values = {}
    explain: bool = False
    #: What whoever decided so far would do; in apprentice mode it is the answer.
    incumbent: Incumbent | None = None
    #: A look: answered as the request without it would be, and nothing is written. Absent from what is hashed.
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET


class ShownRequest(_Message, frozen=True):
    decision_id: Id
    rank: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    shown_at: Time | None = None


class OutcomeMessage(_Message, frozen=True):
    outcome_id: Id
    kind: OutcomeKind
    occurred_at: Time
    decision_id: Id | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    customer_id: Id | None = None
    action: Id | None = None
    #: That of the decision. Where none is named: which channel's it was, if that is known.
    channel: Id | None = None
    value: Money | None = None


class OutcomesRequest(_Message, frozen=True):
    outcomes: Annotated[tuple[OutcomeMessage, ...], msgspec.Meta(min_length=1, max_length=1000)]


class EventMessage(_Message, frozen=True):
    event_id: Id
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")]
    occurred_at: Time
    customer_id: Id | None = None
    anonymous_id: Id | None = None
    source: Id | None = None
    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    value: Money | None = None
    properties: Values = {}


class EventsRequest(_Message, frozen=True):
    events: Annotated[tuple[EventMessage, ...], msgspec.Meta(min_length=1, max_length=1000)]


prepare(DecideRequest, ShownRequest, OutcomeMessage, OutcomesRequest, EventMessage, EventsRequest)

T = TypeVar("T")


class Reader:
    """Parses bodies into messages. Made once: msgspec prepares each type."""

    def __init__(self) -> None:
        self._decoders: dict[type, Any] = {}

    def read(self, body: bytes, message: type[T]) -> T:
        """The message in `body`. Raises Malformed for what is not JSON, InvalidInput for what does not fit."""
        decoder = self._decoders.get(message)
        if decoder is None:
            decoder = self._decoders[message] = msgspec.json.Decoder(message)
        try:
            read: T = decoder.decode(body)
        except msgspec.ValidationError as error:
            _must_be_json(body)
            words, field = _explained(str(error), message)
            raise InvalidInput(words, field=field) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("the body is not JSON", code="malformed_json") from None
        refuse_duplicates(body)
        return read


def _must_be_json(body: bytes) -> None:
    """Raises Malformed: what does not fit may have been found before the end that is missing."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except RecursionError:
        return  # too deep to tell, and deeper than anything that fits
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("the body is not JSON", code="malformed_json") from None


_UNKNOWN = "Object contains unknown field `"


def _explained(text: str, wanted: type) -> tuple[str, str | None]:
    """(message, field) of msgspec's words, which name the place but never repeat a value."""
    if text.startswith(_UNKNOWN):
        return _unknown_field(text.removeprefix(_UNKNOWN), wanted)
    message, _, path = text.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".") or None
    if message.startswith(_MISSING):
        return "this field is needed", ".".join(filter(None, (field, message.split("`")[1])))
    if "regex" in message:
        return "must have no control characters, and only the characters such a name may have", field
    if message.startswith("Invalid enum value"):  # the wire has one enumeration
        return f"must be one of {', '.join(OutcomeKind)}", field
    return message[0].lower() + message[1:], field


def _unknown_field(text: str, wanted: type) -> tuple[str, str]:
    """The key is named where it looks like a field's name, and not like data. `text`: ``key` - at `$.place``."""
    key, found, path = text.rpartition("` - at `")
    given = key if found else text.removesuffix("`")
    name = given if LIKE_A_FIELD.fullmatch(given) else "unknown"
    place = path.removesuffix("`").removeprefix("$").lstrip(".") if found else ""
    known = ", ".join(field.name for field in msgspec.structs.fields(_message_at(place, wanted)))
    return f"there is no such field; there are {known}", f"{place}.{name}" if place else name


def _message_at(place: str, wanted: type) -> type:
    """The struct at a place within another, as `events[0]` within EventsRequest."""
    for name in re.findall(r"[a-z_]+", place):
        kinds = {field.name: field.type for field in msgspec.structs.fields(wanted)}
        wanted = _struct_in(kinds[name]) or wanted
    return wanted


def _struct_in(kind: Any) -> type | None:
    """The struct that a field's type is made of: of itself, of a tuple's elements, of what else it may be."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(filter(None, map(_struct_in, get_args(kind))), None)


def time_of(text: str, field: str) -> int:
    """Microseconds of a time on the wire. Raises InvalidInput."""
    try:
        moment = parse_time(text)
    except (ValueError, OverflowError):
        raise InvalidInput("must be a time in ISO 8601, like 2026-01-31T12:00:00Z", field=field) from None
    if not 0 <= moment <= LATEST:
        raise InvalidInput("must lie between 1970 and 9999", field=field)
    return moment


def answer(decision: Decision) -> dict[str, Any]:
    """The answer to a decide request, ready for JSON."""
    return {
        "decision_id": decision.decision_id,
        "request_id": decision.request_id,
        "customer_id": decision.customer_id,
        "decided_at": format_time(decision.decided_at),
        "items": [
            {
                "rank": item.rank,
                "action": item.arm.action,
                "channel": None if item.arm == DO_NOTHING else item.arm.channel,
                "content": item.content,
                "action_probability": item.action_probability,
                "p_accept": item.p_accept,
                "expected_value": item.expected_value,
                "priority": item.priority,
                "expires_at": format_time(item.expires_at),
            }
            for item in decision.items
        ],
        "result": decision.result,
        "reason": decision.reason,
        "fallback_reason": decision.fallback_reason,
        "defer_until": None if decision.defer_until is None else format_time(decision.defer_until),
        "variants": dict(decision.variants),
        "versions": {
            "bundle": decision.versions.bundle,
            "policy": decision.versions.policy,
            "catalogue": decision.versions.catalogue,
        },
        "replayed": False,
        # Only where there are any: all other answers stay what they were.
        **({"warnings": list(decision.warnings)} if decision.warnings else {}),
    }


def error_body(error: SegueError) -> bytes:
    """The one shape of every error."""
    return msgspec.json.encode({"error": {"code": error.code, "message": error.message, "field": error.field}})
