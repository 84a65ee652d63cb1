"""What a field may hold: each kind turns a foreign value into ours, or says why it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.consent import STATES, parsed
from features.domain import MAX_ID_LENGTH, OutcomeKind, Scalar

_WHOLE = 2**63
_TRUE, _FALSE = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}


class BadValue(Exception):
    """Why a value cannot be taken."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of field. `is_free` fields, attributes and properties, may say `as` what they want to be read."""

    name: str
    convert: Callable[[Any], Any]
    is_time: bool = False
    is_list: bool = False
    is_free: bool = False


def plain(value: Any) -> str:
    """A value as a person would type it, for comparing across formats: 118, 118.0 and "118" are the same."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_text(value: Any) -> str:
    if not isinstance(value, str):
        if isinstance(value, dict | list | bytes):
            raise BadValue("a single value is needed, not a list, an object or bytes")
        value = plain(value)
    if "\x00" in value:
        raise BadValue("a NUL character in a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadValue("a text that is not UTF-8") from error
    return value


def text_up_to(length: int) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        text = as_text(value)
        if not 0 < len(text) <= length:
            raise BadValue(f"a text of 1 to {length} characters is needed, not of {len(text)}")
        return text

    return convert


def as_number(value: Any) -> float:
    """A finite number."""
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadValue(f"{value!r} is not a number")
    return number


def as_whole(value: Any) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else as_number(value)
    if number != int(number) or not -_WHOLE <= number < _WHOLE:
        raise BadValue(f"{value!r} is not a whole number of at most 18 digits")
    return int(number)


def as_boolean(value: Any) -> bool:
    said = plain(value).lower()
    if said not in _TRUE | _FALSE:
        raise BadValue(f"{value!r} is neither yes nor no")
    return said in _TRUE


def as_scalar(value: Any) -> Scalar:
    """A single value as it is; dates become ISO text, decimals numbers."""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return as_whole(value)
    if isinstance(value, float | Decimal):
        return as_number(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise BadValue("a single value is needed, not a list or an object")


def as_probability(value: Any) -> float:
    number = as_number(value)
    if not 0.0 < number <= 1.0:
        raise BadValue(f"{value!r} is not a probability above 0 and at most 1")
    return number


def as_days(value: Any) -> float:
    number = as_number(value)
    if not 0.0 < number <= 36_500.0:
        raise BadValue(f"{value!r} is not a number of days above 0 and at most 36500")
    return number


def as_rank(value: Any) -> int:
    rank = as_whole(value)
    if not 1 <= rank <= 1_000:
        raise BadValue(f"{value!r} is not a rank from 1 to 1000")
    return rank


def number_or_text(value: Any) -> float | str:
    """A number, also one written as text; any other text is an expression."""
    try:
        return as_number(value)
    except BadValue:
        return as_text(value)


def one_of(*choices: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in choices:
            raise BadValue(f"{value!r} is none of {', '.join(choices)}")
        return str(value)

    return convert


@lru_cache(maxsize=1_024)
def as_zone(value: Any) -> str:
    try:
        ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadValue(f"{value!r} is not a time zone like Europe/Berlin") from error
    return str(value)


def as_consent(value: Any) -> str:
    """A state, with the time it ends where it has one, as `features.consent` reads it."""
    text = as_text(value)
    if parsed(text)[0] == "invalid":
        known = ", ".join(state for state in STATES if state != "invalid")
        raise BadValue(f"{text!r} is no consent: one of {known}, or such as granted@2026-12-31")
    return text


def as_names(value: Any) -> tuple[str, ...]:
    """A list of names; a single text is a list of one."""
    given = value if isinstance(value, list | tuple) else [value]
    return tuple(name for one in given if (name := as_text(one).strip()))


ID = Kind("id", text_up_to(MAX_ID_LENGTH))
NAME = Kind("name", text_up_to(64))
TEXT = Kind("text", text_up_to(1_000))
SOURCE = Kind("source", text_up_to(128))
NUMBER = Kind("number", as_number)
NUMBER_OR_TEXT = Kind("number or text", number_or_text)
PROBABILITY = Kind("probability", as_probability)
DAYS = Kind("days", as_days)
RANK = Kind("rank", as_rank)
ZONE = Kind("zone", as_zone)
CONSENT = Kind("consent", as_consent)
OUTCOME_KIND = Kind("outcome kind", one_of(*OutcomeKind))
NAMES = Kind("names", as_names, is_list=True)
FREE = Kind("anything", as_scalar, is_free=True)

#: What `as` may say of a free field.
AS = {
    "text": TEXT,
    "number": NUMBER,
    "whole": Kind("whole", as_whole),
    "boolean": Kind("boolean", as_boolean),
}
