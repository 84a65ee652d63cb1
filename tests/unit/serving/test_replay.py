"""Replay: every decision made again from the ledger and the bundles alone, and every change of a record found."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Outcome
from features.ledger import Ledger, open_ledger
from serving.cli import commands
from serving.decider import Decider
from serving.replay import DIFFERENT, NOT_REPLAYABLE, SAME, Verdict, replay
from serving.schema import DecideRequest
from training.bundle import champion
from training.learner import learn_round

Deciding = Callable[..., Any]
NOW = 1_780_315_200_000_000
LATER = """
[[action]]
id = "extra"
group = "help"
value = 30.0
treatment = [{ channel = "web" }, { channel = "email" }]
[[quiet_hours]]
id = "night"
start = "20:00"
end = "08:00"
"""


def ask(decider: Decider, customers: list[str], now: int, name: str, **given: Any) -> list[str]:
    """Decides for these customers; gives the decision ids."""
    messages = [DecideRequest(f"{name}-{n}", customer, **given) for n, customer in enumerate(customers)]
    return [json.loads(decider.decide(m, now + n * HOUR).body)["decision_id"] for n, m in enumerate(messages)]


@pytest.fixture
def told(deciding: Deciding) -> tuple[Path, list[str]]:
    """A home that decided in many ways, and its decisions: several catalogues, snapshots, policies, ways to fail."""
    first = deciding()
    customers = first.ledger.customer_ids(24)
    ids = ask(first.decider(), customers, NOW, "plain")
    ids += ask(first.decider(), customers, NOW + DAY, "slate", limit=3, intent="leaving", context={"x": 1, "y": 0.5})
    outcomes = [
        Outcome(f"o{n}", i.decision_id, i.customer_id, i.arm.action, ("accepted", "rejected")[n % 2], NOW + 2 * DAY)
        for n, i in enumerate(x for d in ids for x in first.ledger.decision(d).items if x.arm != DO_NOTHING)
    ]
    first.ledger.append_outcomes(outcomes, NOW + 2 * DAY)
    folder = champion(first.settings.bundle_folder)
    learn_round(first.ledger, first.live.strategy.catalogue, folder and folder.name, NOW + 3 * DAY)
    (first.settings.catalogue_folder / "later.toml").write_text(LATER)
    assert first.live.refresh()
    ids += ask(first.decider(), customers, NOW + 3 * DAY, "learned", channels=("web", "email"), limit=2)
    late = iter(range(1, 1000))
    ids += ask(first.decider(lambda: float(next(late))), customers[:2], NOW + 3 * DAY, "late")
    blind = deciding(features=False, policy="thompson", probability_floor=0.012345678, new_arm_ramp=50)
    ids += ask(blind.decider(), [*customers, "nobody"], NOW + 4 * DAY, "blind")
    return first.settings.home, ids


def verdicts(home: Path, decision_id: str | None = None) -> list[Verdict]:
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    try:
        return list(replay(ledger, home / "bundles", decision_id))
    finally:
        ledger.close()


def change(home: Path, decision_id: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Tampers with a record."""
    with sqlite3.connect(home / "ledger.db") as connection:
        (text,) = connection.execute("SELECT record FROM decisions WHERE decision_id = ?", [decision_id]).fetchone()
        record = json.loads(text)
        edit(record)
        altered = json.dumps(record).encode()
        connection.execute("UPDATE decisions SET record = ? WHERE decision_id = ?", [altered, decision_id])
    connection.close()


def test_a_warned_decision_comes_out_the_same_and_so_does_one_from_before_warnings(deciding: Deciding) -> None:
    world = deciding()
    warned, before = ask(world.decider(), world.ledger.customer_ids(2), NOW, "odd", intent="unheard of")
    assert json.loads(world.ledger.decision(warned).record)["warnings"] == ["unknown_intent"]
    change(world.settings.home, before, lambda record: record.pop("warnings"))
    assert [v.kind for v in verdicts(world.settings.home)] == [SAME, SAME]
    change(world.settings.home, warned, lambda record: record.update(warnings=[]))
    assert [v.kind for v in verdicts(world.settings.home)] == [DIFFERENT, SAME]


def records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(one.record) for one in ledger.live_records(0, 1_000)]


def test_decisions_of_every_kind_come_out_the_same_on_another_machine_too(
    told: tuple[Path, list[str]], tmp_path: Path
) -> None:
    home, ids = told
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with sqlite3.connect(home / "ledger.db") as source, sqlite3.connect(elsewhere / "ledger.db") as target:
        source.backup(target)
    shutil.copytree(home / "bundles", elsewhere / "bundles")
    found = verdicts(elsewhere)
    assert [v.decision_id for v in found] == ids
    assert {(v.kind, v.why) for v in found} == {(SAME, "")}
    ledger = open_ledger(f"sqlite:///{elsewhere / 'ledger.db'}")
    made = records(ledger)
    ledger.close()
    assert {r["reason"] for r in made} >= {None, "holdout", "unknown_customer", "deadline_exceeded"}
    assert {r["fallback_reason"] for r in made} >= {None, "features_unavailable"}
    assert len({r["versions"]["catalogue"] for r in made}) == 2
    assert len({r["versions"]["policy"] for r in made}) == 3
    assert max(len(r["items"]) for r in made) > 1
    # What was learned looked at these customers, and they differ.
    assert len({tuple(i["covariates"]) for r in made for i in r["items"] if any(i["covariates"])}) > 10
    assert any(i["p_accept"] != i["p_model"] for r in made for i in r["items"])
    stages = {x["stage"] for r in made if r["candidates"] for x in r["candidates"]["removals"]}
    assert stages >= {"consent", "eligibility", "contact_policy"}


