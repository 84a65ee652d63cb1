"""What HTTP carries beside a message: packed bodies, packed answers, and the ids by which callers trace a request."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from features.errors import Malformed, TooLarge, UnsupportedEncoding

#: Answers from this size on are packed for who takes that: a decision is not, it would cost more than it saves.
PACK_FROM_BYTES = 4_096
_TRACE = {
    b"x-request-id": re.compile(rb"[A-Za-z0-9_.:/+=@-]{1,128}"),
    b"traceparent": re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
}
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
#: zlib's `wbits` for each encoding of a body; many send deflate without the header that belongs to it.
_UNPACKED = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}

Headers = Iterable[tuple[bytes, bytes]]


class Trace(msgspec.Struct, frozen=True):
    """The ids a caller follows a request by, where it sent any that are well-formed."""

    request_id: str | None = None
    traceparent: str | None = None

    def headers(self) -> dict[str, str]:
        """As they are echoed."""
        named = {"x-request-id": self.request_id, "traceparent": self.traceparent}
        return {name: value for name, value in named.items() if value is not None}


def trace_of(headers: Headers) -> Trace | None:
    """What is malformed counts as not sent: it would go into the log and into other systems."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _TRACE and _TRACE[name].fullmatch(value):
            found[name] = value.decode()
    return Trace(found.get(b"x-request-id"), found.get(b"traceparent")) if found else None


async def body_of(request: Request, limit: int) -> bytes:
    """The whole body, unpacked; never more than `limit` bytes of it, packed or not.

    Raises TooLarge, UnsupportedEncoding, and Malformed for what cannot be unpacked.
    """
    encoding = ""
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding":
            encoding = value.decode("latin-1").strip().lower()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body) if encoding in ("", "identity") else _unpacked(bytes(body), encoding, limit)


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding not in _UNPACKED:
        raise UnsupportedEncoding(
            "a body may be packed by gzip or deflate, or not at all, and content-encoding says which",
            field="content-encoding",
        )
    for wbits in _UNPACKED[encoding]:
        with suppress(zlib.error):
            return _inflated(body, wbits, limit)
    raise Malformed(
        f"the body is not {encoding}, as content-encoding says, or it ends too soon",
        code="malformed_encoding",
        field="content-encoding",
    )


def _inflated(body: bytes, wbits: int, limit: int) -> bytes:
    """Never makes more than one byte above the limit. Raises zlib.error."""
    unpacked = b""
    while body:  # gzip may be several, one after another
        unpacker = zlib.decompressobj(wbits)
        unpacked += unpacker.decompress(body, limit + 1 - len(unpacked))
        if len(unpacked) > limit:
            raise _too_large(limit)
        if not unpacker.eof:
            raise zlib.error("ends too soon")
        body = unpacker.unused_data
    return unpacked


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes, as it comes or unpacked")


def finish(request: Request, response: Response, trace: Trace | None) -> Response:
    """Packs a large answer for who takes that, and echoes the caller's ids."""
    if trace is not None:
        response.headers.update(trace.headers())
    if len(response.body) >= PACK_FROM_BYTES:
        content = bytes(response.body)
        response.headers["vary"] = "accept-encoding"
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            packer = zlib.compressobj(5, wbits=31)
            response.body = packer.compress(content) + packer.flush()
            response.headers["content-encoding"] = "gzip"
            response.headers["content-length"] = str(len(response.body))
    return response


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding has gzip, or anything, with a weight above 0."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _, more = part.strip().partition(";")
        weights[name.strip()] = more.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get("gzip", weights.get("*", False))


def prefix_of(headers: Mapping[str, str]) -> str:
    """Under which path a proxy shows us, as it says in X-Forwarded-Prefix: `/segue`, or nothing."""
    given = headers.get("x-forwarded-prefix", "").rstrip("/")
    return given if _PREFIX.fullmatch(given) else ""
