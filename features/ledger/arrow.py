"""Whole tables out of the ledger as Arrow, for batch work: one copy through ADBC, no Python object for each row."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import make_url


def read_arrow(url: str, query: str) -> Any:
    """The rows of `query` as a `pyarrow.Table`. `url` is the ledger's, SQLite or PostgreSQL.

    ADBC guesses a SQLite column's type from its first rows, so a query casts columns that may start with NULL.
    """
    parsed = make_url(url)
    connect: Any
    if parsed.get_backend_name() == "sqlite":
        from adbc_driver_sqlite import dbapi as sqlite_dbapi

        connect, address = sqlite_dbapi.connect, f"file:{parsed.database}?mode=ro"
    else:
        from adbc_driver_postgresql import dbapi as postgresql_dbapi

        connect = postgresql_dbapi.connect
        address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()
