"""The port of online features: what serving asks of a feature store, and a store that is a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from features.contract import FeatureContract

#: Told how many rows are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A customer's features in contract order, and their age: `as_of` is the oldest moment among the views.

    A view without a row (new in the contract, not yet materialised) has None for its features and makes `as_of` 0.
    """

    values: tuple[float | None, ...]
    as_of: int


class FeatureStore(Protocol):
    @property
    def contract(self) -> FeatureContract: ...

    def read(self, customer_id: str) -> FeatureRow | None:
        """None for an unknown customer. Raises StoreUnavailable when the store does not answer in time."""
        ...

    def read_many(self, customer_ids: Sequence[str]) -> dict[str, FeatureRow]:
        """The same for many, without those unknown. However long it takes: it is no part of an answer."""
        ...

    def push(self, table: Any, progress: Progress | None = None) -> int:
        """Puts rows of customer_id, as_of and features online; a row older than the one there is left out.

        Gives the number of rows taken. Of rows with the same moment the last pushed stays.
        """
        ...


class MemoryFeatureStore:
    """The features of customers in a dictionary."""

    def __init__(self, contract: FeatureContract) -> None:
        self._contract = contract
        self._rows: dict[str, FeatureRow] = {}

    @property
    def contract(self) -> FeatureContract:
        return self._contract

    def read(self, customer_id: str) -> FeatureRow | None:
        return self._rows.get(customer_id)

    def read_many(self, customer_ids: Sequence[str]) -> dict[str, FeatureRow]:
        return {customer_id: self._rows[customer_id] for customer_id in customer_ids if customer_id in self._rows}

    def push(self, table: Any, progress: Progress | None = None) -> int:
        taken = 0
        for row in table.to_pylist():
            there = self._rows.get(row["customer_id"])
            if there is None or row["as_of"] >= there.as_of:
                values = tuple(row[name] for name in self._contract.names)
                self._rows[row["customer_id"]] = FeatureRow(values, row["as_of"])
                taken += 1
        if progress:
            progress(table.num_rows, table.num_rows)
        return taken


def newest_of_each(table: Any) -> Any:
    """One row a customer: the newest, the last of several with the same moment."""
    moments = table.column("as_of").to_pylist()
    chosen: dict[str, int] = {}
    for place, customer_id in enumerate(table.column("customer_id").to_pylist()):
        if customer_id not in chosen or moments[place] >= moments[chosen[customer_id]]:
            chosen[customer_id] = place
    return table if len(chosen) == table.num_rows else table.take(list(chosen.values()))