def _more_likely(record: dict[str, Any]) -> None:
    record["items"][0]["action_probability"] *= 0.999


def _other_feature(record: dict[str, Any]) -> None:
    record["features"] = dict.fromkeys(record["features"], 1e6)


def _no_consent(record: dict[str, Any]) -> None:
    record["inputs"]["knowledge"]["customer"]["suppressed"] = "asked"


def _other_column(record: dict[str, Any]) -> None:
    columns = record["candidates"]["columns"]
    columns["p_model"] = b64encode(struct.pack("<d", 0.5) + b64decode(columns["p_model"])[8:]).decode()


def _forgotten(record: dict[str, Any]) -> None:
    del record["candidates"]["columns"]["lever"]


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (_more_likely, "items[0].action_probability"),
        (_other_feature, "items[0]"),
        (_no_consent, "items"),
        (_other_column, "candidates.columns.p_model[0]"),
        (_forgotten, "candidates.columns.lever"),
        (lambda r: r.update(decided_at=r["decided_at"] + 400 * DAY), "items[0].expires_at"),
        (lambda r: r["inputs"].update(limit=0), "record: makes no decision"),
        (lambda r: r.update(customer_id="somebody"), "ledger.customer_id"),
        (lambda r: r.pop("context"), "record: not readable"),
    ],
)
def test_a_record_that_was_tampered_with_is_named_with_the_field(
    told: tuple[Path, list[str]], edit: Callable[[dict[str, Any]], None], field: str
) -> None:
    home, _ = told
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    plain = next(r["decision_id"] for r in records(ledger) if r["candidates"] and r["versions"]["policy"][-2:] == "/0")
    ledger.close()
    change(home, plain, edit)
    found = verdicts(home)
    assert [v.decision_id for v in found if v.kind != SAME] == [plain]
    (one,) = verdicts(home, plain)
    assert one.kind == DIFFERENT
    assert one.why.startswith(field), one.why


def test_a_decision_from_before_corrections_looked_at_the_customer_says_so(told: tuple[Path, list[str]]) -> None:
    home, ids = told

    def older(record: dict[str, Any]) -> None:
        for item in record["items"]:
            del item["covariates"]

    change(home, ids[0], older)
    (one,) = verdicts(home, ids[0])
    assert (one.kind, one.why) == (NOT_REPLAYABLE, "it was made when what was learned was applied otherwise")


def test_a_column_of_the_ledger_that_was_tampered_with_is_named(told: tuple[Path, list[str]]) -> None:
    home, ids = told
    with sqlite3.connect(home / "ledger.db") as connection:
        statement = "UPDATE decision_items SET action_probability = 0.123 WHERE decision_id = ?"
        connection.execute(statement, [ids[0]])
    connection.close()
    assert verdicts(home, ids[0])[0].why.startswith("ledger.items[0].action_probability: 0.123 recorded, ")


@pytest.mark.parametrize("what", ["bundle", "catalogue", "policy snapshot"])
def test_what_decided_and_is_gone_is_said(told: tuple[Path, list[str]], what: str) -> None:
    home, ids = told
    if what == "bundle":
        shutil.rmtree(home / "bundles")
    else:
        table = {"catalogue": "catalogues", "policy snapshot": "policy_snapshots"}[what]
        with sqlite3.connect(home / "ledger.db") as connection:
            connection.execute(f"DELETE FROM {table}")
        connection.close()
    found = verdicts(home)
    assert len(found) == len(ids)
    gone = [v for v in found if v.kind == NOT_REPLAYABLE]
    assert gone
    assert all(v.why.startswith(what) for v in gone)
    assert all(v.kind in (SAME, NOT_REPLAYABLE) for v in found)


def test_a_record_of_before_inputs_were_kept_says_so(told: tuple[Path, list[str]]) -> None:
    home, ids = told
    change(home, ids[0], lambda record: record.pop("inputs"))
    assert (verdicts(home, ids[0])[0].kind, verdicts(home, ids[1])[0].kind) == (NOT_REPLAYABLE, SAME)


def test_the_command_ends_well_only_when_all_is_the_same(told: tuple[Path, list[str]]) -> None:
    home, ids = told
    app = typer.Typer()
    commands(app)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["replay", *arguments, "--home", str(home)])

    assert run("--all").exit_code == 0
    change(home, ids[0], lambda record: record.update(decided_at=record["decided_at"] + 1))
    one = run(ids[0])
    assert one.exit_code == 1
    assert "different" in one.output
    assert run(ids[1]).exit_code == 0
    assert run("--all").exit_code == 1
    assert run().exit_code != 0
    assert run("d-nothing").exit_code != 0
