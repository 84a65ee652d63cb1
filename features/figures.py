"""Figures as people read them: no powers of ten, no minus before a zero, moments to the minute."""

from __future__ import annotations

import math
import re

from features.clock import format_time

_EXACT = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}):\d{2}\.\d{6}Z")

#: From here on a figure is too long to be read, and below that too small to matter.
_LONG, _NOTHING = 1e21, 1e-9


def number(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    """So many digits that count; whole from 1,000 on; a dash for nothing, NaN included.

    >>> number(0.0123456), number(1234.567), number(0.00001234), number(-0.0), number(None)
    ('0.01235', '1,235', '0.00001234', '0', '–')
    >>> number(2.5, sign=True), number(-2e-12, sign=True), number(float("inf")), number(150.0)
    ('+2.5', '0', '∞', '150')
    """
    if value is None or math.isnan(value):
        return "–"
    size, before = abs(value), "-" if value < 0.0 else "+" if sign else ""
    if math.isinf(size):
        return f"{before}∞"
    if size < _NOTHING:
        return "0"
    if size >= _LONG:
        return f"{before}more than 10^21"
    if size >= 1_000.0:
        return f"{before}{size:,.0f}"
    places = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{size:.{places}f}"
    return before + (text.rstrip("0").rstrip(".") if "." in text else text)


def percent(share: float | None, places: int = 1, *, sign: bool = False) -> str:
    """A share, 0 .. 1, as percent.

    >>> percent(0.1234), percent(-0.0001, 0), percent(0.05, 0, sign=True), percent(None)
    ('12.3%', '0%', '+5%', '–')
    """
    if share is None or math.isnan(share):
        return "–"
    return f"{fixed(100.0 * share, places, sign=sign)}%"


def fixed(value: float, places: int, *, sign: bool = False) -> str:
    """So many digits after the point; what rounds to zero has no sign.

    >>> fixed(-0.001, 2), fixed(-1234.5, 2), fixed(0.004, 2, sign=True)
    ('0.00', '-1,234.50', '0.00')
    """
    text = f"{value:{'+' if sign else ''},.{places}f}"
    return text if any(digit in text for digit in "123456789") or "inf" in text else text.lstrip("+-")


def chance(p: float) -> str:
    """A p value.

    >>> chance(0.0321), chance(3e-9)
    ('0.032', 'less than 0.0001')
    """
    return "less than 0.0001" if p < 1e-4 else number(p, 2)


def moment(microseconds: int) -> str:
    """A moment in UTC, to the minute.

    >>> moment(90_000_000)
    '1970-01-01 00:01'
    """
    return format_time(microseconds)[:16].replace("T", " ")


def to_the_minute(text: str) -> str:
    """A text with its moments to the minute: records keep them to the microsecond.

    >>> to_the_minute("open again 2026-01-11T08:00:00.000000Z")
    'open again 2026-01-11 08:00 (UTC)'
    """
    return _EXACT.sub(r"\1 \2 (UTC)", text)
