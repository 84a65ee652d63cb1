"""What a customer has consented to: a state for a purpose on a channel, at a moment.

`Customer.consents` maps `channel`, `purpose/channel`, `purpose/*` or `*` to `state` or `state@end`, an end in ISO 8601.
The most specific key wins, `purpose/channel` before the next two; between those two the stricter; `*`, every purpose on
every channel, counts where none of the three was said. A state that is past its end is `expired`, what was never said
is `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from features.clock import parse_time

#: From the most to the least permissive; anything that is none of these is `invalid`, the strictest.
STATES = ("granted", "unknown", "expired", "revoked", "denied", "invalid")
#: Stands for every channel.
EVERY_CHANNEL = "*"


def consent(consents: Mapping[str, str], purpose: str, channel: str, now: int | None) -> str:
    """One of STATES. Without a moment, what was said, whatever its end.

    >>> consent({"email": "denied", "service/email": "granted"}, "service", "email", 0)
    'granted'
    >>> consent({"email": "granted", "marketing/*": "revoked"}, "marketing", "email", 0)
    'revoked'
    >>> consent({"email": "granted@2026-01-01"}, "marketing", "email", parse_time("2026-01-01"))
    'expired'
    >>> consent({}, "marketing", "email", 0)
    'unknown'
    >>> consent({"*": "denied", "push": "granted"}, "marketing", "email", 0)
    'denied'
    >>> consent({"email": "granted@2026-01-01"}, "marketing", "email", None)
    'granted'
    """
    exact = consents.get(f"{purpose}/{channel}")
    if exact is not None:
        return _state_at(exact, now)
    wide = [text for key in (channel, f"{purpose}/*") if (text := consents.get(key)) is not None]
    if not wide and EVERY_CHANNEL in consents:
        return _state_at(consents[EVERY_CHANNEL], now)
    return max((_state_at(text, now) for text in wide), key=STATES.index, default="unknown")


def channels_spoken_of(consents: Mapping[str, str]) -> tuple[str, ...]:
    """The channels that the keys name, each once."""
    named = dict.fromkeys(key.rpartition("/")[2] for key in consents)
    return tuple(channel for channel in named if channel != EVERY_CHANNEL)


def _state_at(text: str, now: int | None) -> str:
    state, end = parsed(text)
    return state if end is None or now is None or now < end else "expired" if state == "granted" else state


@lru_cache(maxsize=1024)
def parsed(text: str) -> tuple[str, int | None]:
    """(state, end). What cannot be read is invalid: it permits nothing."""
    state, at, end = text.partition("@")
    if state not in STATES:
        return "invalid", None
    try:
        return state, parse_time(end) if at else None
    except (ValueError, OverflowError):
        return "invalid", None
