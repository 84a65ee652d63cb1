"""A log of decisions made anywhere, read from a Parquet or CSV file with named columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.ope.feedback import Floats, LoggedFeedback, codes
from experiments.ope.refusals import refuse
from features.errors import InvalidInput, NotFound

#: A text column of the context becomes one column for each of its commonest values.
MOST_TEXT_VALUES = 20


#: What a column that names the decision is commonly called; one decision twice is then found without being told.
DECISION_NAMES = ("decision", "decisionid", "request_id", "event_id", "impression_id", "row_id", "uuid", "id")


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


def read_table(path: Path) -> pa.Table:
    """The file as a table. Raises NotFound or InvalidInput that names the file."""
    if not path.is_file():
        raise NotFound(f"no file {path}; name a Parquet or CSV file, or say: ledger", field="log")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pyarrow.parquet as parquet

            return parquet.read_table(path)
        import pyarrow.csv as csv

        return csv.read_csv(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is neither Parquet nor CSV: {str(error)[:200]}", field="log") from error


def feedback_of(
    table: pa.Table, names: ColumnNames | None = None, context: Sequence[str] | None = None
) -> LoggedFeedback:
    """The log that a table holds; `context` names its context columns, None takes those that begin so.

    Raises InvalidInput where a column is missing or a row is at fault.
    """
    names = _completed(names or ColumnNames(), table)
    arms, arm = _arms(table, names)
    matrix, context_names = context_matrix(table, _context_columns(table, names) if context is None else context)
    allowed = per_arm(table, names.allowed, arms)
    present = set(table.column_names)
    return LoggedFeedback(
        arms,
        arm,
        numbers(table, names.action_probability),
        numbers(table, names.reward),
        matrix,
        context_names,
        unit=codes(_texts(table, names.customer)) if names.customer in present else None,
        decision_id=_texts(table, names.decision) if names.decision in present else None,
        decided_at=moments(table, names.decided_at) if names.decided_at in present else None,
        place=_whole(table, names.place) if names.place in present else None,
        allowed=None if allowed is None else allowed > 0.0,
        logging_probability=per_arm(table, names.logging, arms),
    )


def _completed(names: ColumnNames, table: pa.Table) -> ColumnNames:
    """With the decision's column found by a common name where it has not ours. Raises InvalidInput for what is missing:
    one of the first three, or one that was named."""
    present, usual = table.column_names, ColumnNames()
    for what in ("arm", "action_probability", "reward", "customer", "decision", "decided_at", "place"):
        column, needed = getattr(names, what), what in ("arm", "action_probability", "reward")
        if column in present or (not needed and column == getattr(usual, what)):
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


def numbers(table: pa.Table, column: str) -> Floats:
    """(n,) the column as numbers, NaN where missing. Raises InvalidInput for text that is no number."""
    try:
        values = pc.cast(table.column(column), pa.float64()).to_numpy()
    except pa.ArrowException as error:
        _refuse_text(table, column, float, "no_number", "is no number")
        raise InvalidInput(f"column {column!r} holds no numbers: {str(error)[:120]}", field=column) from error
    return np.ascontiguousarray(values, dtype=np.float64)


def per_arm(table: pa.Table, prefix: str, arms: Sequence[str]) -> Floats | None:
    """(n, k) the columns `prefix` + name of arm, None where there is none; InvalidInput where only some are there."""
    there = {name for name in table.column_names if name.startswith(prefix)}
    wanted = [prefix + arm for arm in arms]
    if not there:
        return None
    if missing := [name for name in wanted if name not in there]:
        raise InvalidInput(f"no column {missing[0]!r}; the log has columns {prefix}… for other arms", field=prefix)
    return np.column_stack([numbers(table, name) for name in wanted])


def context_matrix(table: pa.Table, columns: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """(n, d) numbers and their names: text becomes 0 or 1 for each of its commonest values, missing stays NaN."""
    parts: list[Floats] = []
    labels: list[str] = []
    for name in columns:
        if name not in table.column_names:
            raise InvalidInput(f"no column {name!r} in the log to use as context", field=name, code="no_column")
        column = table.column(name)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            parts.append(moments(table, name).astype(float) if _is_time(column.type) else numbers(table, name))
            labels.append(name)
            continue
        counted = sorted((-c["counts"].as_py(), c["values"].as_py() or "") for c in pc.value_counts(column))
        for _, value in counted[:MOST_TEXT_VALUES]:
            parts.append(pc.fill_null(pc.equal(column, value), False).to_numpy().astype(np.float64))
            labels.append(f"{name}={value}")
    matrix = np.column_stack(parts) if parts else np.empty((table.num_rows, 0))
    return matrix, tuple(labels)


def moments(table: pa.Table, column: str) -> Any:
    """(n,) a time column in microseconds; a whole number is taken to be that already."""
    values = table.column(column)
    refuse(np.asarray(pc.is_null(values)), "time_missing", "no time in {rows}", column)
    try:
        if _is_time(values.type):
            values = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        return pc.cast(values, pa.int64()).to_numpy()
    except pa.ArrowException as error:
        _refuse_text(table, column, datetime.fromisoformat, "no_time", "is no time")
        raise InvalidInput(f"column {column!r} holds no times: {str(error)[:120]}", field=column) from error


def _refuse_text(table: pa.Table, column: str, read: Callable[[str], object], code: str, why: str) -> None:
    """Raises InvalidInput that shows the first text of the column that cannot be read, and says in which rows."""
    texts = pc.cast(table.column(column), pa.string()).to_pylist()
    wrong = np.array([text is not None and not _reads(text, read) for text in texts], dtype=bool)
    first = next((text for text, bad in zip(texts, wrong, strict=True) if bad), "")
    shown = first[:40].replace("{", "{{").replace("}", "}}")
    refuse(wrong, code, f"column {column!r}: {shown!r} {why}, in {{rows}}", column)


def _reads(text: str, read: Callable[[str], object]) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _arms(table: pa.Table, names: ColumnNames) -> tuple[tuple[str, ...], Any]:
    """(names of the arms, (n,) which was drawn, -1 for none of them).

    The arms are those that have columns of their own, where there are any, else those that were drawn.
    """
    drawn = _texts(table, names.arm)
    known: set[str] = set()
    for prefix in (names.logging, names.allowed):
        known |= {name.removeprefix(prefix) for name in table.column_names if name.startswith(prefix)}
    arms = np.array(sorted(known or set(drawn)))
    at = np.minimum(np.searchsorted(arms, drawn), len(arms) - 1)
    return tuple(str(arm) for arm in arms), np.where(arms[at] == drawn, at, -1).astype(np.int64)


def _texts(table: pa.Table, column: str) -> Any:
    values = pc.cast(table.column(column), pa.string())
    # CSV has no other way to say that there is nothing.
    empty = pc.fill_null(pc.equal(values, ""), True)
    refuse(np.asarray(empty), "value_missing", f"nothing in column {column!r} in {{rows}}", column)
    return np.asarray(values.to_pylist(), dtype=np.str_)


def _whole(table: pa.Table, column: str) -> Any:
    values = numbers(table, column)
    refuse(~(values == np.floor(values)), "not_whole", f"{column!r} is no whole number in {{rows}}", column)
    return values.astype(np.int64)


def _context_columns(table: pa.Table, names: ColumnNames) -> list[str]:
    return [name for name in table.column_names if name.startswith(names.context)]
