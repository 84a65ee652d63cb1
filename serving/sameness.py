"""When two requests are the same: the order of keys and the spelling of numbers say nothing in JSON."""

from __future__ import annotations

import hashlib

import msgspec

from features.domain import Scalar
from serving.schema import DecideRequest

_EXACT = 2**53


def request_hash(message: DecideRequest) -> str:
    """The same for the same request, however its context is written: keys in order, 1.0 as 1.

    A request for a look has the hash of the request that it looks ahead to.
    """
    if message.dry_run is not msgspec.UNSET:
        message = msgspec.structs.replace(message, dry_run=msgspec.UNSET)
    if message.context:
        context = {key: _plain(value) for key, value in sorted(message.context.items())}
        message = msgspec.structs.replace(message, context=context)
    return _hash(message)


def is_same(message: DecideRequest, stored_hash: str) -> bool:
    """Whether a stored decision answers this request.

    Ledgers of before hold the hash of the request as it was written: a retry of the same bytes is known by that.
    """
    if stored_hash == request_hash(message):
        return True
    return stored_hash == _hash(msgspec.structs.replace(message, dry_run=msgspec.UNSET))


def _hash(message: DecideRequest) -> str:
    return hashlib.sha256(msgspec.json.encode(message)).hexdigest()


def _plain(value: Scalar) -> Scalar:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT else value
