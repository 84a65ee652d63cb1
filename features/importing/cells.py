"""What stands in a cell, whatever the format it came in: missing or not, and as which text it is compared.

Blanks around a text do not count and a blank text is missing, as are null and NaN. 118, 118.0, "118.0" and a decimal
118.00 are the same; "007" and "1e2" are the texts that they are, and digits are never turned into a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

#: From here on, floats are further apart than 1: two ids may have become the same number.
EXACT = 2**53
_TRUE, _FALSE = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}
#: How data frames write whole numbers where the column has gaps: without leading zeros, nothing after the point.
_POINT_ZERO = re.compile(r"(-?[1-9][0-9]*|0)\.0+")
#: How spreadsheets and data frames write a number of too many digits: 1.23457E+11, or 1,23457E+11.
ROUNDED = re.compile(r"-?[0-9]([.,][0-9]+)?[eE]\+[0-9]{2,}")
#: How true and false are spelt by data frames and spreadsheets.
_SPELLINGS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
_LONGEST_SHOWN = 80


class BadValue(Exception):
    """Why a value cannot be taken."""


def clean(value: Any) -> Any:
    """The value, a text without blanks around it; None for what is missing: null, NaN, a blank text."""
    if isinstance(value, str):
        return value.strip() or None
    return None if value != value else value


def shown(value: Any) -> str:
    """The value as a message shows it, cut where it is long."""
    text = str(value) if isinstance(value, Decimal | date) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def plain(value: Any) -> str:
    """A value as a person would type it, for comparing across formats: 118, 118.0 and "118" are the same."""
    if isinstance(value, str):
        text = value.strip()
        whole = _POINT_ZERO.fullmatch(text) if text.endswith("0") else None
        return whole.group(1) if whole else text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
    return str(value)


def comparable(value: Any) -> str:
    """The text by which `where`, `null_if` and `map` compare: True and TRUE are the same as true."""
    text = plain(value)
    return _SPELLINGS.get(text, text)


def identity(value: Any) -> str:
    """The text by which ids and keys are the same. Raises BadValue for a number that has lost digits on its way."""
    if isinstance(value, dict | list | bytes):
        raise BadValue("a single value is needed, not a list, an object or bytes")
    text = plain(value)
    through_a_float = isinstance(value, float) or (isinstance(value, str) and text != value.strip())
    if through_a_float and not abs(float(text)) < EXACT:
        raise BadValue(f"{shown(value)} has lost digits: an id this long must be written as text or a whole number")
    if isinstance(value, str) and ROUNDED.fullmatch(text):
        raise BadValue(f"{shown(value)} has lost digits in a spreadsheet or data frame: write the id out, as text")
    return text


def truth(value: Any) -> bool | None:
    """Yes or no, in any of their spellings; None for anything else."""
    said = plain(value).lower()
    return True if said in _TRUE else False if said in _FALSE else None


@dataclass(frozen=True, slots=True)
class Among:
    """Values that a mapping lists: `texts` as `comparable` has them, and `truths`, which are met in any spelling."""

    texts: frozenset[str]
    truths: frozenset[bool] = frozenset()

    def has(self, value: Any) -> bool:
        return comparable(value) in self.texts or (bool(self.truths) and truth(value) in self.truths)

    def __bool__(self) -> bool:
        return bool(self.texts or self.truths)


def among(given: Any) -> Among:
    """What a mapping lists, as written there in TOML; a single value is a list of one."""
    listed = given if isinstance(given, list) else [given]
    truths = frozenset(one for one in listed if isinstance(one, bool))
    return Among(frozenset(comparable(one) for one in listed if not isinstance(one, bool)), truths)
