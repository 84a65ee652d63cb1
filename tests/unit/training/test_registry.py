"""MLflow itself, on a SQLite store of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from features.settings import Settings
from training.bundle import load_bundle
from training.evaluate import Verdict
from training.registry import MlflowTracker
from training.report import ModelReport, TrainingReport


@dataclass(frozen=True)
class Recorded:
    """A training that was recorded, and a client that looks at it."""

    settings: Settings
    tracker: MlflowTracker
    report: TrainingReport
    client: Any


@pytest.fixture(scope="module")
def recorded(trained: TrainingReport, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    settings = Settings(home=tmp_path_factory.mktemp("registry"))
    folder = Path(shutil.copytree(trained.folder or "", settings.bundle_folder / str(trained.bundle_id)))
    left_out = ModelReport("churn", Verdict.INSUFFICIENT, "3 rows in the train slice, 200 are needed", 3, 1, "f" * 64)
    report = replace(trained, folder=folder, commit="c0ffee", models=(left_out, *trained.models[1:]))
    tracker = MlflowTracker(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker.record(report)
        tracker.promote(folder)
    from mlflow import MlflowClient

    return Recorded(settings, tracker, report, MlflowClient(settings.tracking_url, settings.tracking_url))


def runs(recorded: Recorded) -> dict[str, Any]:
    experiment = recorded.client.get_experiment_by_name("segue")
    found = recorded.client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in found}


def test_every_model_is_a_run_below_the_training(recorded: Recorded) -> None:
    found = runs(recorded)
    parent = found.pop(recorded.report.bundle_id)
    assert set(found) == {"churn", "conversion", "propensity"}
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *found.values())} == {"FINISHED"}


def test_a_run_holds_parameters_metrics_baselines_hash_and_commit(recorded: Recorded) -> None:
    run = runs(recorded)["propensity"]
    model = recorded.report.models[2]
    assert run.data.params["num_leaves"] == "15"
    assert int(run.data.params["rows_test"]) > 200
    for name in ("auc", "average_precision", "log_loss", "brier", "calibration_error"):
        assert run.data.metrics[name] == pytest.approx(getattr(model.metrics["model"], name))
        assert run.data.metrics[f"constant_{name}"] == pytest.approx(getattr(model.metrics["constant"], name))
        assert run.data.metrics[f"logistic_{name}"] == pytest.approx(getattr(model.metrics["logistic"], name))
    assert run.data.tags["data_hash"] == model.data_hash
    assert run.data.tags["commit"] == "c0ffee"
    assert run.data.tags["verdict"] == "pass"


def test_a_run_holds_its_pictures(recorded: Recorded) -> None:
    run = runs(recorded)["propensity"]
    names = {file.path for file in recorded.client.list_artifacts(run.info.run_id)}
    assert names == {"reliability.png", "roc.png", "precision_recall.png"}
    folder = recorded.settings.home / "mlruns" / run.info.run_id / "artifacts"
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_a_model_that_was_left_out_is_recorded_with_its_reason(recorded: Recorded) -> None:
    run = runs(recorded)["churn"]
    assert run.data.tags["verdict"] == "insufficient"
    assert "200 are needed" in run.data.tags["reason"]


def test_the_champion_is_an_alias_of_a_version_that_is_the_native_bundle(recorded: Recorded) -> None:
    version = recorded.client.get_model_version_by_alias("segue", "champion")
    assert version.tags["bundle_id"] == recorded.report.bundle_id
    folder = Path(recorded.client.get_model_version_download_uri("segue", version.version).removeprefix("file://"))
    logged = {file.name: file.read_bytes() for file in folder.iterdir()}
    released = recorded.report.folder or Path()
    assert logged == {file.name: file.read_bytes() for file in released.iterdir()}
    assert not [name for name in logged if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert load_bundle(released).models


def test_the_first_training_of_a_home_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    MlflowTracker(Settings(home=tmp_path)).record(TrainingReport((), 30.0, 10**15))
    assert capfd.readouterr() == ("", "")


def test_what_was_found_of_a_bundle_hangs_on_its_version(recorded: Recorded) -> None:
    folder = recorded.report.folder or Path()
    recorded.tracker.judged(folder, {"gate": "fail", "gate.value": "insufficient"}, {"promotion.json": b"{}"})
    (version,) = recorded.client.search_model_versions(f"tags.bundle_id = '{folder.name}'")
    assert (version.tags["gate"], version.tags["gate.value"]) == ("fail", "insufficient")
    run = version.tags["gate_run"]
    assert [file.path for file in recorded.client.list_artifacts(run)] == ["promotion.json"]
    assert recorded.client.get_run(run).data.tags["gate"] == "fail"


def test_promoting_a_bundle_mlflow_never_saw_registers_it(recorded: Recorded) -> None:
    before = {v.version for v in recorded.client.search_model_versions("name = 'segue'")}
    unseen = recorded.settings.bundle_folder / "20200101T000000-0123456789abcdef"
    recorded.tracker.promote(unseen)
    version = recorded.client.get_model_version_by_alias("segue", "champion")
    assert version.version not in before
    assert version.source == unseen.resolve().as_uri()
    recorded.tracker.promote(recorded.report.folder or Path())
    assert recorded.client.get_model_version_by_alias("segue", "champion").version in before
