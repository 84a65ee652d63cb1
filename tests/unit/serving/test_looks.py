"""A look changes nothing: not the ledger, not the home, not what the next request gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner

from features.domain import Customer
from features.errors import Conflict
from features.ledger import Ledger, engine, open_ledger, tables
from features.settings import Settings
from serving.cli import commands
from serving.contender import reigning
from serving.decider import Decider
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.schema import DecideRequest

CATALOGUE = """
[[group]]
id = "growth"
[[channel]]
id = "email"
[[action]]
id = "upgrade"
group = "growth"
value = 40.0
treatment = [{channel = "email", content = "upgrade/email"}]
[[contact_policy]]
id = "one-a-day"
scope = "all"
limit = 1
window_days = 1
"""
NOW = 1_800_000_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with customers and a catalogue that never decided."""
    made = Settings(home=tmp_path / "home", holdout_share=0.0, deadline_seconds=60.0, policy="uniform")
    made.catalogue_folder.mkdir(parents=True)
    (made.catalogue_folder / "all.toml").write_text(CATALOGUE)
    ledger = open_ledger(made.ledger)
    ledger.put_customers([Customer(f"c{n}", consents={"email": "granted"}) for n in range(20)])
    ledger.close()
    return made


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = open_ledger(settings.ledger)
    yield opened
    opened.close()


def everything(settings: Settings) -> dict[str, Any]:
    """Every row of the ledger and every file of the home, but for what SQLite keeps beside its file."""
    opened = engine.create(settings.ledger)
    with engine.reading(opened) as connection:
        rows: dict[str, Any] = {
            name: [tuple(row) for row in connection.execute(select(table))]
            for name, table in tables.metadata.tables.items()
        }
    opened.dispose()
    files = (file for file in settings.home.rglob("*") if file.is_file() and not file.name.startswith("ledger.db"))
    return rows | {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def decider_of(settings: Settings, ledger: Ledger, journal: Journal, metrics: Metrics) -> Decider:
    live = Live(settings, ledger, lambda: None)
    live.refresh()
    return Decider(settings, ledger, live, [], metrics, journal)


def test_a_look_tells_what_the_request_then_gets_and_writes_nothing(settings: Settings, ledger: Ledger) -> None:
    class Log(list[bytes]):
        write, flush = list.append, lambda _self: None

    log = Log()
    decider = decider_of(settings, ledger, Journal(log), Metrics())  # type: ignore[arg-type]
    before = everything(settings)
    asked = [DecideRequest(f"r{n}", f"c{n}", explain=n % 2 == 0) for n in range(20)]
    looks = [json.loads(decider.look(one, NOW).body) for one in asked for _ in range(3)][::3]
    assert everything(settings) == before
    assert decider._journal._waiting == type(decider._journal._waiting)()
    answers = [json.loads(decider.decide(one, NOW).body) for one in asked]
    assert {look["items"][0]["action"] for look in looks} == {"upgrade", "do_nothing"}
    assert all(look.pop("dry_run") is True and look.pop("decision_id") is None for look in looks)
    assert looks == [{k: v for k, v in answer.items() if k != "decision_id"} for answer in answers]


def test_a_look_at_a_request_that_was_answered_is_its_answer_marked(settings: Settings, ledger: Ledger) -> None:
    decider = decider_of(settings, ledger, Journal(None), Metrics())
    answered = json.loads(decider.decide(DecideRequest("r", "c1"), NOW).body)
    before = everything(settings)
    look = decider.look(DecideRequest("r", "c1", dry_run=True), NOW)
    assert look.replayed
    assert json.loads(look.body) == answered | {"dry_run": True}
    with pytest.raises(Conflict):
        decider.look(DecideRequest("r", "c2", dry_run=True), NOW)
    assert everything(settings) == before


def app() -> typer.Typer:
    made = typer.Typer()
    commands(made)
    return made


COMMANDS: list[list[str]] = [
    ["decide", "c1", "--dry-run"],
    ["decide", "c1", "--dry-run", "--json"],
    ["decide", "nobody", "--dry-run"],
    ["decide", "--all-customers", "--dry-run", "--out", "{out}"],
    ["ramp", "status"],
    ["catalogue", "check"],
]


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Callable[[list[str]], str]:
    def one(words: list[str]) -> str:
        (settings.home / "segue.toml").write_text('policy = "uniform"\nholdout_share = 0.0\n')
        given = [word.format(out=tmp_path / "out.parquet") for word in words]
        told = CliRunner().invoke(app(), [*given, "--home", str(settings.home)])
        assert told.exit_code == 0, told.output
        return told.output

    return one


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_only_looks_changes_nothing_in_a_home(
    settings: Settings, run: Callable[[list[str]], str], words: list[str]
) -> None:
    run(["ramp", "status"])  # writes the settings
    before = everything(settings)
    said = run(words)
    assert everything(settings) == before
    if words[-1] == "--json":
        assert json.loads(said)["dry_run"] is True
    elif words[:2] == ["decide", "c1"]:
        assert "Nothing was recorded" in said


@pytest.mark.parametrize("words", COMMANDS[:4], ids=" ".join)
def test_a_look_makes_no_home(tmp_path: Path, words: list[str]) -> None:
    given = [word.format(out=tmp_path / "out.parquet") for word in words]
    told = CliRunner().invoke(app(), [*given, "--home", str(tmp_path / "nowhere")])
    assert told.exit_code != 0
    assert not (tmp_path / "nowhere").exists()


def test_what_reigns_is_the_last_good_catalogue_while_the_files_are_broken(settings: Settings, ledger: Ledger) -> None:
    decider_of(settings, ledger, Journal(None), Metrics())
    good = reigning(settings, ledger)
    (settings.catalogue_folder / "all.toml").write_text("[[action]]\nid = 5\n")
    assert reigning(settings, ledger) == good
