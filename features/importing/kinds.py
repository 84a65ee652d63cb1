"""What a field may hold: each kind turns a foreign value into ours, or says why it cannot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.consent import STATES, parsed
from features.domain import MAX_ID_LENGTH, OutcomeKind, Scalar
from features.importing.cells import EXACT, BadValue, clean, identity, plain, shown, truth
from features.importing.number_form import POINT, likely_form

_WHOLE = 2**63
#: The largest amount of money, either way: features hold money in whole millionths, 10^18 of them at most.
LARGEST_AMOUNT = 1e12
#: A number of 10^155 has no square, and one such would leave the spread of all others unknown.
_LARGEST_NUMBER = 1e100
#: What is decided with it counts 10^9 times in every estimate; 1e-320 has no reciprocal at all.
_LEAST_PROBABILITY = 1e-9
#: Python refuses to read more than 4,300 digits as one number.
_DIGITS = re.compile(r"[+-]?[0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of field. `is_free` fields, attributes and properties, may say `as` what they want to be read.

    A text that stands for a kind that `is_number` is read in the form that the mapping says of its file.
    """

    name: str
    convert: Callable[[Any], Any]
    is_time: bool = False
    is_list: bool = False
    is_free: bool = False
    is_number: bool = False


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


def as_id(length: int) -> Callable[[Any], str]:
    """What names something: 118 and 118.0 are the same, "007" is not 7. Raises BadValue for one that lost digits."""
    text = text_up_to(length)
    return lambda value: text(identity(value))


def as_number(value: Any) -> float:
    """A number that models can square and add up."""
    number = math.nan
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    elif isinstance(value, str) and (digits := POINT.plain(value.strip())) is not None:
        number = float(digits)
    if not math.isfinite(number):
        raise BadValue(f"{shown(value)} is not a number")
    if not -_LARGEST_NUMBER <= number <= _LARGEST_NUMBER:
        raise BadValue(f"{shown(value)} is beyond 10^100: nothing could be worked out with it")
    return number


def as_amount(value: Any) -> float:
    """Money, or a score."""
    amount = as_number(value)
    if not -LARGEST_AMOUNT <= amount <= LARGEST_AMOUNT:
        raise BadValue(f"{shown(value)} is beyond {LARGEST_AMOUNT:,.0f}, the largest amount that is added up")
    return amount


def as_whole(value: Any) -> int:
    """A whole number of 64 bits. What came as a float is refused where floats do not tell it from its neighbour."""
    text = value.strip() if isinstance(value, str) else plain(value)
    exact = bool(_DIGITS.fullmatch(text)) and not isinstance(value, float)
    number = int(text) if exact else as_number(value)
    if number != int(number) or not -_WHOLE <= number < _WHOLE:
        raise BadValue(f"{shown(value)} is not a whole number of at most 18 digits")
    if not exact and not abs(number) < EXACT:
        raise BadValue(f"{shown(value)} has lost digits: a number this long must be written as a whole number")
    return int(number)


def as_boolean(value: Any) -> bool:
    said = truth(value)
    if said is None:
        raise BadValue(f"{shown(value)} is neither yes nor no")
    return said


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
    raise BadValue("a text, a number, a date, or yes or no is needed, not a list, an object or bytes")


def as_probability(value: Any) -> float:
    number = as_number(value)
    if not 0.0 < number <= 1.0:
        raise BadValue(f"{shown(value)} is not a probability above 0 and at most 1")
    if number < _LEAST_PROBABILITY:
        raise BadValue(f"{shown(value)} is too small a probability: that one row would outweigh all others")
    return number


def as_days(value: Any) -> float:
    number = as_number(value)
    if not 0.0 < number <= 36_500.0:
        raise BadValue(f"{shown(value)} is not a number of days above 0 and at most 36500")
    return number


def as_rank(value: Any) -> int:
    rank = as_whole(value)
    if not 1 <= rank <= 1_000:
        raise BadValue(f"{shown(value)} is not a rank from 1 to 1000")
    return rank


def amount_or_text(value: Any) -> float | str:
    """An amount, also one written as text; any other text is an expression, unless it is a number of another form."""
    if isinstance(value, str) and POINT.plain(value) is None and likely_form([value]) is None:
        return as_text(value)
    return as_amount(value)


def one_of(*choices: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in choices:
            raise BadValue(f"{shown(value)} is none of {', '.join(choices)}")
        return str(value)

    return convert


def as_zone(value: Any) -> str:
    text = as_text(value)
    if not _is_zone(text):
        raise BadValue(f"{shown(value)} is not a time zone like Europe/Berlin")
    return text


@lru_cache(maxsize=1_024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def as_consent(value: Any) -> str:
    """A state, with the time it ends where it has one, as `features.consent` reads it."""
    text = as_text(value)
    if parsed(text)[0] == "invalid":
        known = ", ".join(state for state in STATES if state != "invalid")
        raise BadValue(f"{shown(text)} is no consent: one of {known}, or such as granted@2026-12-31")
    return text


def as_names(value: Any) -> tuple[str, ...]:
    """A list of names; a single text is a list of one. Missing members are none."""
    given = value if isinstance(value, list | tuple) else [value]
    return tuple(as_text(identity(one)) for one in given if clean(one) is not None)


ID = Kind("id", as_id(MAX_ID_LENGTH))
NAME = Kind("name", as_id(64))
TEXT = Kind("text", text_up_to(1_000))
SOURCE = Kind("source", text_up_to(128))
NUMBER = Kind("number", as_number, is_number=True)
AMOUNT = Kind("amount", as_amount, is_number=True)
AMOUNT_OR_TEXT = Kind("amount or text", amount_or_text, is_number=True)
PROBABILITY = Kind("probability", as_probability, is_number=True)
DAYS = Kind("days", as_days, is_number=True)
RANK = Kind("rank", as_rank, is_number=True)
ZONE = Kind("zone", as_zone)
CONSENT = Kind("consent", as_consent)
OUTCOME_KIND = Kind("outcome kind", one_of(*OutcomeKind))
NAMES = Kind("names", as_names, is_list=True)
FREE = Kind("anything", as_scalar, is_free=True)

#: What `as` may say of a free field.
AS = {
    "text": TEXT,
    "number": NUMBER,
    "whole": Kind("whole", as_whole, is_number=True),
    "boolean": Kind("boolean", as_boolean),
}
