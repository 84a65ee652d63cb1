"""The HTTP door: bodies in, bytes out, one shape for every error. Mounted into BentoML by `serving.service`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from features import clock
from features.errors import InvalidInput, Malformed, NotFound, NotReady, SegueError, TooLarge
from features.ledger import Ledger
from serving.decider import Decider
from serving.explain import explanation
from serving.intake import Intake, Taken
from serving.metrics import Metrics
from serving.openapi import DOCS_PAGE, description
from serving.runner import Runner
from serving.schema import (
    DecideRequest,
    EventMessage,
    EventsRequest,
    OutcomeMessage,
    OutcomesRequest,
    Reader,
    ShownRequest,
    error_body,
)

log = logging.getLogger("segue.http")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the door leads to."""

    decider: Decider
    intake: Intake
    ledger: Ledger
    metrics: Metrics
    runner: Runner
    max_body_bytes: int


Handler = Callable[[Request], Awaitable[Response]]
#: Where readiness is asked for: BentoML answers `/readyz` before us, so `serving.service` sends that here.
READY = "/v1/ready"
#: What BentoML answers after us.
_BENTOML = ("/static_content/", "/docs.json")


class _Rest(Route):
    """Every address that neither we nor BentoML know, with any method: its error has our schema too."""

    def __init__(self, path: str, endpoint: Handler) -> None:
        super().__init__(path, endpoint)
        self.methods = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith(_BENTOML) else super().matches(scope)


