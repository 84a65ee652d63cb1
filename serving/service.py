"""The BentoML service: one worker process joins the parts of `serving.wiring` and answers through their door.

The door is mounted as an ASGI application: an empty endpoint costs 0.48 ms that way and 1.05 ms as `@bentoml.api`.
BentoML's own metrics are off: their labels hold the raw path, which has no bound.
"""

from __future__ import annotations

import bentoml

from features.settings import load_settings
from serving.routes import Door
from serving.wiring import build, calm_garbage, end_calm

DOOR = Door()


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
        self.parts = build(load_settings(), DOOR)
        calm_garbage()

    @bentoml.on_shutdown
    def close(self) -> None:
        self.parts.close()
        end_calm()
