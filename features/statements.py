"""What is known of a person: statements, each of one source at one time, and the customer that they make together.

A statement holds only what it mentions: silence is none. It never overwrites what was said later, in whatever order
they come in. A refusal is undone only by a later, explicit grant that is dated, or by the very source that refused.

The fields of a statement are `created_at`, `zone`, `attributes.NAME`, `consents.KEY` (a key of `features.consent`), and
`opt_out.CHANNEL`, the customer's own no to a channel for every purpose, on the channel * to all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from features.consent import EVERY_CHANNEL, parsed
from features.domain import Customer, Scalar

CONSENTS, OPT_OUT, ATTRIBUTES = "consents.", "opt_out.", "attributes."


class Statement(msgspec.Struct, frozen=True, array_like=True):
    """What `source` said, in microseconds UTC `at` that time; where it is not `dated`, when it was first heard."""

    source: str
    at: int
    dated: bool
    fields: dict[str, Scalar]


def statement_of(customer: Customer, source: str, at: int, *, dated: bool = False) -> Statement:
    """All that is given of a customer, as one statement."""
    fields: dict[str, Scalar] = {}
    if customer.created_at is not None:
        fields["created_at"] = customer.created_at
    if customer.zone is not None:
        fields["zone"] = customer.zone
    fields |= {CONSENTS + key: text for key, text in customer.consents.items()}
    fields |= {ATTRIBUTES + name: value for name, value in customer.attributes.items()}
    return Statement(source, at, dated, fields)


def opt_out(channel: str, at: int) -> Statement:
    """The customer's no to a channel."""
    return Statement("opt-out", at, True, {OPT_OUT + channel: True})


def without_source(customer: Customer, since: int) -> list[Statement]:
    """What is known of a customer though no statement was kept: it gives way to any that comes.

    But a refusal is as new as `since`, for nobody knows when it was made.
    """
    fields = statement_of(customer, "", 0).fields
    refused = {key: v for key, v in fields.items() if key.startswith(CONSENTS) and _kind(v) == "refused"}
    rest = {key: v for key, v in fields.items() if key not in refused}
    return [Statement("", at, False, some) for at, some in ((0, rest), (since, refused)) if some]


def taken_in(known: Sequence[Statement], new: Statement) -> Sequence[Statement]:
    """`known` and what `new` adds to it; `known` itself where that is nothing. What is outlived for ever is dropped.

    Of dated statements the latest stays, of a consent the latest of each kind; of each source its last undated one. An
    undated one repeated is none: so an old file imported again revives nothing.
    """
    if not known:
        return (new,) if new.fields else known
    if any(one.fields == new.fields and one.source == new.source and not one.dated for one in known if not new.dated):
        return known  # what most rows of a second import are
    kept = dict(new.fields)
    rest = []
    for one in known:
        left = dict(one.fields)
        for key in one.fields.keys() & kept.keys() if one.dated == new.dated else ():
            if not _same_place(one, new, key):
                continue
            if _outlives(one, new, key):
                del kept[key]
            else:
                del left[key]
        if left:
            rest.append(one if len(left) == len(one.fields) else msgspec.structs.replace(one, fields=left))
    if not kept:
        return known
    return (*rest, new if len(kept) == len(new.fields) else msgspec.structs.replace(new, fields=kept))


def described(customer_id: str, statements: Sequence[Statement]) -> Customer:
    """The customer that statements make together."""
    if len(statements) == 1:
        whole = _as_said(customer_id, statements[0].fields)
        if whole is not None:
            return whole
    said: dict[str, list[tuple[Statement, Scalar]]] = {}
    for one in statements:
        for key, value in one.fields.items():
            said.setdefault(key, []).append((one, value))
    latest = {key: _latest(told) for key, told in said.items() if not key.startswith((CONSENTS, OPT_OUT))}
    created_at, zone = latest.pop("created_at", None), latest.pop("zone", None)
    attributes = {key.removeprefix(ATTRIBUTES): value for key, value in latest.items()}
    return Customer(
        customer_id,
        created_at if isinstance(created_at, int) else None,
        zone if isinstance(zone, str) else None,
        _consents(said),
        attributes,
    )


