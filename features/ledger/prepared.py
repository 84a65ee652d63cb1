"""Statements of the decision path, compiled once: building one anew costs about 100 us, running it about 10.

They are written in SQLAlchemy Core like all others, so both databases run the same; only the way to the driver is
short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from features.ledger.turns import turns_of


class Prepared:
    """One statement as text of the engine's dialect. Values go to the driver as they are: numbers, text, bytes."""

    def __init__(self, engine: Engine, statement: Any, columns: Sequence[str] | None = None) -> None:
        """`columns` are those an INSERT names; the others take their defaults."""
        compiled = statement.compile(dialect=engine.dialect, column_keys=columns)
        self.text = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup

    def run(self, cursor: Any, values: Mapping[str, Any]) -> Any:
        """Executes it; returns the cursor."""
        cursor.execute(self.text, self._bind(values))
        return cursor

    def run_many(self, cursor: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Executes it for each of the rows, if there are any."""
        if len(rows) == 1:
            self.run(cursor, rows[0])
        elif rows:
            cursor.executemany(self.text, [self._bind(row) for row in rows])

    def _bind(self, values: Mapping[str, Any]) -> Any:
        return values if self._order is None else [values[name] for name in self._order]


@contextmanager
def short_transaction(engine: Engine, *, write: bool) -> Iterator[Any]:
    """A cursor of the driver inside one transaction: committed at the end, undone after an error.

    A reader sees each statement's latest committed state, so it reads the version of a thing before the thing.
    """
    turns = turns_of(engine)
    with turns.turn(write=write):
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            if engine.dialect.name == "sqlite":
                turns.begin(connection, cursor, write=write)
            yield cursor
            connection.commit()
        except BaseException:
            _undo(connection)
            raise
        finally:
            connection.close()


def _undo(connection: Any) -> None:
    """Rolls back; a connection that cannot even do that is of no use any more."""
    try:
        connection.rollback()
    except Exception:
        connection.invalidate()
