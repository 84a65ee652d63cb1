"""What a file says of customers, put together until it is told to the ledger."""

from __future__ import annotations

from features.importing.rules import Fields
from features.ledger import Appended, Ledger
from features.statements import ATTRIBUTES, CONSENTS, Statement, taken_in

#: Customers kept until they are told: some 1 kB each. All rows of one are told at once, so that a file in which they
#: differ says what its last row says, also for the moment between two batches. Rows further apart are told one by one.
_MOST = 10_000
#: Customers told in one transaction.
_BATCH = 5_000


class Customers:
    """The customers of one file. `source` names who says it: the mapping and the file."""

    def __init__(self, ledger: Ledger, source: str, now: int) -> None:
        self._ledger, self._source, self._now = ledger, source, now
        self._said: dict[str, list[Statement]] = {}
        self._rows = 0

    @property
    def full(self) -> bool:
        return len(self._said) >= _MOST

    def add(self, fields: Fields) -> None:
        """One row."""
        customer_id = fields["customer_id"]
        said_at = fields.get("said_at")
        new = Statement(self._source, self._now if said_at is None else said_at, said_at is not None, _said(fields))
        before = self._said.get(customer_id)
        self._said[customer_id] = [new] if before is None else list(taken_in(before, new))
        self._rows += 1

    def tell(self) -> Appended:
        """Hands over what was added since the last time; of the rows, those that made nobody known are duplicates."""
        names, accepted = list(self._said), 0
        for start in range(0, len(names), _BATCH):
            some = {name: self._said[name] for name in names[start : start + _BATCH]}
            accepted += self._ledger.take_statements(some).accepted
        told = Appended(accepted, self._rows - accepted)
        self._said, self._rows = {}, 0
        return told


def _said(fields: Fields) -> dict[str, str | int | float | bool | None]:
    said = {name: fields[name] for name in ("created_at", "zone") if name in fields}
    said |= {CONSENTS + key: state for key, state in fields["consents"].items()}
    return said | {ATTRIBUTES + name: value for name, value in fields["attributes"].items()}
