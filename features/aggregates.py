"""Features over history: one generated SQL, run by DuckDB as of many past moments, latest for all, or for a few.

What is known at a moment: facts strictly before it. A contact counts from its decision. A response counts, once for
each item and verdict, from when we first *knew* it: an outcome of a live decision was known when it was recorded, not
when it happened, so training at a past moment sees what serving saw then. Outcomes of imported decisions were recorded
all at once on the day of the import; for them the time they happened is taken. Their age is counted from when they
happened in both cases. Events carry no time of recording: a late event counts from when it happened.

Same facts, same bits: money and scores are integers of 1e-6 (rounded once, limited to 10^12), times are integers,
every sum is exact, and each moment is computed for itself. So neither order, batch nor threads can matter.

The ledger comes in as Arrow, because DuckDB's own database extensions are fetched over a network.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType

import duckdb
import pyarrow as pa

from features import facts
from features.attributes import AttributeValues
from features.contract import PROFILE, Feature, FeatureContract

#: Moments computed at once: at 20 facts each about 2 million joined rows, well within the memory limit.
BATCH = 100_000
MEMORY_LIMIT = "1GB"
MOMENTS = pa.schema([("customer_id", pa.string()), ("as_of", pa.int64())])


class History:
    """The facts of a ledger at hand for queries. Belongs to one thread; close it, or use it in a `with`."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        folder = os.path.join(tempfile.gettempdir(), f"segue-duckdb-{os.getpid()}")
        limits = {"threads": "2", "memory_limit": MEMORY_LIMIT, "temp_directory": folder}
        offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        self._database = duckdb.connect(":memory:", config={**limits, **offline})
        for name, table in tables.items():
            self._take(table, facts.store_sql(name))
        self._database.execute(facts.PROFILES)
        for batch in facts.profile_batches(tables["customers"]):
            self._take(batch, "INSERT INTO profiles SELECT * FROM incoming")
        self._database.execute(facts.FACTS)

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def as_of(self, contract: FeatureContract, moments: pa.Table, batch: int = BATCH) -> pa.Table:
        """The features of customers at moments.

        `moments`: customer_id (string) and as_of (int64 microseconds), in any order, duplicates allowed. Gives one row
        a moment in the order given: customer_id, as_of, and a float64 column for each of `contract.names`, NULL where
        unknown. A customer the ledger does not know has no facts: counts of 0, the rest NULL. `batch` moments are
        computed at once, which changes no value.
        """
        given = moments.select(MOMENTS.names).cast(MOMENTS)
        statement = feature_sql(contract)
        parts = [self._batch(statement, given.slice(at, batch)) for at in range(0, given.num_rows, batch)]
        names = [*MOMENTS.names, *contract.names]
        kinds = [*MOMENTS.types, *(pa.float64() for _ in contract.names)]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        return pa.concat_tables(part.cast(schema) for part in parts) if parts else schema.empty_table()

    def latest(self, contract: FeatureContract, as_of: int, customer_ids: Sequence[str] | None = None) -> pa.Table:
        """The same at one moment, for every known customer or for those given."""
        ids = self.customers() if customer_ids is None else list(customer_ids)
        times = pa.array([as_of], pa.int64()).take(pa.array([0] * len(ids), pa.int32()))
        return self.as_of(contract, pa.table([pa.array(ids, pa.string()), times], schema=MOMENTS))

    def attributes(self) -> dict[str, AttributeValues]:
        """The attributes of the customers at hand, as `build_contract` needs them."""
        known = self._database.sql(facts.ATTRIBUTES).fetchall()
        return {
            name: AttributeValues(numbers, with_text, distinct, tuple((text, count) for text, count in texts or ()))
            for name, numbers, with_text, distinct, texts in known
        }

    def query(self, sql: str) -> pa.Table:
        """The rows of a query over the relations events, decision_items, outcomes and customers (for labels)."""
        return self._database.sql(sql).to_arrow_table()

    def customers(self) -> list[str]:
        """Ids of the known customers, sorted."""
        rows = self._database.sql("SELECT customer_id FROM customers ORDER BY customer_id").to_arrow_table()
        return list(rows.column("customer_id").to_pylist())

    def span(self) -> tuple[int, int] | None:
        """Times of the first and the last event; None without events."""
        first, last = self._database.sql("SELECT min(occurred_at), max(occurred_at) FROM events").fetchall()[0]
        return None if first is None else (first, last)

    def _batch(self, statement: str, moments: pa.Table) -> pa.Table:
        numbered = moments.append_column("moment", pa.array(range(moments.num_rows), pa.int64()))
        self._database.register("moments", numbered)
        try:
            return self._database.sql(statement).to_arrow_table()
        finally:
            self._database.unregister("moments")

    def _take(self, table: pa.Table, statement: str) -> None:
        self._database.register("incoming", table)
        self._database.execute(statement)
        self._database.unregister("incoming")


def open_history(ledger_url: str, customer_ids: Sequence[str] | None = None) -> History:
    """The history of every customer of a ledger, or of those given."""
    return History(facts.read_tables(ledger_url, customer_ids))


def feature_sql(contract: FeatureContract) -> str:
    """The one statement. It reads `moments` (moment, customer_id, as_of) and gives a row for each, in that order."""
    aggregates = ",\n".join(["    moment", *(f"    {f.sql} AS {f.name}" for f in contract.features if _dated(f))])
    chosen = ",\n".join(
        ["    m.customer_id", "    m.as_of"]
        + [f"    CAST({f.name if _dated(f) else f.sql} AS DOUBLE) AS {f.name}" for f in contract.features]
    )
    return f"""
WITH history AS (
    SELECT m.moment, m.as_of, c.created_at, m.as_of - f.happened_at AS age,
        f.happened_at, f.kind, f.channel, f.action_group, f.units, f.is_activity
    FROM moments m
    LEFT JOIN customers c ON c.customer_id = m.customer_id
    LEFT JOIN facts f ON f.customer_id = m.customer_id AND f.known_at < m.as_of
), aggregated AS (
    SELECT
{aggregates}
    FROM history GROUP BY moment
)
SELECT
{chosen}
FROM moments m JOIN aggregated USING (moment) LEFT JOIN profiles p ON p.customer_id = m.customer_id
ORDER BY m.moment
"""


def _dated(feature: Feature) -> bool:
    return feature.view != PROFILE
