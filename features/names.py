"""Names of features that are safe wherever features go: SQL, CEL, Feast, a model's columns. One text, one name.

A name is made of what it stands for alone, so no value that comes later can take it over. A plain text (lower-case
letters and digits, single underscores between them) stands for itself; any other is spelled in words after a double
underscore, which no plain text has. So two texts never share a spelling, as SQL's being blind to case would have them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

#: Longer names end in a hash of the whole.
LONGEST = 100
_TAIL = 12
# Feast's join on DuckDB drops columns that end in _y, so what could end a name so is not plain.
_PLAIN = re.compile(r"(?!(.*_)?y$)[a-z0-9]+(_[a-z0-9]+)*")
_PIECE = re.compile(r"[A-Z][A-Z0-9]+|[A-Z][a-z0-9]*|[a-z0-9]+|(?s:.)")
_CODE_POINT = re.compile(r"x[0-9a-f]+")
_SIGNS = {
    " ": "space",
    "+": "plus",
    "-": "minus",
    "_": "underscore",
    ".": "dot",
    ",": "comma",
    "/": "slash",
    "&": "and",
    "%": "percent",
    "'": "quote",
    ":": "colon",
    "(": "open",
    ")": "close",
    "<": "less",
    ">": "more",
    "=": "equals",
    "#": "hash",
    "@": "at",
    "$": "dollar",
}
_CAPITAL, _CAPITALS, _EMPTY, _END = "cap", "caps", "empty", "end"
_TAKEN = {*_SIGNS.values(), _CAPITAL, _CAPITALS, _EMPTY, _END}


def is_plain(text: str) -> bool:
    """Whether a text is its own spelling.

    >>> [is_plain(text) for text in ("new_york", "Gold", "a__b", "3", "y", "")]
    [True, False, False, True, False, False]
    """
    return _PLAIN.fullmatch(text) is not None


def joined(prefix: str, text: str) -> str:
    """A name that begins with a prefix and goes on with any text: prefix_text, or prefix__words. Not yet `fitted`.

    >>> joined("tier_is", "gold"), joined("tier_is", "Gold"), joined("rating_is", "A+"), joined("city_is", "東京")
    ('tier_is_gold', 'tier_is__cap_gold', 'rating_is__cap_a_plus', 'city_is__x6771_x4eac')
    """
    return f"{prefix}_{text}" if is_plain(text) else spelled(prefix, text)


def spelled(prefix: str, text: str) -> str:
    """The same for a text that is to be spelled though it is plain, because it would be mistaken for something else.

    >>> spelled("attribute", "phone_is_valid")
    'attribute__phone_is_valid'
    """
    words = list(_words(text)) or [_EMPTY]
    return f"{prefix}__{'_'.join([*words, _END] if words[-1] == 'y' else words)}"


def fitted(name: str) -> str:
    """The name itself, or its beginning and a hash of the whole where it is too long for a column."""
    return name if len(name) <= LONGEST else tailed(name[: LONGEST - _TAIL - 2], name)


def tailed(name: str, of: str) -> str:
    """The name with a hash `of` something behind it."""
    return f"{name[: LONGEST - _TAIL - 2]}__{hashlib.sha256(of.encode()).hexdigest()[:_TAIL]}"


def _words(text: str) -> Iterator[str]:
    """The words that spell a text. Read from left to right they give it back: `cap` and `caps` say how the next word
    was written, signs and code points stand for themselves, and between two other words there was an underscore."""
    pieces = _PIECE.findall(text)
    for place, piece in enumerate(pieces):
        if piece[0] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            yield _CAPITAL if len(piece) == 1 or not piece.isupper() else _CAPITALS
            yield piece.lower()
        elif piece == "_" and 0 < place < len(pieces) - 1 and _is_word(pieces[place - 1], pieces[place + 1]):
            continue
        elif not piece.isascii() or not piece.isalnum():
            yield _SIGNS.get(piece) or f"x{ord(piece):x}"
        elif _is_reserved(piece):
            yield f"x{ord(piece[0]):x}"
            yield from [piece[1:]] if len(piece) > 1 else []
        else:
            yield piece


def _is_reserved(piece: str) -> bool:
    return piece in _TAKEN or _CODE_POINT.fullmatch(piece) is not None


def _is_word(*pieces: str) -> bool:
    return all(re.fullmatch("[a-z0-9]+", piece) and not _is_reserved(piece) for piece in pieces)
