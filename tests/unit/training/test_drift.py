from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from features.errors import NoData
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from training.bundle import REFERENCE
from training.drift import MIN_DECISIONS, comparable, served_features, watch
from training.drift_page import DRAWN
from training.release import promote
from training.report import TrainingReport

NAN = float("nan")


@pytest.fixture
def home(trained: TrainingReport, tmp_path: Path, tracker: object) -> Settings:
    """A home with the trained champion and an empty ledger."""
    settings = Settings(home=tmp_path)
    shutil.copytree(trained.folder or "", settings.bundle_folder / str(trained.bundle_id))
    promote(settings.bundle_folder, None, tracker)  # type: ignore[arg-type]
    return settings


@pytest.fixture
def ledger(home: Settings) -> Iterator[Ledger]:
    opened = open_ledger(home.ledger)
    yield opened
    opened.close()


def reference_rows(settings: Settings, trained: TrainingReport, count: int) -> list[dict[str, float | None]]:
    """Rows drawn from the reference itself: the same world."""
    rows = parquet.read_table(settings.bundle_folder / str(trained.bundle_id) / REFERENCE).to_pylist()
    return [rows[n] for n in np.random.default_rng(0).integers(len(rows), size=count)]


def test_the_same_world_raises_no_alarm(
    home: Settings, ledger: Ledger, trained: TrainingReport, decide_live: Callable[..., None]
) -> None:
    decide_live(ledger, reference_rows(home, trained, 300))
    report = watch(home, 0, 0.3)
    assert not report.alarm
    assert report.share < 0.05
    assert (report.decisions, report.bundle_id) == (300, trained.bundle_id)


def test_a_shifted_world_raises_the_alarm_and_names_the_worst(
    home: Settings, ledger: Ledger, trained: TrainingReport, decide_live: Callable[..., None]
) -> None:
    rows = reference_rows(home, trained, 300)
    decide_live(ledger, [{n: None if v is None else 3.0 * v + 5.0 for n, v in row.items()} for row in rows])
    report = watch(home, 0, 0.3)
    assert report.alarm
    assert report.share > 0.8
    distances = [feature.distance for feature in report.features]
    assert distances == sorted(distances, reverse=True)


def test_the_reports_are_written_and_need_no_network(
    home: Settings, ledger: Ledger, trained: TrainingReport, decide_live: Callable[..., None]
) -> None:
    decide_live(ledger, reference_rows(home, trained, MIN_DECISIONS))
    report = watch(home, 0, 0.3)
    page = (home.report_folder / "drift.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?https?:", page)
    assert len(page) < 200_000
    assert all(f"<td>{feature.name}</td>" in page for feature in report.features)
    assert page.count("<svg") == DRAWN
    assert "No alarm" in page
    assert ">nan<" not in page
    written = json.loads((home.report_folder / "drift.json").read_text())
    assert written["share"] == report.share
    assert {feature["name"] for feature in written["features"]} <= set(reference_rows(home, trained, 1)[0])


def test_a_feature_that_is_suddenly_missing_has_drifted(
    home: Settings, ledger: Ledger, trained: TrainingReport, decide_live: Callable[..., None]
) -> None:
    rows = reference_rows(home, trained, 300)
    decide_live(ledger, [row | {"tenure_days": None} for row in rows])
    report = watch(home, 0, 0.3)
    assert [(f.name, f.column) for f in report.features if f.drifted] == [("tenure_days", "tenure_days is known")]


def test_too_few_decisions_say_nothing(
    home: Settings, ledger: Ledger, trained: TrainingReport, decide_live: Callable[..., None]
) -> None:
    decide_live(ledger, reference_rows(home, trained, MIN_DECISIONS - 1))
    with pytest.raises(NoData, match="199 live decisions"):
        watch(home, 0, 0.3)


def test_decisions_made_without_features_are_not_counted(
    home: Settings, ledger: Ledger, decide_live: Callable[..., None]
) -> None:
    decide_live(ledger, [{}] * 10)
    with pytest.raises(NoData, match="0 live decisions"):
        served_features(home.ledger, ["tenure_days"])


def test_without_a_champion_there_is_nothing_to_compare_with(home: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoData, match="segue train"):
        watch(replace(home, home=tmp_path / "other"), 0, 0.3)


def test_methods_are_pinned_by_what_a_column_holds() -> None:
    many, few = np.arange(400.0), np.arange(400.0) % 5
    holes, rare = np.where(many < 100, NAN, many), np.where(many < 390, NAN, many)
    reference = {"many": many, "few": few, "holes": holes, "rare": rare}
    before, after, methods = comparable(reference, reference)
    assert methods == {
        "many": "wasserstein",
        "few": "psi",
        "holes is known": "psi",
        "holes": "wasserstein",
        "rare is known": "psi",
    }
    assert set(before) == set(after) == set(methods)
