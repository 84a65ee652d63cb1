"""Whole tables out of the ledger as Arrow, for batch work: one copy through ADBC, no Python object for each row."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import make_url

#: SQLite has no column types, so ADBC takes them from the first batch: everything in one batch makes them certain.
ONE_BATCH = {"adbc.sqlite.query.batch_rows": "1000000000"}


def read_arrow(url: str, query: str) -> Any:
    """The rows of `query` as a `pyarrow.Table`. `url` is the ledger's, SQLite or PostgreSQL.

    A column without any value comes from SQLite as int64, whatever it was declared: cast where the type matters.
    """
    parsed = make_url(url)
    connect: Any
    if parsed.get_backend_name() == "sqlite":
        from adbc_driver_sqlite import dbapi as sqlite_dbapi

        connect, options = sqlite_dbapi.connect, ONE_BATCH
        address = f"file:{quote(parsed.database or '')}?mode=ro"
    else:
        from adbc_driver_postgresql import dbapi as postgresql_dbapi

        connect, options = postgresql_dbapi.connect, {}
        address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with connect(address) as connection, connection.cursor(adbc_stmt_kwargs=options) as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()
