"""Numbers as people write them: with a point or a comma, and with or without a sign between thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_DIGITS = r"[0-9]+"
#: Python would also take 1_000, infinity, nan and the digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: Signs that stand for the same: programs write a narrow or unbreakable blank, and a typographic apostrophe.
_ALIKE = {" ": " \u00a0\u202f\u2009", "'": "'\u2019"}
DECIMALS = (".", ",")
THOUSANDS = (".", ",", " ", "'")


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How a file writes numbers: `decimal` stands before the fraction, `thousands` (or nothing) between groups."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, text: str) -> str | None:
        """The number as `float` takes it; None for a text that is no number of this form.

        >>> NumberForm(",", ".").plain("1.234,50")
        '1234.50'
        >>> NumberForm(",", ".").plain("1.5") is None  # thousands are three digits
        True
        """
        if self.thousands:
            whole, point, fraction = text.partition(self.decimal)
            sign = f"[{re.escape(_ALIKE.get(self.thousands, self.thousands))}]"
            # Groups of two before the last: 12,34,567 as in India.
            grouped = rf"[+-]?[0-9]{{1,3}}({sign}[0-9]{{2,3}})*{sign}[0-9]{{3}}"
            if re.search(sign, whole) and not re.fullmatch(grouped, whole):
                return None
            text = re.sub(sign, "", whole) + point + fraction
        if self.decimal != ".":
            if "." in text:
                return None
            text = text.replace(self.decimal, ".")
        return text if _NUMBER.fullmatch(text) else None

    def __str__(self) -> str:
        """The lines of a mapping that say this form."""
        lines = [f'decimal = "{self.decimal}"'] if self.decimal != "." else []
        return "\n".join([*lines, f'thousands = "{self.thousands}"'] if self.thousands else lines)


POINT = NumberForm()
#: The forms that are offered to somebody whose numbers cannot be read, the likelier first.
_OFFERED = tuple(NumberForm(*form) for form in ((".", ","), (",",), (",", "."), (".", " "), (",", " "), (".", "'")))


def likely_form(texts: Iterable[str]) -> NumberForm | None:
    """The form in which most of these can be read as numbers, None where no form reads most.

    >>> print(likely_form(["29,85", "1.234,5"]))
    decimal = ","
    thousands = "."
    """
    given = list(texts)
    read = [(sum(form.plain(text) is not None for text in given), form) for form in _OFFERED]
    best = max(read, key=lambda one: one[0], default=(0, POINT))
    return best[1] if given and 2 * best[0] > len(given) else None
