"""An id as a person types it at a command."""

from __future__ import annotations

from features.domain import MAX_ID_LENGTH
from features.errors import InvalidInput


def typed_id(text: str, field: str = "customer_id") -> str:
    """The id without the blanks around it, which an import takes off too. Raises InvalidInput.

    >>> typed_id(" U1 ")
    'U1'
    """
    found = text.strip()
    if not 0 < len(found) <= MAX_ID_LENGTH:
        raise InvalidInput(f"an id has 1 to {MAX_ID_LENGTH} characters besides blanks around it", field=field)
    if not found.isprintable():
        hidden = next(character for character in found if not character.isprintable())
        raise InvalidInput(
            f"the id holds a character that is not to be seen (U+{ord(hidden):04X}); type it anew", field=field
        )
    return found
