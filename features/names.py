"""Names that are safe wherever features go: SQL, CEL, Feast, a model's columns."""

from __future__ import annotations

import re
from collections.abc import Iterable


def distinct_names(names: Iterable[str]) -> list[str]:
    """A safe name for each, in order; one that is taken already gets a number.

    >>> distinct_names(["contacts_e-mail", "contacts_e_mail", "is_Y"])
    ['contacts_e_mail', 'contacts_e_mail_2', 'is_yes']
    """
    taken: dict[str, None] = {}
    for wanted in names:
        name = unused = _safe(wanted)
        number = 1
        while unused in taken:
            number += 1
            unused = f"{name}_{number}"
        taken[unused] = None
    return list(taken)


def _safe(name: str) -> str:
    """Lower-case letters, digits and underscores, at most 102: SQL does not tell cases apart, CEL does."""
    safe = re.sub(r"[^a-z0-9_]", "_", name.lower())[:100]
    # Feast's join on DuckDB drops columns that end in _y, and an attribute can well be 'y'.
    return f"{safe}es" if safe.endswith("_y") else safe
