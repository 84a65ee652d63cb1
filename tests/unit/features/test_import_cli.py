"""The command `segue import`, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features import import_cli
from features.errors import MappingError
from features.settings import SHIPPED


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.callback()(lambda: None)
    import_cli.commands(made)
    return made


def test_it_prints_what_was_added_and_what_was_there(app: typer.Typer, tmp_path: Path) -> None:
    words = ["import", "sample", str(SHIPPED / "samples"), "--home", str(tmp_path / "home")]
    first, second = (CliRunner().invoke(app, words, catch_exceptions=False) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    row = next(line for line in first.stdout.splitlines() if "customers" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["customers", "40", "40", "0", "0"]
    row = next(line for line in second.stdout.splitlines() if "customers" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["customers", "40", "0", "40", "0"]
    assert "MB of memory" in first.stdout
    assert "all times moved by" in first.stdout


def test_it_says_where_rejected_rows_are_and_fails_where_nothing_was_taken(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[file.f]\npath = "f.csv"\n[[customer]]\nfrom = "f"\ncustomer_id = "id"\n')
    (tmp_path / "f.csv").write_text("id,x\n,1\n1,2,3\n")
    words = ["import", str(tmp_path / "m.toml"), str(tmp_path / "f.csv"), "--home", str(tmp_path / "home")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 1
    assert "rejects/m.jsonl" in result.stdout.replace("\n", "")
    assert "unreadable rows" in result.stdout


def test_it_says_when_the_example_catalogue_is_left_and_what_to_do(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[file.f]\npath = "f.csv"\n[[customer]]\nfrom = "f"\ncustomer_id = "id"\n')
    (tmp_path / "f.csv").write_text("id\n1\n")
    words = ["import", str(tmp_path / "m.toml"), str(tmp_path / "f.csv"), "--home", str(tmp_path / "home")]
    first, again = (CliRunner().invoke(app, words, catch_exceptions=False).stdout for _ in range(2))
    assert "example catalogue" in first
    assert "example catalogue" in again
    assert "`segue catalogue check`" in first
    (tmp_path / "home" / "catalogue" / "actions.toml").write_text('[[group]]\nid = "ours"\n')
    assert "example catalogue" not in CliRunner().invoke(app, words, catch_exceptions=False).stdout


def test_a_bad_mapping_is_refused_before_a_home_is_made(app: typer.Typer, tmp_path: Path) -> None:
    words = ["import", "nothing", str(tmp_path), "--home", str(tmp_path / "home")]
    with pytest.raises(MappingError):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not (tmp_path / "home").exists()


ORDERS = """
[file.orders]
path = "orders.csv"
delimiter = ";"
[[customer]]
from = "orders"
customer_id = "who"
[[event]]
from = "orders"
event_id = "no"
customer_id = "who"
type = { constant = "purchase" }
occurred_at = { constant = 2026-01-01 }
value = "sum"
"""


def orders(folder: Path, good: int, bad: int) -> list[str]:
    """The words that import a file of so many rows whose sum can, and cannot, be read."""
    (folder / "m.toml").write_text(ORDERS)
    sums = ["1.50"] * good + ["1,50"] * bad
    rows = "".join(f"{number};c{number};{sum_}\n" for number, sum_ in enumerate(sums))
    (folder / "orders.csv").write_text("no;who;sum\n" + rows)
    return ["import", str(folder / "m.toml"), str(folder), "--home", str(folder / "home")]


def test_it_exits_with_3_where_more_than_a_tenth_of_a_section_was_rejected(app: typer.Typer, tmp_path: Path) -> None:
    words = orders(tmp_path, good=89, bad=11)
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 3
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "11 % of the rows for events were rejected, more than 10 %" in told.stderr
    assert CliRunner().invoke(app, [*words, "--allow-rejects", "0.11"]).exit_code == 0
    assert CliRunner().invoke(app, orders(tmp_path, good=90, bad=10)).exit_code == 0
    assert CliRunner().invoke(app, [*words, "--allow-rejects", "0"]).exit_code == 3


def test_unreadable_rows_count_as_rejected(app: typer.Typer, tmp_path: Path) -> None:
    words = orders(tmp_path, good=9, bad=0)
    with (tmp_path / "orders.csv").open("a") as file:
        file.write('9;c9;"1.50\n10;c10\n')
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 3


@pytest.mark.parametrize("share", ["-0.1", "1.5", "many"])
def test_a_share_that_is_none_is_refused(app: typer.Typer, tmp_path: Path, share: str) -> None:
    assert CliRunner().invoke(app, [*orders(tmp_path, 1, 0), "--allow-rejects", share]).exit_code == 2


def test_it_prints_the_commonest_reasons_and_the_line_that_would_mend_them(app: typer.Typer, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, orders(tmp_path, good=5, bad=5), catch_exceptions=False).stdout
    assert "  5 rows for events: value: '1,50' is not a number (first: orders.csv, line 7)\n" in told
    assert "say so in [file.orders], and import again:\n" in told
    assert '\n  decimal = ","\n' in told


def test_it_says_what_was_left_out_and_what_no_row_met(app: typer.Typer, tmp_path: Path) -> None:
    words = orders(tmp_path, good=2, bad=0)
    (tmp_path / "m.toml").write_text(ORDERS + 'where = { who = ["[bold]"] }\n')
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert told.exit_code == 0
    assert "left out by `where` (events): 2\n" in told.stdout
    assert "[[event]]: no row of [file.orders] met where who = ['[bold]'], and all 2 were left out" in told.stdout


def test_a_file_may_have_brackets_in_its_name(app: typer.Typer, tmp_path: Path) -> None:
    orders(tmp_path, good=1, bad=0)
    (tmp_path / "orders.csv").rename(tmp_path / "orders [old].csv")
    words = ["import", str(tmp_path / "m.toml"), str(tmp_path / "orders [old].csv"), "--home", str(tmp_path / "home")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
