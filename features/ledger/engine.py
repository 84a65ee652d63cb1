"""Opening the ledger's database: what differs between SQLite and PostgreSQL, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.schema import Table

#: Key of the advisory lock that writers of a log share and its reader takes alone for a moment (PostgreSQL).
LOG_LOCK = 0x5E60E


def create(url: str, *, power_safe: bool = False) -> Engine:
    """An engine for `url`. `power_safe` waits for the disk at every commit (SQLite; PostgreSQL does so by default).

    Without it a SQLite commit survives the death of the process at any moment, though not a power failure.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": 10.0, "check_same_thread": False})
        _prepare_sqlite(engine, power_safe)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, pool_size=8, max_overflow=24, pool_pre_ping=False)


def _prepare_sqlite(engine: Engine, power_safe: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
        cursor.execute("PRAGMA busy_timeout=10000")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A writer takes its lock at once: upgrading a read lock later fails when another writer came between.
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; several reads see one state of the database."""
    with engine.connect() as connection:
        level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with connection.execution_options(read_only=True, **level).begin():
            yield connection


def insert(engine: Engine, table: Table) -> Any:
    """`INSERT` of the engine's own dialect, which knows `on_conflict_do_nothing`."""
    makers: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    return makers[engine.dialect.name](table)


def share_log(connection: Connection) -> None:
    """A writer of a positioned log says so until its transaction ends.

    PostgreSQL hands out positions before commit, so a later position can become visible first; see `settle_log`.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": LOG_LOCK})


def settle_log(connection: Connection) -> None:
    """Waits until every position handed out so far is committed or gone: what is visible then has no gaps to come."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOG_LOCK})
