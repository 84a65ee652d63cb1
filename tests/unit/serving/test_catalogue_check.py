"""Faults of a catalogue by file, line and key; a running service keeps the last good catalogue; `segue suppress`."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features.domain import Customer
from features.errors import SegueError
from features.ledger import open_ledger
from features.settings import Settings
from serving.cli import commands
from serving.refresh import Live

GOOD = """\
[[group]]
id = "g"
[[channel]]
id = "email"
[[action]]
id = "offer"
group = "g"
eligible = "customer.age > 3"
value = "2.0 * score.churn"
treatment = [{ channel = "email" }]
"""


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer(pretty_exceptions_enable=False)
    commands(made)
    return made


def write(home: Path, text: str) -> None:
    (home / "catalogue").mkdir(exist_ok=True)
    file = home / "catalogue" / "c.toml"
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))  # newer, however coarse the file system's clock


def check(app: typer.Typer, home: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["catalogue", "check", "--home", str(home)])
    return result.exit_code, result.output


def test_a_catalogue_without_faults_is_counted(app: typer.Typer, tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    status, told = check(app, tmp_path)
    assert (status, told.splitlines()[0]) == (0, "1 actions on 1 channels, 1 arms: no faults")


def test_what_may_be_a_slip_of_the_pen_is_noted_and_is_no_fault(app: typer.Typer, tmp_path: Path) -> None:
    assert GOOD.count("content") == 0
    write(tmp_path, GOOD)
    assert "note" not in check(app, tmp_path)[1]
    more = GOOD.replace('"email" }', '"email", content = "offer/email" }')
    plain = '[[action]]\nid = "plain"\ngroup = "g"\ntreatment = [{ channel = "email" }]\n'
    write(tmp_path, more + plain)
    status, told = check(app, tmp_path)
    assert status == 0
    assert [line for line in told.splitlines() if line.startswith("note")] == [
        "note: c.toml:11: action.value: plain: a success is worth 1.0, as where no value is written, beside actions "
        "worth other sums",
        "note: c.toml:14: action.treatment.channel: plain: without content on email: the answer will say null",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("score.churn", "score.love", "c.toml:9: action.value: offer: no score 'love'"),
        ("customer.age > 3", "customer.age >", "c.toml:8: action.eligible: offer: "),
        ("customer.age > 3", "person.age > 3", "c.toml:8: action.eligible: offer: unknown name 'person'"),
        ("2.0 * score.churn", "true", "c.toml:9: action.value: offer: gives true or false; a value must give a finite"),
        ("2.0 * score.churn", "1.0/0.0", "c.toml:9: action.value: offer: gives no finite number; a value must"),
        ("customer.age > 3", "customer.age", "c.toml:8: action.eligible: offer: gives a number"),
        ('channel = "email"', 'channel = "fax"', "c.toml:10: action.treatment.channel: offer: no channel 'fax'"),
    ],
)
def test_a_fault_is_named_with_file_line_and_key(
    app: typer.Typer, tmp_path: Path, before: str, after: str, said: str
) -> None:
    write(tmp_path, GOOD.replace(before, after))
    status, told = check(app, tmp_path)
    assert status == 1
    assert said in told


def test_faults_of_every_kind_are_told_together_in_order_of_lines(app: typer.Typer, tmp_path: Path) -> None:
    bad = GOOD.replace("score.churn", "score.love").replace('group = "g"\n', 'group = "h"\n')
    write(tmp_path, bad + '[[contact_policy]]\nid = "r"\nlimit = 0\n')
    told = check(app, tmp_path)[1]
    assert [line.split(": ")[0] for line in told.splitlines()] == ["c.toml:7", "c.toml:9", "c.toml:11", "c.toml:13"]


def test_a_broken_file_keeps_the_last_good_catalogue_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path)
    ledger = open_ledger(settings.ledger)
    live = Live(settings, ledger, lambda: None)
    write(tmp_path, GOOD)
    assert live.refresh() is True
    good = live.strategy.catalogue.version
    for bad in ("[[action\n", GOOD.replace("score.churn", "score.love"), GOOD.replace('group = "g"\n', "")):
        write(tmp_path, bad)
        with caplog.at_level(logging.ERROR, logger="segue"):
            caplog.clear()
            live.refresh()
        assert live.strategy.catalogue.version == good
        assert "the last good one stays: c.toml:" in caplog.text
    write(tmp_path, GOOD.replace("3", "4"))
    assert live.refresh() is True
    assert live.strategy.catalogue.version != good
    ledger.close()


def test_a_customer_is_suppressed_listed_and_taken_off_the_list(app: typer.Typer, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["suppress", *words, "--home", str(tmp_path)], catch_exceptions=False)
        return result.output.strip()

    assert run("anna", "--reason", "court order").splitlines()[0] == "suppressed: anna"
    assert run() == "anna\tcourt order"
    assert run("anna", "--lift") == "lifted: anna"
    assert run() == ""
    for words in (("anna",), ("anna", "--lift"), ("x" * 129, "--reason", "r"), ("anna", "--reason", "r" * 201)):
        with pytest.raises(SegueError, match=r"reason|list|characters"):
            run(*words)


def test_blanks_around_a_typed_id_do_not_count_and_an_unknown_customer_is_said_to_be_one(
    app: typer.Typer, tmp_path: Path
) -> None:
    ledger = open_ledger(Settings(home=tmp_path).ledger)
    ledger.put_customers([Customer("U1")])
    ledger.suppress("U3 ", "typed with a blank in earlier days", 1)

    def run(*words: str) -> list[str]:
        result = CliRunner().invoke(app, ["suppress", *words, "--home", str(tmp_path)], catch_exceptions=False)
        return str(result.output).splitlines()

    assert run(" U1 ", "--reason", " asked ") == ["suppressed: U1"]
    told = run("u1\t", "--reason", "asked")
    assert told[0] == "suppressed: u1"
    assert "no customer is known by this id" in told[1]
    assert [(one.customer_id, one.reason) for one in ledger.suppressions()][:1] == [("U1", "asked")]
    assert run("U1\n", "--lift") == ["lifted: U1"]
    assert run("U3 ", "--lift") == ["lifted: U3"]
    assert [one.customer_id for one in ledger.suppressions()] == ["u1"]
    for words in (("   ", "--reason", "asked"), ("U\x07 1", "--lift"), ("U1", "--reason", "  ")):
        with pytest.raises(SegueError):
            run(*words)
    ledger.close()
