"""A log of decisions made anywhere, out of a table with named columns (`experiments.ope.log_table`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.ope.columns import ColumnNames, completed
from experiments.ope.feedback import Floats, LoggedFeedback, codes
from experiments.ope.refusals import refuse
from features.clock import parse_time
from features.errors import InvalidInput
from features.importing.cells import ROUNDED

#: A text column of the context becomes one column for each of its commonest values.
MOST_TEXT_VALUES = 20


def feedback_of(
    table: pa.Table, names: ColumnNames | None = None, context: Sequence[str] | None = None
) -> LoggedFeedback:
    """The log that a table holds; `context` names its context columns, None takes those that begin so.

    Raises InvalidInput where a column is missing or a row is at fault.
    """
    names = completed(names or ColumnNames(), table.column_names)
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


def numbers(table: pa.Table, column: str) -> Floats:
    """(n,) the column as numbers, NaN where missing. Raises InvalidInput for text that is no number."""
    found = _readable(table, column)
    try:
        # A whole number beyond 2^53 loses its last digits here, and as an amount it may.
        values = pc.cast(found, pa.float64(), safe=False).to_numpy()
    except pa.ArrowException as error:
        _refuse_text(found, column, float, "no_number", "is no number")
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
        column = _readable(table, name)
        if not pa.types.is_string(column.type):
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
    values = _readable(table, column)
    refuse(np.asarray(pc.is_null(values)), "time_missing", "no time in {rows}", column)
    try:
        if _is_time(values.type):
            values = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        return pc.cast(values, pa.int64()).to_numpy()
    except pa.ArrowException as error:
        _refuse_text(values, column, parse_time, "no_time", "is no time")
        if not pa.types.is_string(values.type):
            raise InvalidInput(f"column {column!r} holds no times: {str(error)[:120]}", field=column) from error
    return np.array([parse_time(text) for text in values.to_pylist()], dtype=np.int64)


def _refuse_text(values: Any, column: str, read: Callable[[str], object], code: str, why: str) -> None:
    """Raises InvalidInput that shows the first text of the column that cannot be read, and says in which rows."""
    texts = [None if value is None else str(value) for value in values.to_pylist()]
    wrong = np.array([text is not None and not _reads(text, read) for text in texts], dtype=bool)
    first = next((text for text, bad in zip(texts, wrong, strict=True) if bad), "")
    shown = (first or "")[:40].replace("{", "{{").replace("}", "}}")
    refuse(wrong, code, f"column {column!r}: {shown!r} {why}, in {{rows}}", column)


def _reads(text: Any, read: Callable[[Any], object]) -> bool:
    try:
        read(text)
    except (ValueError, OverflowError):
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
        known |= {name.removeprefix(prefix).strip() for name in table.column_names if name.startswith(prefix)}
    arms = np.array(sorted(known or set(drawn)))
    at = np.minimum(np.searchsorted(arms, drawn), len(arms) - 1)
    return tuple(str(arm) for arm in arms), np.where(arms[at] == drawn, at, -1).astype(np.int64)


def _texts(table: pa.Table, column: str) -> Any:
    """(n,) names, without blanks around them. Raises InvalidInput where there is none, or not the whole of it."""
    found = _readable(table, column)
    if pa.types.is_floating(found.type):
        # From 2^53 on neighbouring ids are one and the same number.
        wrong = np.abs(found.to_numpy()) >= 2.0**53
        told = "ids kept as floating-point numbers have lost their last digits in {rows}; keep them as text"
        refuse(wrong, "digits_lost", f"column {column!r}: {told}", column)
    try:
        values = pc.utf8_trim_whitespace(pc.cast(found, pa.string()))
    except pa.ArrowException as error:
        raise InvalidInput(f"column {column!r} holds no names: it is {found.type}", field=column) from error
    # CSV has no other way to say that there is nothing.
    empty = pc.fill_null(pc.equal(values, ""), True)
    refuse(np.asarray(empty), "value_missing", f"nothing in column {column!r} in {{rows}}", column)
    texts = values.to_pylist()
    written = pa.types.is_string(found.type)  # a number that is exact is only shown so
    rounded = np.array([written and ROUNDED.fullmatch(text) is not None for text in texts], dtype=bool)
    told = "ids that a spreadsheet or data frame rounded, such as 1.23457E+11, in {rows}; write them out, as text"
    refuse(rounded, "digits_lost", f"column {column!r}: {told}", column)
    return np.asarray(texts, dtype=np.str_)


def _readable(table: pa.Table, column: str) -> Any:
    """The column, text where it was bytes. Raises InvalidInput that names the rows which are not UTF-8."""
    values = table.column(column)
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if pa.types.is_string_view(values.type) or pa.types.is_large_string(values.type):
        values = pc.cast(values, pa.string())
    if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        return values
    try:
        return pc.cast(values, pa.string())
    except pa.ArrowException:
        wrong = np.array([not _reads(value or b"", bytes.decode) for value in values.to_pylist()], dtype=bool)
        told = f"column {column!r} is not UTF-8 in {{rows}}; save the file in that encoding"
        refuse(wrong, "not_utf8", told, column)
        raise


def _whole(table: pa.Table, column: str) -> Any:
    values = numbers(table, column)
    refuse(~(values == np.floor(values)), "not_whole", f"{column!r} is no whole number in {{rows}}", column)
    return values.astype(np.int64)


def _context_columns(table: pa.Table, names: ColumnNames) -> list[str]:
    return [name for name in table.column_names if name.startswith(names.context)]
