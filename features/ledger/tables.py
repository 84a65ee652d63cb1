"""The ledger's tables. Times are whole microseconds UTC; maps are JSON text; `position` orders a log as written."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

from features.domain import MAX_ID_LENGTH

metadata = MetaData()

_Id = String(MAX_ID_LENGTH)
#: SQLite only numbers rows by itself in a column of type INTEGER; PostgreSQL wants 8 bytes.
_Position = BigInteger().with_variant(Integer, "sqlite")


def _position() -> Column[int]:
    return Column("position", _Position, primary_key=True, autoincrement=True)


customers = Table(
    "customers",
    metadata,
    Column("customer_id", _Id, primary_key=True),
    Column("created_at", BigInteger),
    Column("zone", String(64)),
    Column("consents", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    # Raised by every decision that takes a contact slot: two requests of one customer cannot both see the old state.
    Column("contact_version", BigInteger, nullable=False, server_default="0"),
)

#: What was said of each customer, from which `customers` follows: a JSON array of `features.statements.Statement`.
#: Apart from `customers`, whose rows every decision reads.
statements = Table(
    "statements",
    metadata,
    Column("customer_id", _Id, primary_key=True),
    Column("said", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: Who is not to be contacted by anybody about anything, known customer or not.
suppressions = Table(
    "suppressions",
    metadata,
    Column("customer_id", _Id, primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("since", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    _position(),
    Column("event_id", _Id, nullable=False, unique=True),
    Column("customer_id", _Id, nullable=False),
    Column("type", String(64), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("source", String(128)),
    Column("channel", String(64)),
    Column("value", Float(53)),
    Column("properties", Text, nullable=False),
    Index("events_of_customer", "customer_id", "occurred_at"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    _position(),
    Column("decision_id", _Id, nullable=False, unique=True),
    Column("request_id", _Id, nullable=False, unique=True),
    Column("request_hash", String(64), nullable=False),
    Column("customer_id", _Id, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("result", String(32), nullable=False),
    Column("reason", String(64)),
    Column("fallback_reason", String(64)),
    Column("variants", Text, nullable=False),
    # Everything the decision knew and considered, as JSON; None for imported ones.
    Column("record", LargeBinary),
    # The very bytes that were answered; a repeated request gets them again.
    Column("answer", LargeBinary),
    sqlite_autoincrement=True,
)

decision_items = Table(
    "decision_items",
    metadata,
    Column("decision_id", _Id, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("customer_id", _Id, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("action", _Id, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("action_group", _Id, nullable=False),
    Column("action_probability", Float(53), nullable=False),
    Column("p_model", Float(53)),
    Column("p_accept", Float(53)),
    Column("action_value", Float(53), nullable=False),
    Column("closes_at", BigInteger, nullable=False),
    Column("bundle", String(64)),
    Column("shown_at", BigInteger),
    # open, provisional or final (`features.rewards`); imported: never learned from online.
    Column("reward_state", String(16), nullable=False),
    # Money, in millionths.
    Column("reward_units", BigInteger, nullable=False, server_default="0"),
    # What the policy has learned from it: success in millionths; NULL while it has learned nothing.
    Column("success_units", BigInteger),
    # When the learner looks at it again though nothing more is heard; NULL for never.
    Column("due_at", BigInteger),
    # What p_accept was corrected by besides a constant: whole numbers as a JSON array; NULL for by nothing.
    Column("covariates", Text),
    Index("items_of_customer", "customer_id", "decided_at"),
)
Index(
    "items_due",
    decision_items.c.due_at,
    sqlite_where=decision_items.c.due_at.is_not(None),
    postgresql_where=decision_items.c.due_at.is_not(None),
)

outcomes = Table(
    "outcomes",
    metadata,
    _position(),
    Column("outcome_id", _Id, nullable=False, unique=True),
    Column("decision_id", _Id, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("customer_id", _Id, nullable=False),
    Column("action", _Id, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("value", Float(53)),
    Index("outcomes_of_decision", "decision_id", "rank"),
    Index("outcomes_of_customer", "customer_id", "occurred_at"),
    sqlite_autoincrement=True,
)

#: Kept customer by customer: a decision finds all contacts of one in the same place.
reservations = Table(
    "reservations",
    metadata,
    Column("customer_id", _Id, primary_key=True),
    Column("reserved_at", BigInteger, primary_key=True, autoincrement=False),
    Column("decision_id", _Id, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("action", _Id, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("action_group", _Id, nullable=False),
    Column("action_class", String(16), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # When it was displayed or delivered, as in decision_items.
    Column("shown_at", BigInteger),
    # reserved: promised with the decision; committed: shown or delivered; released: expired or failed; imported: made
    # elsewhere as far as is known, until it is told that it failed.
    Column("state", String(16), nullable=False),
    Index("reservations_of_decision", "decision_id", "rank", unique=True),
    sqlite_with_rowid=False,
)
Index(
    "reservations_held",
    reservations.c.expires_at,
    sqlite_where=reservations.c.state == "reserved",
    postgresql_where=reservations.c.state == "reserved",
)

#: What was learned on each bundle's predictions, arm by arm and day by day: whole numbers as a JSON array, which add.
policy_statistics = Table(
    "policy_statistics",
    metadata,
    Column("bundle", String(64), primary_key=True),
    Column("arm", String(MAX_ID_LENGTH + 65), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("sums", Text, nullable=False),
)

#: What of the statistics serving needs, weighed as of one day, numbered; decisions name the number.
policy_snapshots = Table(
    "policy_snapshots",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)

#: Every catalogue that ever decided: `files` are its TOML files by name, as JSON.
catalogues = Table(
    "catalogues",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("files", Text, nullable=False),
)

#: Small facts that must survive: the time shift of an import, the position up to which features were pushed.
notes = Table(
    "notes",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)

#: One row: which of `features.ledger.schema` the tables are.
schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
