"""A ledger of an earlier version becomes the present one when it is opened, with everything it knows."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import inspect, text

from features.catalogue import EMPTY_CATALOGUE
from features.clock import DAY
from features.domain import DO_NOTHING, Arm, Customer, Outcome
from features.errors import NotReady
from features.ledger import engine, open_ledger, people, schema, tables
from features.statements import Statement
from tests.contracts.test_ledger import NOW, append, decision, item, outcome
from training.learner import learn_round

#: What version 1 had otherwise, told by undoing what came since.
BACK_TO_1 = (
    "DROP TABLE schema_version",
    "DROP TABLE statements",
    "DROP TABLE reservations",
    "CREATE TABLE reservations (decision_id VARCHAR(128) NOT NULL, rank INTEGER NOT NULL,"
    " customer_id VARCHAR(128) NOT NULL, action VARCHAR(128) NOT NULL, channel VARCHAR(64) NOT NULL,"
    " action_group VARCHAR(128) NOT NULL, action_class VARCHAR(16) NOT NULL, reserved_at BIGINT NOT NULL,"
    " expires_at BIGINT NOT NULL, state VARCHAR(16) NOT NULL, PRIMARY KEY (decision_id, rank))",
    "CREATE INDEX reservations_of_customer ON reservations (customer_id, reserved_at)",
    "INSERT INTO reservations VALUES ('d0', 1, 'c0', 'offer', 'email', 'g', 'marketing', 5, 9, 'committed')",
    "UPDATE decision_items SET shown_at = 7 WHERE decision_id = 'd0'",
    "CREATE INDEX decisions_of_customer ON decisions (customer_id, decided_at)",
    "DROP TABLE policy_statistics",
    "DROP INDEX items_due",
    "ALTER TABLE decision_items DROP COLUMN covariates",
    "ALTER TABLE decision_items DROP COLUMN due_at",
    "ALTER TABLE decision_items DROP COLUMN success_units",
    "CREATE INDEX items_open ON decision_items (closes_at) WHERE reward_state = 'open'",
)


#: What version 4 had otherwise.
BACK_TO_4 = (
    "DROP TABLE statements",
    "DELETE FROM reservations",
    "UPDATE schema_version SET version = 4",
)


def as_version_1(url: str) -> None:
    """A ledger in which version 1 learned from one success and one silence, and waits for a third."""
    ledger = open_ledger(url)
    ledger.put_customers([Customer(f"c{n}") for n in range(4)])
    for n in range(3):
        append(ledger, decision(f"d{n}", f"c{n}"))
    append(ledger, decision("d3", "c3", items=[item(DO_NOTHING)]))
    ledger.import_decisions([decision("d4")])
    ledger.append_outcomes([Outcome("o0", "d0", "c0", "offer", "accepted", NOW + DAY)], NOW)
    ledger.save_learning(5, position=1, state='{"number":5,"bundle":"bundle-1","arms":{}}', now=NOW)
    ledger.close()
    opened = engine.create(url)
    with engine.writing(opened) as connection:
        for statement in BACK_TO_1:
            connection.execute(text(statement))
        final = "UPDATE decision_items SET reward_state = 'final', reward_units = {} WHERE decision_id = '{}'"
        connection.execute(text(final.format(1_000_000, "d0")))
        connection.execute(text(final.format(0, "d1")))
        connection.execute(text("UPDATE decision_items SET reward_state = 'open' WHERE decision_id = 'd3'"))
    opened.dispose()


def test_what_version_1_had_learned_is_learned_again_exactly(ledger_url: str) -> None:
    as_version_1(ledger_url)
    ledger = open_ledger(ledger_url)
    learned = learn_round(ledger, EMPTY_CATALOGUE, "bundle-1", NOW + 7 * DAY)
    assert learned.snapshot.number > 5
    arm = learned.snapshot.arms["offer@email"]
    assert (arm.count, arm.accepts_units, arm.expected_units) == (3, 1_000_000, 600_000)
    states = [ledger.decision(f"d{n}").items[0] for n in range(5)]
    assert [(i.reward_state, i.reward_units, i.success_units) for i in states] == [
        ("final", 4_000_000, 1_000_000),
        ("provisional", 0, 0),
        ("provisional", 0, 0),
        ("final", 0, None),
        ("imported", 0, None),
    ]
    ledger.close()


def test_a_migrated_ledger_has_the_tables_of_a_new_one(ledger_url: str) -> None:
    def shape() -> dict[str, tuple[list[str], list[str]]]:
        opened = engine.create(ledger_url)
        found = inspect(opened)
        shapes = {
            name: (
                sorted(f"{c['name']} {c['type']} {c['nullable']}" for c in found.get_columns(name)),
                sorted(str(i["name"]) for i in found.get_indexes(name)),
            )
            for name in sorted(found.get_table_names())
        }
        opened.dispose()
        return shapes

    open_ledger(ledger_url).close()
    new = shape()
    as_version_1(ledger_url)
    assert shape() != new
    open_ledger(ledger_url).close()
    assert shape() == new


def test_a_migration_happens_once_also_when_several_processes_open_the_ledger(ledger_url: str) -> None:
    as_version_1(ledger_url)
    errors: list[Exception] = []

    def opens() -> None:
        try:
            open_ledger(ledger_url).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=opens) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    ledger = open_ledger(ledger_url)
    assert ledger.count("schema_version") == 1
    ledger.append_outcomes([outcome(1, "d1")], NOW)
    ledger.close()


def test_a_migration_that_fails_changes_nothing(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    as_version_1(ledger_url)
    broken = {**schema.MIGRATIONS, 2: (*schema.MIGRATIONS[2], "UPDATE no_such_table SET x = 1")}
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(Exception, match="no_such_table"):
        open_ledger(ledger_url)
    monkeypatch.undo()
    ledger = open_ledger(ledger_url)
    assert [ledger.decision(f"d{n}").items[0].arm for n in range(2)] == [Arm("offer", "email")] * 2
    ledger.close()


def as_version_4(url: str) -> None:
    """A ledger that knows customers, one of whom refused e-mail, and contacts made elsewhere, of which one failed."""
    ledger = open_ledger(url)
    ledger.import_decisions([decision(f"d{n}") for n in range(3)] + [decision("d3", items=[item(DO_NOTHING)])])
    ledger.append_outcomes([outcome(1, "d1", "failed"), outcome(2, "d2", "seen")], NOW)
    ledger.close()
    opened = engine.create(url)
    customers = (
        "INSERT INTO customers (customer_id, created_at, zone, consents, attributes) VALUES"
        """ ('c1', 5, 'Europe/Rome', '{"email"\\:"denied","push"\\:"granted"}', '{"tier"\\:"gold"}')"""
    )
    with engine.writing(opened) as connection:
        for statement in (*BACK_TO_4, customers):
            connection.execute(text(statement))
    opened.dispose()


def test_a_refusal_from_before_statements_were_kept_stands_until_a_dated_grant(ledger_url: str) -> None:
    as_version_4(ledger_url)
    ledger = open_ledger(ledger_url)
    since = int(ledger.note(people.SINCE) or 0)
    ledger.put_customers([Customer("c1", consents={"email": "granted", "push": "denied"})], source="crm", at=since + 1)
    known = Customer("c1", 5, "Europe/Rome", {"email": "denied", "push": "denied"}, {"tier": "gold"})
    assert ledger.customer("c1") == known
    for said_at, email in ((since, "denied"), (since + 1, "granted")):
        granted = Statement("crm", said_at, True, {"consents.email": "granted", "attributes.tier": "silver"})
        ledger.take_statements({"c1": [granted]})
        found = ledger.customer("c1")
        assert found is not None
        assert (found.consents["email"], found.attributes) == (email, {"tier": "silver"})
    ledger.close()


def test_contacts_made_elsewhere_count_after_the_migration_but_those_that_failed(ledger_url: str) -> None:
    as_version_4(ledger_url)
    ledger = open_ledger(ledger_url)
    slots = ledger.before_decision("-", "c1", 0).slots
    assert [(s.decision_id, s.state, s.reserved_at, s.action_class) for s in slots] == [
        ("d0", "imported", NOW, "marketing"),
        ("d2", "committed", NOW, "marketing"),
    ]
    ledger.append_outcomes([outcome(3, "d0", "failed"), outcome(4, "d1", "seen")], NOW)
    assert [s.decision_id for s in ledger.before_decision("-", "c1", 0).slots] == ["d1", "d2"]
    ledger.close()


def test_a_ledger_of_a_newer_version_is_refused_by_name(ledger_url: str) -> None:
    open_ledger(ledger_url).close()
    opened = engine.create(ledger_url)
    with engine.writing(opened) as connection:
        connection.execute(tables.schema_version.update().values(version=schema.LATEST + 1))
    with pytest.raises(NotReady, match="newer"):
        open_ledger(ledger_url)
    opened.dispose()
