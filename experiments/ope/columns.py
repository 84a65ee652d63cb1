"""What the columns of a log are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from features.errors import InvalidInput

#: What a column that names the decision is commonly called; one decision twice is then found without being told.
DECISION_NAMES = ("decision", "decisionid", "request_id", "event_id", "impression_id", "row_id", "uuid", "id")
_NEEDED = ("arm", "action_probability", "reward")
_OPTIONAL = ("customer", "decision", "decided_at", "place")


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """What the columns of a file are called. The first three must be there; the others are used where they are.

    `context`, `allowed` and `logging` are beginnings of names; what follows `allowed` and `logging` is the arm's name.
    """

    arm: str = "arm"
    action_probability: str = "action_probability"
    reward: str = "reward"
    customer: str = "customer_id"
    decision: str = "decision_id"
    decided_at: str = "decided_at"
    place: str = "place"
    context: str = "x_"
    allowed: str = "allowed_"
    logging: str = "logged_"

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns whose values are names: `007` is not `7` there."""
        return self.arm, self.customer, self.decision


def column_names(given: Sequence[str]) -> ColumnNames:
    """`reward=spend` and the like. Raises InvalidInput for a name that no column goes by."""
    known = [f.name for f in fields(ColumnNames)]
    changes = {}
    for text in given:
        what, _, column = text.partition("=")
        if what.strip() not in known or not column.strip():
            raise InvalidInput(f"--column {text!r}: write WHAT=COLUMN, WHAT one of {', '.join(known)}", field="column")
        changes[what.strip()] = column.strip()
    return replace(ColumnNames(), **changes)


def completed(names: ColumnNames, present: Sequence[str]) -> ColumnNames:
    """With the decision's column found by a common name where it has not ours. Raises InvalidInput for what is missing:
    one of the first three, or one that was named."""
    usual = ColumnNames()
    for what in (*_NEEDED, *_OPTIONAL):
        column = getattr(names, what)
        if column in present or (what not in _NEEDED and column == getattr(usual, what)):
            continue
        have = ", ".join(present[:20])
        raise InvalidInput(
            f"no column {column!r} in the log; it has {have}; name it with --column {what}=COLUMN",
            field=column,
            code="no_column",
        )
    if names.decision in present:
        return names
    taken = {names.arm, names.action_probability, names.reward, names.customer, names.decided_at, names.place}
    known = {name.lower(): name for name in present if name not in taken}
    return replace(names, decision=next((known[n] for n in DECISION_NAMES if n in known), names.decision))
