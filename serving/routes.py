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
from starlette.responses import Response
from starlette.routing import Route

from features import clock
from features.catalogue import Catalogue
from features.errors import Malformed, NotFound, NotReady, SegueError
from features.ledger import Ledger
from serving import pages
from serving.decider import Decider
from serving.exchange import body_of, finish, prefix_of, trace_of
from serving.explain import explanation
from serving.intake import Intake, Taken
from serving.metrics import Metrics
from serving.offer import content, offer
from serving.openapi import description
from serving.pages import encoded, json_response
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
from serving.try_out import example_of

log = logging.getLogger("segue.http")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the door leads to."""

    decider: Decider
    intake: Intake
    ledger: Ledger
    metrics: Metrics
    #: The catalogue that decides now.
    catalogue: Callable[[], Catalogue]
    runner: Runner
    max_body_bytes: int


Handler = Callable[[Request], Awaitable[Response]]
#: Where readiness is asked for: BentoML answers `/readyz` before us, so `serving.service` sends that here.
READY = "/v1/ready"
#: Where a request keeps the ids its caller follows it by.
TRACE = "segue.trace"
LOOPBACK = ("127.0.0.1", "::1")


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
        post = {
            "/v1/decide": self.decide,
            "/v1/shown": self.shown,
            "/v1/outcomes": self.outcomes,
            "/v1/events": self.events,
        }
        get = {
            READY: self.ready,
            "/metrics": self.metrics,
            "/v1/decisions/{decision_id}": self.decision,
            "/v1/catalogue": self.catalogue,
            "/v1/content/{key:path}": self.content,
            "/v1/openapi.json": self.openapi,
            "/docs": pages.docs,
            "/": pages.home,
        }
        routes = [Route(path, self._safe(handler), methods=["POST"]) for path, handler in post.items()]
        routes += [Route(path, self._safe(handler), methods=["GET"]) for path, handler in get.items()]
        routes.append(pages.Rest("/{path:path}", self._safe(pages.nothing_here)))
        return Starlette(routes=routes, exception_handlers={HTTPException: pages.http_error})

    async def decide(self, request: Request) -> Response:
        rooms = self._open()
        message = self._reader.read(await self._body(request), DecideRequest)
        if message.dry_run is True:
            answer = await self._run(lambda: rooms.decider.look(message, clock.now()))
        else:
            answer = await self._run(lambda: rooms.decider.decide(message, clock.now(), request.scope[TRACE]))
        return json_response(answer.body, headers={"segue-replayed": "true"} if answer.replayed else None)

    async def shown(self, request: Request) -> Response:
        rooms = self._open()
        message = self._reader.read(await self._body(request), ShownRequest)
        await self._run(lambda: rooms.intake.shown(message, clock.now()))
        return json_response(b'{"accepted":1}')

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
        return encoded(explanation(msgspec.json.decode(stored.record), stored.items))

    async def catalogue(self, _request: Request) -> Response:
        return encoded(offer(self._open().catalogue(), clock.now()))

    async def content(self, request: Request) -> Response:
        return encoded(content(self._open().catalogue(), request.path_params["key"]))

    async def openapi(self, request: Request) -> Response:
        """The description; its examples are of this very home for who asks on this machine, and no proxy for others."""
        near = request.client is not None and request.client.host in LOOPBACK
        if self._rooms is None or not near or "x-forwarded-for" in request.headers:
            return encoded(description(prefix_of(request.headers)))
        rooms = self._rooms
        example = await self._run(lambda: example_of(rooms.catalogue(), rooms.ledger, clock.now()))
        return encoded(description(prefix_of(request.headers), example))

    async def ready(self, _request: Request) -> Response:
        """Whether it can decide: the stores are open, and the ledger took what was last written. And without which
        models it does, which is no reason to be given no requests."""
        rooms = self._open()
        if rooms.ledger.trouble is not None:
            raise rooms.ledger.trouble
        missing = rooms.decider.missing_models
        return json_response(msgspec.json.encode({"ready": True} | ({"models_missing": missing} if missing else {})))

    async def metrics(self, _request: Request) -> Response:
        return Response(self._open().metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _safe(self, handler: Handler) -> Handler:
        """Turns every error into the one schema. An unforeseen one is logged by its type, never with its input."""

        async def guarded(request: Request) -> Response:
            trace = request.scope[TRACE] = trace_of(request.scope["headers"])
            return finish(request, await answered(request), trace)

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except SegueError as error:
                if error.status >= 500:
                    log.error("request failed: %s", error.code)
                return self._refused(error)
            except HTTPException as error:
                return await pages.http_error(request, error)
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
        return json_response(error_body(error), error.status, again)

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._open().runner.run(work)

    async def _body(self, request: Request) -> bytes:
        return await body_of(request, self._open().max_body_bytes)


def _is_batch(body: bytes, name: str) -> bool:
    """Whether the body is an object that holds `name`; what is wrong with it is found by the real parse."""
    try:
        return isinstance(found := msgspec.json.decode(body), dict) and name in found
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _taken(taken: Taken, id_name: str, *, single: bool = False) -> Response:
    if single and taken.rejected:
        raise taken.rejected[0].error
    rejected = [{id_name: r.id, "code": r.error.code, "message": r.error.message} for r in taken.rejected]
    told = {"accepted": taken.appended.accepted, "duplicates": taken.appended.duplicates, "rejected": rejected}
    if taken.unattributed:
        told["unattributed"] = [{id_name: one.id, "reason": one.reason} for one in taken.unattributed]
    return encoded(told)


def _without_values(error: Exception) -> Any:
    """The traceback without the message, which may repeat what the customer sent."""
    return (RuntimeError, RuntimeError(type(error).__name__), error.__traceback__)
