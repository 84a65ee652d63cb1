"""Which tables a ledger has, and how an older one becomes the present one: forward only, in order, each step once.

A ledger from before versions were counted is of version 1. To change tables: change `tables.py`, add the statements
that do the same to an existing ledger to `MIGRATIONS`, and test both.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, func, inspect, select, text, update

from features.clock import now
from features.errors import NotReady
from features.ledger import engine as database
from features.ledger import tables as t

#: Version -> statements that make it from the one before. They run on SQLite and on PostgreSQL.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    # Rewards in money beside successes; windows from display; statistics by day. All live items are looked at again.
    2: (
        "ALTER TABLE decision_items ADD COLUMN success_units BIGINT",
        "ALTER TABLE decision_items ADD COLUMN due_at BIGINT",
        "DROP INDEX IF EXISTS items_open",
        "CREATE INDEX items_due ON decision_items (due_at) WHERE due_at IS NOT NULL",
        "UPDATE decision_items SET reward_state = 'open', reward_units = 0, due_at = decided_at"
        " WHERE reward_state <> 'imported' AND action <> 'do_nothing'",
        "UPDATE decision_items SET reward_state = 'final', reward_units = 0"
        " WHERE reward_state <> 'imported' AND action = 'do_nothing'",
    ),
    # Contacts kept customer by customer, with the time they were shown: a decision read 5 pages for each of them.
    3: (
        "DROP INDEX IF EXISTS decisions_of_customer",
        "CREATE TABLE reservations_3 (customer_id VARCHAR(128) NOT NULL, reserved_at BIGINT NOT NULL,"
        " decision_id VARCHAR(128) NOT NULL, rank INTEGER NOT NULL, action VARCHAR(128) NOT NULL,"
        " channel VARCHAR(64) NOT NULL, action_group VARCHAR(128) NOT NULL, action_class VARCHAR(16) NOT NULL,"
        " expires_at BIGINT NOT NULL, shown_at BIGINT, state VARCHAR(16) NOT NULL,"
        " PRIMARY KEY (customer_id, reserved_at, decision_id, rank)) WITHOUT ROWID",
        "INSERT INTO reservations_3 SELECT r.customer_id, r.reserved_at, r.decision_id, r.rank, r.action, r.channel,"
        " r.action_group, r.action_class, r.expires_at, i.shown_at, r.state FROM reservations r"
        " LEFT JOIN decision_items i ON i.decision_id = r.decision_id AND i.rank = r.rank",
        "DROP TABLE reservations",
        "ALTER TABLE reservations_3 RENAME TO reservations",
        "CREATE UNIQUE INDEX reservations_of_decision ON reservations (decision_id, rank)",
        "CREATE INDEX reservations_held ON reservations (expires_at) WHERE state = 'reserved'",
    ),
    # The correction looks at the customer, and is learned anew from all live items.
    4: (
        "ALTER TABLE decision_items ADD COLUMN covariates TEXT",
        "DROP TABLE IF EXISTS policy_statistics",
        "UPDATE decision_items SET success_units = NULL, due_at = decided_at"
        " WHERE reward_state <> 'imported' AND action <> 'do_nothing'",
    ),
    # Who said what of a customer, and when. What is known from before was said by nobody: it gives way to all that is
    # said from now on, but a refusal counts as made now, as nobody kept when it was. Contacts made elsewhere count.
    5: (
        "CREATE TABLE statements (customer_id VARCHAR(128) NOT NULL, said TEXT NOT NULL, PRIMARY KEY (customer_id))"
        " WITHOUT ROWID",
        "INSERT INTO notes (name, value) VALUES ('statements-since', :now)",
        "INSERT INTO reservations (customer_id, reserved_at, decision_id, rank, action, channel, action_group,"
        " action_class, expires_at, shown_at, state)"
        " SELECT i.customer_id, i.decided_at, i.decision_id, i.rank, i.action, i.channel, i.action_group, 'marketing',"
        " i.closes_at, i.shown_at, CASE"
        " WHEN i.shown_at IS NOT NULL OR EXISTS (SELECT 1 FROM outcomes o WHERE o.decision_id = i.decision_id"
        " AND o.rank = i.rank AND o.kind <> 'failed') THEN 'committed'"
        " WHEN EXISTS (SELECT 1 FROM outcomes o WHERE o.decision_id = i.decision_id AND o.rank = i.rank)"
        " THEN 'released' ELSE 'imported' END"
        " FROM decision_items i WHERE i.reward_state = 'imported' AND i.action <> 'do_nothing'",
    ),
}
LATEST = max(MIGRATIONS)
#: Key of the advisory lock of whoever makes or changes tables (PostgreSQL).
SCHEMA_LOCK = 0x5E60F


def prepare(engine: Engine) -> None:
    """Makes the tables of a new ledger, brings an old one up to date. Several processes may do so at once.

    Raises NotReady for a ledger of a newer version than this one knows.
    """
    if _version(engine) == LATEST:
        return
    with database.writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
        found = _stored(connection)
        if found is not None:
            _migrate(connection, found)
        t.metadata.create_all(connection)
        kept = update(t.schema_version).values(version=LATEST)
        if connection.execute(kept).rowcount == 0:
            connection.execute(t.schema_version.insert(), {"version": LATEST})


def _version(engine: Engine) -> int | None:
    with database.reading(engine) as connection:
        return _stored(connection)


def _stored(connection: Connection) -> int | None:
    """The version of the tables that are there; None where there are none."""
    there = inspect(connection).get_table_names()
    if t.schema_version.name in there:
        return connection.scalar(select(func.max(t.schema_version.c.version))) or 1
    return 1 if t.decision_items.name in there else None


def _migrate(connection: Connection, found: int) -> None:
    if found > LATEST:
        raise NotReady(
            f"this ledger is of version {found}, written by a newer Segue; update this one, it knows {LATEST}"
        )
    for version in range(found + 1, LATEST + 1):
        for statement in MIGRATIONS[version]:
            layout = "" if connection.dialect.name == "postgresql" else "WITHOUT ROWID"
            made = text(statement.replace("WITHOUT ROWID", layout))
            connection.execute(made, {"now": str(now())} if ":now" in statement else {})
