"""The address of an online store: `host:port` of a Redis server, and options of its client after commas."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

from features.errors import InvalidInput

_HOST_AND_PORT = re.compile(r"([A-Za-z0-9_.-]+):(\d{1,5})")
#: Ours, beside those of the client: the word all keys end with.
PROJECT = "project"


@dataclass(frozen=True, slots=True)
class OnlineAddress:
    """`servers` are `host:port`, most often one; options are those of the Redis client, without `project`."""

    servers: tuple[str, ...]
    project: str
    options: Mapping[str, str]


def parse_online_address(text: str) -> OnlineAddress:
    """Raises InvalidInput that says what is wrong; an option's value, which may be a password, is never repeated."""
    parts = [part.strip() for part in text.split(",")]
    servers = tuple(part for part in parts if "=" not in part)
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    for server in servers:
        found = _HOST_AND_PORT.fullmatch(server)
        if found is None or not 0 < int(found[2]) < 65_536:
            raise _wrong(f"must be host:port of a Redis server, such as 127.0.0.1:6379, not {_shown(server)}")
    if not servers:
        raise _wrong("has options, but no host:port of a Redis server before them")
    project = options.pop(PROJECT, "segue")
    _check_options(options)
    return OnlineAddress(servers, project, options)


def _check_options(options: Mapping[str, str]) -> None:
    if not options:
        return
    from redis import Redis

    known = set(inspect.signature(Redis.__init__).parameters) - {"self", "host", "port"}
    for name in options:
        if name not in known:
            raise _wrong(
                f"has an option {name!r} that the Redis client does not know; the commonest are "
                "db, username, password, ssl and project"
            )
    if not options.get("db", "0").isdigit():
        raise _wrong("must have a whole number as db")


def _shown(server: str) -> str:
    """As it was written, unless there may be a password in it."""
    return "what is written there" if "@" in server or not server else repr(server)


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"online_store {what}", field="online_store")
