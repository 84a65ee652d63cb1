"""The design of an experiment: who is compared with whom, from when on; and its units, read once from the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from experiments.aggregates import Aggregates, aggregate
from features.clock import DAY
from features.errors import NoData
from features.ledger import read_arrow
from features.purchases import is_money, is_purchase, spent


@dataclass(frozen=True, slots=True)
class Design:
    """A division of all customers: `layer` of the assignment, its `treatment` and its `control` variant.

    `window_days` counts what happens within so many days of exposure, and only units whose window has closed;
    None counts all up to the moment of the review.
    """

    layer: str
    treatment: str
    control: str
    control_share: float
    window_days: float | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """The units of an experiment: group -> statistics of its columns, and what was left out.

    Columns: converted (0 or 1: a purchase after exposure), revenue (money spent after exposure, less refunds),
    spend_before (the same in the history before it).
    """

    groups: dict[str, Aggregates]
    first_exposed_at: int
    last_exposed_at: int
    crossed: int
    still_open: int


#: Exposure is the first live decision: the holdout is decided about too, so both groups enter by the same door.
_EXPOSURES = """
SELECT customer_id, variants, MIN(decided_at) AS decided_at, COUNT(*) AS decisions
FROM decisions WHERE origin = 'live' AND COALESCE(reason, '') <> 'unknown_customer' GROUP BY customer_id, variants
"""
#: Purchases and refunds: what each adds to the money spent, and whether it is a purchase.
_PAYMENTS = f"""
SELECT customer_id, occurred_at, CAST({spent("type", "value")} AS DOUBLE PRECISION) AS value,
    CASE WHEN {is_purchase("type", "value")} THEN 1 ELSE 0 END AS bought
FROM events WHERE {is_money("type")}
"""
_UNITS = """
SELECT u.variant, u.exposed_at,
       COALESCE(BOOL_OR(p.bought = 1 AND p.occurred_at >= u.exposed_at AND p.occurred_at < u.until), FALSE)::DOUBLE
           AS converted,
       COALESCE(SUM(p.value) FILTER (WHERE p.occurred_at >= u.exposed_at AND p.occurred_at < u.until), 0) AS revenue,
       COALESCE(SUM(p.value) FILTER (WHERE p.occurred_at < u.exposed_at), 0) AS spend_before
FROM units u LEFT JOIN payments p USING (customer_id)
GROUP BY u.customer_id, u.variant, u.exposed_at
ORDER BY u.customer_id
"""


def read_units(url: str, design: Design, columns: Sequence[str], now: int) -> Units:
    """The units of `design` in the ledger at `url`, as known at `now`, with the statistics of `columns`.

    A customer seen in both variants (the share or the salt was changed) is left out and counted as crossed.
    Raises NoData when nobody was decided about yet.
    """
    exposures, crossed = _exposures(read_arrow(url, _EXPOSURES).to_pylist(), design, now)
    window = None if design.window_days is None else int(design.window_days * DAY)
    closed = [e for e in exposures if window is None or e[2] + window <= now]
    if not closed:
        raise NoData(
            f"nothing to review: no customer has a live decision with the variant {design.layer!r}"
            + ("" if window is None or not exposures else f" that is {design.window_days:g} days old")
            + "; start `segue serve`, decide for customers, and review again"
        )
    frame = _measure(url, closed, window, now)
    groups = {}
    for variant in (design.treatment, design.control):
        mine = frame["variant"] == variant
        groups[variant] = aggregate({name: frame[name][mine] for name in columns})
    moments = [e[2] for e in closed]
    return Units(groups, min(moments), max(moments), crossed, len(exposures) - len(closed))


def _exposures(rows: list[dict[str, Any]], design: Design, now: int) -> tuple[list[tuple[str, str, int]], int]:
    """(customer, variant, exposed_at) of each customer in one variant only, and how many were in both."""
    seen: dict[str, dict[str, int]] = {}
    for row in rows:
        variant = json.loads(row["variants"]).get(design.layer)
        if variant in (design.treatment, design.control) and row["decided_at"] <= now:
            mine = seen.setdefault(row["customer_id"], {})
            mine[variant] = min(row["decided_at"], mine.get(variant, row["decided_at"]))
    found = [(customer, *next(iter(mine.items()))) for customer, mine in seen.items() if len(mine) == 1]
    return found, len(seen) - len(found)


def _measure(url: str, exposures: list[tuple[str, str, int]], window: int | None, now: int) -> dict[str, np.ndarray]:
    customers, variants, moments = zip(*exposures, strict=True)
    until = [now + 1 if window is None else moment + window for moment in moments]
    table = pa.table(
        {
            "customer_id": pa.array(customers, pa.string()),
            "variant": pa.array(variants, pa.string()),
            "exposed_at": pa.array(moments, pa.int64()),
            "until": pa.array(until, pa.int64()),
        }
    )
    with duckdb.connect() as connection:
        connection.register("units", table)
        connection.register("payments", read_arrow(url, _PAYMENTS))
        found: dict[str, np.ndarray] = connection.execute(_UNITS).fetchnumpy()
    return found
