"""The BentoML service: one worker process joins the parts of `serving.wiring` and answers through their door.

The door is mounted as an ASGI application: an empty endpoint costs 0.48 ms that way and 1.05 ms as `@bentoml.api`.
BentoML's own metrics are off: their labels hold the raw path, which has no bound.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, cast

import bentoml
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from features.settings import load_settings
from serving.exchange import prefix_of
from serving.routes import READY, Door
from serving.wiring import build, calm_garbage, end_calm

DOOR = Door()
#: How addresses begin that are answered here as they are.
OURS = ("/v1/", "/docs", "/metrics", "/livez", "/readyz", "/healthz", "/static_content/")
# Tornado's word on the way it is stopped by a signal; said here, for what was imported above resets such filters.
warnings.filterwarnings("ignore", "add_callback_from_signal", DeprecationWarning)


class Readdressed:
    """What would be answered past us comes to us: `/readyz`, an address with a line break, which no route sees, and one
    that still has the path under which a proxy shows us."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = here = scope.get("path", "")
        if not path.startswith(OURS) and path:
            # A proxy that shows us under a path may leave that in the address.
            here = path.removeprefix(prefix_of(Headers(scope=scope))).replace("\n", " ") or "/"
        elif "\n" in path:
            here = path.replace("\n", " ")
        here = READY if here == "/readyz" else here
        await self._app(scope if here == path else {**scope, "path": here}, receive, send)


def _end_with_supervisor() -> None:
    """A worker whose supervisor was killed would keep the port and go on unseen: Linux ends it too (prctl(2))."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@bentoml.asgi_app(DOOR.app(), path="/")
@bentoml.service(
    name="segue",
    traffic={"timeout": 30},
    metrics={"enabled": False},
    # Spans nobody collects cost 0.1 ms of every request.
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
)
class Segue:
    """Next-best-action decisions. The home is named by the environment variable SEGUE_HOME."""

    def __init__(self) -> None:
        _end_with_supervisor()
        self.parts = build(load_settings(), DOOR)
        calm_garbage()

    @bentoml.on_shutdown
    def close(self) -> None:
        self.parts.close()
        end_calm()


cast(Any, Segue).add_asgi_middleware(Readdressed)
