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
