"""Facts: what the ledger holds about customers, read as Arrow and laid out in DuckDB for `features.aggregates`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from features.attributes import MAX_TEXT_VALUES
from features.consent import channels_spoken_of, consent
from features.contract import UNIT
from features.domain import ACTIVITY_TYPES, DO_NOTHING, ActionClass, OutcomeKind
from features.ledger import read_arrow
from features.purchases import is_refund

#: Ids in one query: SQLite takes a statement of at most 10^6 characters.
IDS_AT_ONCE = 1_000
PROFILES_AT_ONCE = 50_000

#: The verdicts among the kinds of outcome.
ACCEPTED = (OutcomeKind.ACCEPTED, OutcomeKind.CONVERTED)
REJECTED = (OutcomeKind.REJECTED, OutcomeKind.OPTED_OUT)

#: Table -> column -> type.
COLUMNS: dict[str, dict[str, str]] = {
    "customers": {"customer_id": "text", "created_at": "whole", "consents": "text", "attributes": "text"},
    "events": {"customer_id": "text", "type": "text", "occurred_at": "whole", "channel": "text", "value": "number"},
    "decision_items": {
        "decision_id": "text",
        "rank": "whole",
        "customer_id": "text",
        "decided_at": "whole",
        "action": "text",
        "channel": "text",
        "action_group": "text",
        "action_probability": "number",
        "p_model": "number",
        "p_accept": "number",
        "action_value": "number",
        "closes_at": "whole",
        "shown_at": "whole",
        "reward_state": "text",
    },
    "outcomes": {
        "decision_id": "text",
        "rank": "whole",
        "customer_id": "text",
        "action": "text",
        "kind": "text",
        "occurred_at": "whole",
        "recorded_at": "whole",
        "value": "number",
    },
}
_TYPES = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64()}
_NUMBERS, _TEXTS = pa.map_(pa.string(), pa.float64()), pa.map_(pa.string(), pa.string())
#: The columns of `customers` that become `profiles`.
_MAPS = ("consents", "attributes")


def schema_of(table: str) -> pa.Schema:
    """The columns that `History` takes of a table."""
    return pa.schema([(column, _TYPES[kind]) for column, kind in COLUMNS[table].items()])


def store_sql(table: str) -> str:
    """Makes a relation of what is registered as `incoming`; the JSON of customers goes to `profiles` instead."""
    columns = ", ".join(column for column in COLUMNS[table] if column not in _MAPS)
    return f"CREATE TABLE {table} AS SELECT {columns} FROM incoming"


def _any_of(kinds: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{kind}'" for kind in kinds) + ")"


#: Every fact with the time it happened and the time from which it was known. Money is in whole millionths; an amount
#: that no sum could hold is missing (infinity) or limited (to 10^12). Of several outcomes with the same verdict about
#: the same item the one known first counts: a later one must not change what was known at an earlier moment.
FACTS = f"""
CREATE TABLE facts AS
SELECT customer_id, occurred_at AS happened_at, occurred_at AS known_at, type AS kind, channel, NULL AS action_group,
    CASE WHEN isfinite(value) THEN CAST(round(greatest(least(value, 1e12), -1e12) * {UNIT}e0) AS BIGINT) END AS units,
    type IN {_any_of(ACTIVITY_TYPES)} AND NOT {is_refund("type", "value")} AS is_activity
FROM events WHERE type NOT IN ('contact', 'accept', 'reject')
UNION ALL
SELECT customer_id, decided_at, decided_at, 'contact', channel, action_group, NULL, false
FROM decision_items WHERE action <> '{DO_NOTHING.action}'
UNION ALL
SELECT customer_id, happened_at, known_at, verdict, channel, action_group, NULL, false
FROM (
    SELECT o.customer_id, o.decision_id, o.rank, o.occurred_at AS happened_at, i.channel, i.action_group,
        CASE WHEN o.kind IN {_any_of(ACCEPTED)} THEN 'accept' ELSE 'reject' END AS verdict,
        CASE WHEN i.reward_state = 'imported' THEN o.occurred_at
            ELSE greatest(o.occurred_at, o.recorded_at) END AS known_at
    FROM outcomes o LEFT JOIN decision_items i ON i.decision_id = o.decision_id AND i.rank = o.rank
    WHERE o.kind IN {_any_of(ACCEPTED + REJECTED)}
)
QUALIFY row_number() OVER (PARTITION BY customer_id, decision_id, rank, verdict ORDER BY known_at, happened_at) = 1
"""
PROFILES = """
CREATE TABLE profiles (
    customer_id VARCHAR, consents MAP(VARCHAR, DOUBLE), numbers MAP(VARCHAR, DOUBLE), texts MAP(VARCHAR, VARCHAR)
)"""
#: For every attribute: how many customers have a number, how many a text, how many texts there are, and the commonest.
ATTRIBUTES = f"""
WITH known AS (
    SELECT unnest(map_keys(numbers)) AS name, NULL AS text FROM profiles
    UNION ALL SELECT unnest(map_keys(texts)), unnest(map_values(texts)) FROM profiles
), counted AS (
    SELECT name, text, count(*) AS customers FROM known GROUP BY name, text
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY name ORDER BY text IS NULL, customers DESC, text) AS place FROM counted
)
SELECT name, CAST(coalesce(sum(customers) FILTER (WHERE text IS NULL), 0) AS BIGINT),
    CAST(coalesce(sum(customers) FILTER (WHERE text IS NOT NULL), 0) AS BIGINT), count(text),
    list((text, customers) ORDER BY place) FILTER (WHERE text IS NOT NULL AND place <= {2 * MAX_TEXT_VALUES})
