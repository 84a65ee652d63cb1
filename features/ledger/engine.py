"""Opening the ledger's database: what differs between SQLite and PostgreSQL, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, create_engine, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.schema import Table

from features.ledger.turns import TURNS, Turns, turns_of

#: Key of the advisory lock that writers of a log share and its reader takes alone for a moment (PostgreSQL).
LOG_LOCK = 0x5E60E

#: Connections kept for the threads of one process, and how many more there may be for a moment. A PostgreSQL server
#: takes 100 unless told otherwise.
EMBEDDED_POOL = {"pool_size": 32, "max_overflow": 32}
SERVER_POOL = {"pool_size": 16, "max_overflow": 16}

#: How long a call of a SQLite ledger waits for other processes, unless it is told otherwise.
WAIT_SECONDS = 10.0
#: How long a PostgreSQL server may take to answer a knock.
CONNECT_SECONDS = 5


def create(
    url: str, *, power_safe: bool = False, tidy_aside: bool = False, wait_seconds: float | None = None
) -> Engine:
    """An engine for `url`. `power_safe` waits for the disk at every commit (SQLite; PostgreSQL does so by default).

    Without it a SQLite commit survives the death of the process at any moment, though not a power failure.
    `tidy_aside` leaves it to `tidy` to move what was written into SQLite's main file: done inside a commit, as is its
    habit every 1,000 pages, that takes 7 ms of a decision; only past 20,000 pages (80 MB) a commit does it after all.
    `wait_seconds` is how long a call waits for what others hold; left out, `WAIT_SECONDS` on SQLite, and as long as it
    takes on PostgreSQL.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
            # The connection used last: each drops its pages when another one wrote, so taking turns read 100 pages anew
            # for every decision.
            pool_use_lifo=True,
            **EMBEDDED_POOL,
        )
        turns = Turns(engine, WAIT_SECONDS if wait_seconds is None else wait_seconds)
        _prepare_sqlite(engine, turns, power_safe, 20_000 if tidy_aside else 1_000)
    else:
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        given = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_SECONDS}
        engine = create_engine(parsed, pool_use_lifo=True, connect_args=given, **SERVER_POOL)
        turns = Turns(engine, WAIT_SECONDS)
        _prepare_postgresql(engine, wait_seconds)
    engine.update_execution_options(**{TURNS: turns})
    return engine


def _prepare_postgresql(engine: Engine, wait_seconds: float | None) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        if wait_seconds is not None:
            connection.execute(f"SET lock_timeout = {round(wait_seconds * 1e3)}")
            connection.commit()


def _prepare_sqlite(engine: Engine, turns: Turns, power_safe: bool, checkpoint_pages: int) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-32000")  # 32 MB; by default 2
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        driven = connection.connection
        turns.begin(driven, driven.cursor(), write=not read_only)


def tidy(engine: Engine) -> None:
    """Moves what was written into SQLite's main file, as far as no reader still needs it; nobody has to wait."""
    if engine.dialect.name != "sqlite":
        return
    with turns_of(engine).turn(write=False):
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            connection.close()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; several reads see one state of the database."""
    with turns_of(engine).turn(write=False), engine.connect() as connection:
        level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with connection.execution_options(read_only=True, **level).begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it is kept, or after an error nothing."""
    with turns_of(engine).turn(write=True), engine.begin() as connection:
        yield connection


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts the rows whose keys are not there yet; returns how many that were."""
    return _insert(connection, table, rows, lambda statement: statement.on_conflict_do_nothing())


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *keys: str) -> None:
    """Inserts rows, each with `keys` of its own; where they are there already, the row gets the new values."""

    def replace(statement: Any) -> Any:
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)

    _insert(connection, table, rows, replace)


def _insert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], on_conflict: Callable[[Any], Any]
) -> int:
    if not rows:
        return 0
    names = list(rows[0])
    if connection.dialect.name == "sqlite":
        # Straight to the driver: preparing each row as SQLAlchemy does took as long as writing it.
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        compiled = on_conflict(sqlite.insert(table).values(values)).compile(dialect=connection.dialect)
        order = compiled.positiontup or names
        return connection.exec_driver_sql(str(compiled), [tuple(row[name] for name in order) for row in rows]).rowcount
    # One array for each column: 8,000 single parameters a statement took 85 us a row, arrays take 15.
    arrays = [func.unnest(bindparam(name, type_=postgresql.ARRAY(table.c[name].type))) for name in names]
    statement = on_conflict(postgresql.insert(table).from_select(names, select(*arrays)))
    counted = connection.execution_options(preserve_rowcount=True)
    return counted.execute(statement, {name: [row[name] for row in rows] for name in names}).rowcount


def share_log(connection: Connection) -> None:
    """A writer of a positioned log says so until its transaction ends.

    PostgreSQL hands out positions before commit, so a later position can become visible first; see `settled`.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": LOG_LOCK})


@contextmanager
def settled(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees every position handed out so far: what is visible in it has no gaps to come.

    On PostgreSQL it waits for the writers at work and keeps new ones waiting, so it is to be left soon.
    """
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            yield connection
        return
    with turns_of(engine).turn(write=False), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOG_LOCK})
        yield connection
