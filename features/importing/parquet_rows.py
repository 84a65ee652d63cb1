"""Rows of Parquet files. A value that Python cannot hold costs its row, not those around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from features.importing.row import Row

#: Read at once.
_ROWS = 4_096


def open_parquet(stream: Any) -> Any:
    """Parquet is read from its end, so `stream` must be one that seeks. Raises ValueError or OSError."""
    from pyarrow import lib, parquet

    try:
        return parquet.ParquetFile(stream)
    except (lib.ArrowException, NotImplementedError) as error:
        raise ValueError(str(error)) from error


def parquet_rows(stream: Any) -> Iterator[Row]:
    """Raises ValueError or OSError where the file breaks off."""
    from pyarrow import lib

    number = 0
    batches = open_parquet(stream).iter_batches(_ROWS)
    while True:
        try:
            batch = next(batches, None)
        except (lib.ArrowException, NotImplementedError) as error:
            raise ValueError(str(error)) from error
        if batch is None:
            return
        for values in _values(batch):
            number += 1
            yield Row(number, number, values) if isinstance(values, dict) else Row(number, number, {}, values)


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The values of each row, or why they cannot be had: a year beyond 9999, an unknown zone, bytes for a text."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, ArithmeticError, LookupError):
        pass
    for place in range(batch.num_rows):
        try:
            yield batch.slice(place, 1).to_pylist()[0]
        except (ValueError, ArithmeticError, LookupError) as error:
            yield f"it has a value that cannot be read: {error}"
