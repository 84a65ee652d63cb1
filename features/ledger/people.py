"""The part of the ledger that puts together what was said of customers: statements come in, the customer is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Connection, String, any_, bindparam, func, select, update

from features.domain import Customer
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.records import as_json, customer_row
from features.statements import Statement, described, taken_in, without_source

#: The note of when this ledger began to keep statements.
SINCE = "statements-since"
#: Customers locked by one statement.
_PORTION = 5_000
_decode = msgspec.json.decode
_statements = msgspec.json.Decoder(list[Statement]).decode


@dataclass(slots=True)
class _Known:
    """A customer as the ledger has them, the version of their contacts, and what was said; None where nothing was."""

    customer: Customer
    contact_version: int = 0
    statements: Sequence[Statement] | None = None


def take_statements(
    connection: Connection, said: Mapping[str, Sequence[Statement]], first_seen: Mapping[str, int] | None = None
) -> int:
    """Takes in what was said of each customer; returns how many of them were unknown.

    Where it changes what they consent to, decisions under way are made again. `first_seen` is since when somebody
    unknown is known, where no statement says it.
    """
    names = sorted(said)  # so that two writers of the same customers wait for each other, never in a ring
    known = _locked(connection, names)
    strangers, statements = _added(said, [name for name in names if name not in known], first_seen or {})
    added = database.insert_new(connection, t.customers, strangers)
    if added < len(strangers):  # another writer added some of them in this very moment
        known |= _locked(connection, [row["customer_id"] for row in strangers])
        statements = []
    since = int(connection.scalar(select(t.notes.c.value).where(t.notes.c.name == SINCE)) or 0)
    customers = []
    for name in known:
        customer, after = _after(known[name], said[name], since)
        if after is not None:
            statements.append({"customer_id": name, "said": as_json(after)})
        if customer is not None:
            customers.append(customer)
    if customers:
        database.upsert(connection, t.customers, customers, "customer_id")
    if statements:
        database.upsert(connection, t.statements, statements, "customer_id")
    return added


def move_contacts(connection: Connection, customer_ids: Sequence[str]) -> None:
    """A decision under way that has not seen what changed for these customers is refused and made again."""
    c = t.customers.c
    for some, given in _portions(connection, customer_ids):
        connection.execute(select(c.customer_id).where(some).order_by(c.customer_id).with_for_update(), given)
        connection.execute(update(t.customers).where(some).values(contact_version=c.contact_version + 1), given)


def _added(
    said: Mapping[str, Sequence[Statement]], names: Sequence[str], first_seen: Mapping[str, int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of customers unknown so far, and of what was said of them."""
    customers, statements = [], []
    for name in names:
        seen = first_seen.get(name)
        told: Sequence[Statement] = () if seen is None else without_source(Customer(name, seen), 0)
        for one in said[name]:
            told = taken_in(told, one)
        customers.append(customer_row(described(name, told)))
        if told:
            statements.append({"customer_id": name, "said": as_json(told)})
    return customers, statements


def _after(
    known: _Known, said: Sequence[Statement], since: int
) -> tuple[dict[str, Any] | None, Sequence[Statement] | None]:
    """(the customer's row, all that was said), each None where it stays as it is."""
    before = known.customer
    told = known.statements if known.statements is not None else without_source(before, since)
    after = told
    for one in said:
        after = taken_in(after, one)
    if after is told:
        return None, None
    customer = described(before.customer_id, after)
    if customer == before:
        return None, after
    moved = customer.consents != before.consents
    return customer_row(customer) | {"contact_version": known.contact_version + moved}, after


def _locked(connection: Connection, customer_ids: Sequence[str]) -> dict[str, _Known]:
    """Those of the customers that are known, kept from other writers until the transaction ends."""
    c, s = t.customers.c, t.statements.c
    columns = (c.customer_id, c.created_at, c.zone, c.consents, c.attributes, c.contact_version)
    found: dict[str, _Known] = {}
    for some, given in _portions(connection, customer_ids):
        query = select(*columns).where(some).order_by(c.customer_id).with_for_update()
        for row in connection.execute(query, given).cursor.fetchall():
            found[row[0]] = _Known(Customer(row[0], row[1], row[2], _decode(row[3]), _decode(row[4])), row[5])
        # Only now: in a join one would see what was said before another writer's lock was waited for.
        said = select(s.customer_id, s.said).where(s.customer_id.in_(select(c.customer_id).where(some)))
        for customer_id, text in connection.execute(said, given).cursor.fetchall():
            if customer_id in found:  # else added since by another writer, which the insertion will show
                found[customer_id].statements = _statements(text)
    return found


def _portions(connection: Connection, customer_ids: Sequence[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(a condition on customers, its parameters) for some of the ids after the other, in one order for everybody."""
    wanted, c = sorted(set(customer_ids)), t.customers.c
    for start in range(0, len(wanted), _PORTION):
        some = wanted[start : start + _PORTION]
        if connection.dialect.name == "sqlite":
            listed = func.json_each(bindparam("wanted")).table_valued("value")
            yield c.customer_id.in_(select(listed.c.value)), {"wanted": json.dumps(some)}
        else:
            given: Any = bindparam("wanted", type_=ARRAY(String))
            yield c.customer_id == any_(given), {"wanted": some}
