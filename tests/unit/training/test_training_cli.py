from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from features.errors import NoData
from features.ledger import open_ledger
from features.settings import Settings
from training.bundle import bundle_ids, champion
from training.cli import commands
from training.report import TrainingReport


@pytest.fixture
def run() -> Callable[..., Result]:
    app = typer.Typer()
    commands(app)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_train_prints_one_table_and_without_promotion_there_is_no_champion(
    run: Callable[..., Result], make_home: Callable[..., Settings]
) -> None:
    home = make_home(customers=400, seed=5)
    told = run("train", "--home", home.home, "--no-promote")
    assert told.exit_code == 0, told.output
    for word in ("churn", "conversion", "propensity", "constant", "logistic", "log loss", "ECE", "peak memory"):
        assert word in told.output
    (bundle_id,) = bundle_ids(home.bundle_folder)
    assert f"bundle {bundle_id}: not promoted" in told.output
    assert champion(home.bundle_folder) is None


def test_drift_exits_1_past_the_threshold_and_0_within_it(
    run: Callable[..., Result], trained: TrainingReport, tmp_path: Path, decide_live: Callable[..., None]
) -> None:
    home = Settings(home=tmp_path)
    shutil.copytree(trained.folder or "", home.bundle_folder / str(trained.bundle_id))
    (home.bundle_folder / "champion.json").write_text(f'{{"bundle_id": "{trained.bundle_id}"}}')
    ledger = open_ledger(home.ledger)
    decide_live(ledger, [{"tenure_days": 1e6, "purchases_total": 1e6}] * 200)
    ledger.close()
    past = run("drift", "--home", tmp_path)
    assert past.exit_code == 1, past.output
    assert "tenure_days" in past.output
    assert run("drift", "--home", tmp_path, "--threshold", "1").exit_code == 0


def test_drift_without_anything_to_compare_says_what_to_do(run: Callable[..., Result], tmp_path: Path) -> None:
    assert isinstance(run("drift", "--home", tmp_path).exception, NoData)
