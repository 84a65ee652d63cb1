"""Addresses that are about the service itself: its description, the page that shows it, and all that lead nowhere."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from features.errors import InvalidInput, NotFound
from serving.exchange import prefix_of
from serving.schema import error_body

#: Swagger's viewer is served by BentoML from this machine: the page needs no network. Its addresses are relative, so
#: that they hold behind a proxy that shows us under another path.
DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Segue: the decision service</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="static_content/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "v1/openapi.json", dom_id: "#swagger-ui", tryItOutEnabled: true, validatorUrl: null})
</script>
</body></html>
"""
#: What BentoML answers after us.
_BENTOML = ("/static_content/", "/docs.json")
_WORDS = {404: ("not_found", "there is nothing at this address"), 405: ("method_not_allowed", "wrong method")}


class Rest(Route):
    """Every address that neither we nor BentoML know, with any method: its error has our schema too."""

    def __init__(self, path: str, endpoint: object) -> None:
        super().__init__(path, endpoint)  # type: ignore[arg-type]
        self.methods = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith(_BENTOML) else super().matches(scope)


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def encoded(value: object) -> Response:
    """A value as JSON."""
    return json_response(msgspec.json.encode(value))


async def http_error(_request: Request, error: Exception) -> Response:
    """The one shape of errors for what Starlette refuses itself."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, message = _WORDS.get(status, ("http_error", "the request cannot be answered"))
    return json_response(error_body(InvalidInput(message, code=code)), status, getattr(error, "headers", None))


async def nothing_here(request: Request) -> Response:
    """The last route: an address we know with another method, or no address of ours."""
    partly = (route for route in request.app.routes if route.matches(request.scope)[0] == Match.PARTIAL)
    if methods := sorted(method for route in partly for method in route.methods):
        raise HTTPException(405, headers={"allow": ", ".join(methods)})
    raise NotFound("there is nothing at this address; see /docs")


async def docs(_request: Request) -> Response:
    return HTMLResponse(DOCS_PAGE)


async def home(request: Request) -> Response:
    return RedirectResponse(prefix_of(request.headers) + "/docs")