def _as_said(customer_id: str, fields: Mapping[str, Scalar]) -> Customer | None:
    """The customer of whom only this is said, as are most: 4 us instead of 25. None where it is not so simple."""
    plain: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {"consents": {}, "attributes": {}}
    for key, value in fields.items():
        table, name = _parts(key)
        if table in tables:
            tables[table][name] = value
        elif table:
            return None
        else:
            plain[name] = value
    return Customer(customer_id, plain.get("created_at"), plain.get("zone"), tables["consents"], tables["attributes"])


@lru_cache(maxsize=4_096)
def _parts(key: str) -> tuple[str, str]:
    """(table, name within it); the table is empty for what stands alone."""
    table, dot, name = key.partition(".")
    return (table, name) if dot else ("", key)


# -- which of two statements about the same stays ----------------------------------------------------------------------


def _same_place(one: Statement, new: Statement, key: str) -> bool:
    """Whether one of the two makes the other superfluous; both dated, or neither."""
    if not new.dated:
        return one.source == new.source
    return not key.startswith(CONSENTS) or _kind(one.fields[key]) == _kind(new.fields[key])


def _outlives(old: Statement, new: Statement, key: str) -> bool:
    """Whether the old one stays: said later, or just repeated, or a refusal by one who now only claims not to know."""
    before, after = old.fields[key], new.fields[key]
    if new.dated:
        return (old.at, _text(before)) >= (new.at, _text(after))
    return before == after or (key.startswith(CONSENTS) and (_kind(before), _kind(after)) == ("refused", "open"))


def _kind(consent: Scalar) -> str:
    """Of a consent: granted, refused, or open, which permits nothing and forbids nothing for good."""
    state = parsed(str(consent))[0]
    return "granted" if state == "granted" else "open" if state in ("unknown", "expired") else "refused"


def _latest(told: Iterable[tuple[Statement, Scalar]]) -> Scalar:
    """What was said last; of two at the same moment the dated one, then by the text, so that no order matters."""
    several = list(told)
    if len(several) == 1:
        return several[0][1]
    return max(several, key=lambda one: (one[0].at, one[0].dated, _text(one[1]), one[0].source))[1]


def _text(value: Scalar) -> bytes:
    return msgspec.json.encode(value)


# -- consents ----------------------------------------------------------------------------------------------------------


def _consents(said: Mapping[str, Sequence[tuple[Statement, Scalar]]]) -> dict[str, str]:
    """Key -> what holds of it. An opt-out speaks for every key of its channel, whatever its purpose."""
    spoken = {key.removeprefix(CONSENTS): told for key, told in said.items() if key.startswith(CONSENTS)}
    refused = {
        key.removeprefix(OPT_OUT): max(one.at for one, _ in said[key]) for key in said if key.startswith(OPT_OUT)
    }
    granted = {key: _granted_at(told) for key, told in spoken.items()}
    found = {}
    for key in dict.fromkeys((*spoken, *refused)):
        channel = key.rpartition("/")[2]
        opted_out = max((refused[c] for c in (channel, EVERY_CHANNEL) if c in refused), default=None)
        again = max(granted.get(key, _NEVER), granted.get(channel, _NEVER))
        if opted_out is not None and opted_out >= again:
            found[key] = "denied"
        elif key in spoken:
            found[key] = _standing(spoken[key], granted[key])
    return found


_NEVER = -(2**63)


def _granted_at(told: Iterable[tuple[Statement, Scalar]]) -> int:
    """When it was last granted by a statement that says when."""
    return max((one.at for one, value in told if one.dated and _kind(value) == "granted"), default=_NEVER)


def _standing(told: Sequence[tuple[Statement, Scalar]], granted_at: int) -> str:
    """The last refusal that no later grant has undone; without one the last that was said."""
    kinds = [(_kind(value), one, value) for one, value in told]
    standing = [(one, value) for kind, one, value in kinds if kind == "refused" and one.at >= granted_at]
    if not standing:
        # Of what was said at the same moment, what permits less.
        open_or_granted = [(one.at, kind == "open", _text(v), v) for kind, one, v in kinds if kind != "refused"]
        return str(max(open_or_granted)[3])
    return str(_latest(standing))
