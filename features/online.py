"""The port of online features: what serving asks of a feature store, and a store that is a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from features import clock
from features.contract import FeatureContract
from features.errors import InvalidInput

#: Told how many rows are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A customer's features in contract order, and their age: `as_of` is the oldest moment among the views.

    A view without a row (new in the contract, not yet materialised) has None for its features and makes `as_of` 0.
    `newest` is the newest moment among the views, 0 for that of `as_of`.
    """

    values: tuple[float | None, ...]
    as_of: int
    newest: int = field(default=0, compare=False)

    def is_of_the_future(self, now: int) -> bool:
        """Whether a moment among the views is yet to come: whoever computed it had a wrong clock, or we have one."""
        return max(self.as_of, self.newest) > now + clock.CLOCK_SKEW


class FeatureStore(Protocol):
    @property
    def contract(self) -> FeatureContract: ...

    def read(self, customer_id: str) -> FeatureRow | None:
        """None for an unknown customer. Raises StoreUnavailable when the store does not answer in time."""
        ...

    def read_many(self, customer_ids: Sequence[str]) -> dict[str, FeatureRow]:
        """The same for many, without those unknown. However long it takes: it is no part of an answer."""
        ...

    def push(self, table: Any, progress: Progress | None = None, now: int | None = None) -> int:
        """Puts rows of customer_id, as_of and features online; a row older than the one there is left out.

        Gives the number of rows taken. Of rows with the same moment the last pushed stays. A row there that is of the
        future at `now` (the clock's when left out) is replaced by any; one to be put there is refused, InvalidInput.
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

    def push(self, table: Any, progress: Progress | None = None, now: int | None = None) -> int:
        latest = latest_moment(now)
        refuse_future(table, latest)
        taken = 0
        for row in table.to_pylist():
            there = self._rows.get(row["customer_id"])
            if there is None or row["as_of"] >= there.as_of or there.as_of > latest:
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


def latest_moment(now: int | None) -> int:
    """The latest moment a row may be of: clocks differ a little."""
    return (clock.now() if now is None else now) + clock.CLOCK_SKEW


def refuse_future(table: Any, latest: int) -> None:
    """Raises InvalidInput where a row of the table is of a moment after `latest`."""
    newest = max(table.column("as_of").to_pylist(), default=0)
    if newest > latest:
        moment = clock.format_time(newest)
        raise InvalidInput(f"features as of {moment} are of the future: is the clock right?", field="as_of")
