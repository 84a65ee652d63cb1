"""The file a batch leaves: one row a customer, in Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from features.domain import DO_NOTHING, Decision

_TEXT, _NUMBER = pa.string(), pa.float64()
COLUMNS = pa.schema(
    {
        "customer_id": _TEXT,
        "decision_id": _TEXT,
        "action": _TEXT,
        "channel": _TEXT,
        "content": _TEXT,
        "action_probability": _NUMBER,
        "p_accept": _NUMBER,
        "expected_value": _NUMBER,
        "priority": _NUMBER,
        "result": _TEXT,
        "reason": _TEXT,
        "fallback_reason": _TEXT,
        "expires_at": pa.timestamp("us", "UTC"),
    }
)


class DecisionFile:
    """Written block by block beside its place, and moved there whole when the batch ends well."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._part = file.with_name(f".{file.name}.part")

    def __enter__(self) -> DecisionFile:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._part, COLUMNS)
        return self

    def write(self, decisions: Sequence[Decision]) -> None:
        self._writer.write_table(table_of(decisions))

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if kind is None:
            self._part.replace(self._file)
        else:
            self._part.unlink()


def table_of(decisions: Sequence[Decision]) -> pa.Table:
    """One row a decision, of its first place; `channel` is empty where nothing is done."""
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS.names}
    for decision in decisions:
        item = decision.items[0]
        nothing = item.arm == DO_NOTHING
        row = (
            *(decision.customer_id, decision.decision_id),
            *(item.arm.action, None if nothing else item.arm.channel, item.content),
            *(item.action_probability, item.p_accept, item.expected_value, item.priority),
            *(decision.result, decision.reason, decision.fallback_reason, item.expires_at),
        )
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    arrays = [pa.array(values, COLUMNS.field(name).type) for name, values in columns.items()]
    return pa.table(arrays, schema=COLUMNS)