class Door:
    """The handlers. Work that waits, for a database elsewhere or the disk, runs on threads, so that it stops nobody.

    A door is made closed, because BentoML wants the application before the worker has its stores; until `open` every
    request is told to come back.
    """

    def __init__(self) -> None:
        self._rooms: Rooms | None = None
        self._reader = Reader()

    def open(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def close(self) -> None:
        """Lets the requests under way finish; later ones are told to come back."""
        rooms, self._rooms = self._rooms, None
        if rooms is not None:
            rooms.runner.close()

    def _open(self) -> Rooms:
        if self._rooms is None:
            raise NotReady("the service is starting or stopping; try again shortly")
        return self._rooms

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/v1/decide", self._safe(self.decide), methods=["POST"]),
            Route("/v1/shown", self._safe(self.shown), methods=["POST"]),
            Route("/v1/outcomes", self._safe(self.outcomes), methods=["POST"]),
            Route("/v1/events", self._safe(self.events), methods=["POST"]),
            Route(READY, self._safe(self.ready), methods=["GET"]),
            Route("/metrics", self._safe(self.metrics), methods=["GET"]),
            Route("/v1/decisions/{decision_id}", self._safe(self.decision), methods=["GET"]),
            Route("/v1/openapi.json", self._safe(_openapi), methods=["GET"]),
            Route("/docs", _docs, methods=["GET"]),
            Route("/", _home, methods=["GET"]),
            _Rest("/{path:path}", self._safe(_nothing_here)),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})

    async def decide(self, request: Request) -> Response:
        rooms = self._open()
        message = self._reader.read(await self._body(request), DecideRequest)
        decide = rooms.decider.look if message.dry_run is True else rooms.decider.decide
        answer = await self._run(lambda: decide(message, clock.now()))
        return _json(answer.body, headers={"segue-replayed": "true"} if answer.replayed else None)

    async def shown(self, request: Request) -> Response:
        rooms = self._open()
        message = self._reader.read(await self._body(request), ShownRequest)
        await self._run(lambda: rooms.intake.shown(message, clock.now()))
        return _json(b'{"accepted":1}')

    async def outcomes(self, request: Request) -> Response:
        rooms = self._open()
        body = await self._body(request)
        if _is_batch(body, "outcomes"):
            batch = self._reader.read(body, OutcomesRequest).outcomes
            return _taken(await self._run(lambda: rooms.intake.outcomes(batch, clock.now())), "outcome_id")
        one = (self._reader.read(body, OutcomeMessage),)
        return _taken(await self._run(lambda: rooms.intake.outcomes(one, clock.now())), "outcome_id", single=True)

    async def events(self, request: Request) -> Response:
        rooms = self._open()
        body = await self._body(request)
        if _is_batch(body, "events"):
            batch = self._reader.read(body, EventsRequest).events
            return _taken(await self._run(lambda: rooms.intake.events(batch, clock.now())), "event_id")
        one = (self._reader.read(body, EventMessage),)
        return _taken(await self._run(lambda: rooms.intake.events(one, clock.now())), "event_id", single=True)

    async def decision(self, request: Request) -> Response:
        rooms = self._open()
        decision_id = request.path_params["decision_id"]
        stored = await self._run(lambda: rooms.ledger.decision(decision_id))
        if stored.record is None:
            raise NotFound("this decision was imported: there is no record of how it was made", field="decision_id")
        return _json(msgspec.json.encode(explanation(msgspec.json.decode(stored.record), stored.items)))

    async def ready(self, _request: Request) -> Response:
        """Whether it can decide: the stores are open, and the ledger took what was last written."""
        rooms = self._open()
        if rooms.ledger.trouble is not None:
            raise rooms.ledger.trouble
        return _json(b'{"ready":true}')

    async def metrics(self, _request: Request) -> Response:
        return Response(self._open().metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _safe(self, handler: Handler) -> Handler:
        """Turns every error into the one schema. An unforeseen one is logged by its type, never with its input."""

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except SegueError as error:
                if error.status >= 500:
                    log.error("request failed: %s", error.code)
                return self._refused(error)
            except HTTPException:
                raise
            except ClientDisconnect:
                return self._refused(Malformed("the body ends too soon", code="hung_up"))  # nobody will read it
            except Exception as error:
                log.error("request failed: %s", type(error).__name__, exc_info=_without_values(error))
                return self._refused(SegueError("something went wrong on our side; it is logged", code="internal"))

        return guarded

    def _refused(self, error: SegueError) -> Response:
        if self._rooms is not None:
            self._rooms.metrics.refused(error.code)
        again = None if error.retry_after is None else {"retry-after": str(error.retry_after)}
        return _json(error_body(error), error.status, again)

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._open().runner.run(work)

    async def _body(self, request: Request) -> bytes:
        """The whole body, never more of it than allowed. Raises TooLarge."""
        limit = self._open().max_body_bytes
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise TooLarge(f"the body is larger than {limit} bytes")
        return bytes(body)


def _is_batch(body: bytes, name: str) -> bool:
    """Whether the body is an object that holds `name`; what is wrong with it is found by the real parse."""
    try:
        return isinstance(found := msgspec.json.decode(body), dict) and name in found
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _taken(taken: Taken, id_name: str, *, single: bool = False) -> Response:
    if single and taken.rejected:
        raise taken.rejected[0].error
    rejected = [{id_name: r.id, "code": r.error.code, "message": r.error.message} for r in taken.rejected]
    told = {"accepted": taken.appended.accepted, "duplicates": taken.appended.duplicates, "rejected": rejected}
    if taken.unattributed:
        told["unattributed"] = [{id_name: one.id, "reason": one.reason} for one in taken.unattributed]
    return _json(msgspec.json.encode(told))


def _without_values(error: Exception) -> Any:
    """The traceback without the message, which may repeat what the customer sent."""
    return (RuntimeError, RuntimeError(type(error).__name__), error.__traceback__)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: ("not_found", "there is nothing at this address"), 405: ("method_not_allowed", "wrong method")}
    code, message = words.get(status, ("http_error", "the request cannot be answered"))
    return _json(error_body(InvalidInput(message, code=code)), status, getattr(error, "headers", None))


async def _nothing_here(request: Request) -> Response:
    """The last route: an address we know with another method, or no address of ours."""
    partly = (route for route in request.app.routes if route.matches(request.scope)[0] == Match.PARTIAL)
    if methods := sorted(method for route in partly for method in route.methods):
        raise HTTPException(405, headers={"allow": ", ".join(methods)})
    raise NotFound("there is nothing at this address; see /docs")


async def _openapi(_request: Request) -> Response:
    return _json(msgspec.json.encode(description()))


async def _docs(_request: Request) -> Response:
    return HTMLResponse(DOCS_PAGE)


async def _home(_request: Request) -> Response:
    return RedirectResponse("/docs")