FROM placed GROUP BY name ORDER BY name
"""


def read_tables(ledger_url: str, customer_ids: Sequence[str] | None = None) -> dict[str, pa.Table]:
    """Every table of COLUMNS, of all customers or those given."""
    return {table: _read(ledger_url, table, customer_ids) for table in COLUMNS}


def _read(ledger_url: str, table: str, customer_ids: Sequence[str] | None) -> pa.Table:
    query = f"SELECT {', '.join(COLUMNS[table])} FROM {table}"
    schema = schema_of(table)
    if customer_ids is None:
        return read_arrow(ledger_url, query).cast(schema)
    wanted = list(dict.fromkeys(customer_ids))
    parts = [
        read_arrow(ledger_url, f"{query} WHERE customer_id IN ({_listed(ledger_url, some)})").cast(schema)
        for some in (wanted[at : at + IDS_AT_ONCE] for at in range(0, len(wanted), IDS_AT_ONCE))
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _listed(ledger_url: str, customer_ids: Sequence[str]) -> str:
    """A sub-query that gives the ids. They go in as one literal of ASCII JSON, in which only a quote needs doubling."""
    literal = "'" + json.dumps([i for i in customer_ids if "\0" not in i]).replace("'", "''") + "'"
    if ledger_url.startswith("sqlite"):
        return f"SELECT value FROM json_each({literal})"
    return f"SELECT json_array_elements_text({literal}::json)"


def profile_batches(customers: pa.Table) -> Iterator[pa.Table]:
    """The rows of `profiles`, some at a time, out of the JSON of `customers`."""
    columns = ("customer_id", *_MAPS)
    for batch in customers.select(columns).to_batches(PROFILES_AT_ONCE):
        ids, consents, attributes = (batch.column(name).to_pylist() for name in columns)
        maps = [_split(msgspec.json.decode(text)) for text in attributes]
        yield pa.table(
            {
                "customer_id": pa.array(ids, pa.string()),
                "consents": pa.array([_granted(msgspec.json.decode(text)) for text in consents], _NUMBERS),
                "numbers": pa.array([numbers for numbers, _ in maps], _NUMBERS),
                "texts": pa.array([texts for _, texts in maps], _TEXTS),
            }
        )


def _granted(consents: dict[str, str]) -> list[tuple[str, float]]:
    """For every channel spoken of: 1 where marketing was granted there, 0 where it was refused or taken back.

    An end in time is left to eligibility: these values hold at every moment, as all of the profile's.
    """
    said = (
        (channel, consent(consents, ActionClass.MARKETING, channel, None)) for channel in channels_spoken_of(consents)
    )
    return [(channel, float(state == "granted")) for channel, state in said if state not in ("unknown", "invalid")]


def _split(attributes: dict[str, Any]) -> tuple[list[tuple[str, float]], list[tuple[str, str]]]:
    """(numbers, texts) of one customer's attributes; a truth value is the number 1 or 0.

    What cannot be a value in a table, as a number beyond floats, is missing of this customer.
    """
    numbers: list[tuple[str, float]] = []
    texts: list[tuple[str, str]] = []
    for name, value in attributes.items():
        if "\0" in name:
            continue
        if isinstance(value, bool | int | float):
            numbers += [(name, number)] if (number := _number(value)) is not None else []
        elif isinstance(value, str) and "\0" not in value:
            texts.append((name, value))
    return numbers, texts


def _number(value: bool | int | float) -> float | None:
    try:
        return float(value) if abs(value) < float("inf") else None
    except OverflowError:
        return None
