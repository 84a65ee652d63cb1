"""Decisions into the ledger: one in its own transaction, or those of many requests together in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Engine, String, any_, bindparam, func, select

from features.errors import Conflict, ContactTaken, LedgerUnavailable
from features.ledger import tables as t
from features.ledger.entries import Entry
from features.ledger.path import DecisionPath
from features.ledger.prepared import Prepared, short_transaction

#: What PostgreSQL says when it ended one of two transactions that waited for each other.
DEADLOCK = "40P01"


class Appender:
    """Writes entries. What it returns from is committed."""

    def __init__(self, engine: Engine, path: DecisionPath) -> None:
        self._engine = engine
        self._path = path
        self._embedded = engine.dialect.name == "sqlite"
        self._versions = Prepared(engine, _versions(self._embedded))

    def alone(self, entry: Entry) -> None:
        """Raises ContactTaken and Conflict, see `Decisions.append_decision`; nothing is written then."""
        try:
            with short_transaction(self._engine, write=True) as cursor:
                self._path.append(cursor, entry)
        except self._path.integrity_error as error:
            raise _answered() from error

    def together(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """For each None, or why it was refused: as if each had come alone, but with one commit and few statements.

        Raises what is wrong with the database itself; nothing is written then.
        """
        if len(entries) == 1:
            return [self._refusal(entries[0])]
        # Everybody asks for the locks of customers in one order, or two groups could wait for each other.
        places = sorted(range(len(entries)), key=lambda place: entries[place].customer_id)
        try:
            found = self._written([entries[place] for place in places])
        except Exception as error:
            if isinstance(error, LedgerUnavailable) and getattr(error.__cause__, "sqlstate", "") != DEADLOCK:
                raise
            # Rare: another process answered one of the requests in this very moment, or the database does not take
            # one of the rows. Each in its own transaction shows which, and spares the others.
            return [self._refusal(entry) for entry in entries]
        by_place = dict(zip(places, found, strict=True))
        return [by_place[place] for place in range(len(entries))]

    def whole(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """For each None, or that its customer's contacts have moved, and it is not written.

        Raises Conflict, and writes nothing at all, where a request was answered before.
        """
        try:
            return self._written(entries, whole=True)
        except self._path.integrity_error as error:
            raise _answered() from error

    def _written(self, entries: Sequence[Entry], *, whole: bool = False) -> list[Exception | None]:
        with short_transaction(self._engine, write=True) as cursor:
            self._path.share_log(cursor)
            customers = sorted({entry.customer_id for entry in entries})
            asked = {"customers": json.dumps(customers) if self._embedded else customers}
            before = {row[0]: row[1] for row in self._versions.run(cursor, asked).fetchall()}
            refusals, after = judge(entries, before)
            if whole:
                for refusal in refusals:
                    if isinstance(refusal, Conflict):
                        raise refusal
            taken = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
            self._path.write(cursor, taken, {c: (before[c], v) for c, v in after.items() if v != before[c]})
        return refusals

    def _refusal(self, entry: Entry) -> Exception | None:
        try:
            self.alone(entry)
        except Exception as error:
            return error
        return None


def judge(entries: Sequence[Entry], versions: Mapping[str, int]) -> tuple[list[Exception | None], dict[str, int]]:
    """(for each entry None or why it is refused, the contact versions after those that are not).

    `versions` are those before, by customer, without customers unknown; nobody else moves them meanwhile. An entry is
    judged on the state that those before it in the list leave behind.
    """
    after = dict(versions)
    answered: set[str] = set()
    refusals: list[Exception | None] = []
    for entry in entries:
        version = after.get(entry.customer_id)
        if version != entry.contact_version if version is not None else entry.slots:
            refusals.append(ContactTaken("another request of this customer was decided first"))
            continue
        ids = {"r " + entry.decision["request_id"], "d " + entry.decision["decision_id"]}
        if ids & answered:
            refusals.append(_answered())
            continue
        answered |= ids
        refusals.append(None)
        if version is not None and entry.slots:
            after[entry.customer_id] = version + 1
    return refusals, after


def _answered() -> Conflict:
    return Conflict("this request was answered meanwhile", field="request_id")


def _versions(embedded: bool) -> Any:
    """customer_id, contact_version of many customers; on PostgreSQL kept from others until the transaction ends."""
    c = t.customers.c
    query = select(c.customer_id, c.contact_version)
    if embedded:  # the transaction has the only writer's lock already
        listed = func.json_each(bindparam("customers")).table_valued("value")
        return query.where(c.customer_id.in_(select(listed.c.value)))
    given: Any = bindparam("customers", type_=ARRAY(String))
    return query.where(c.customer_id == any_(given)).order_by(c.customer_id).with_for_update(key_share=True)
