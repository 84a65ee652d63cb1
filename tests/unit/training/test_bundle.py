from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import InvalidInput, NoData, NotFound, UntrustedArtefact
from training.bundle import champion, load_bundle, publish_champion, write_bundle
from training.covariates import Covariates
from training.pointer import CHAMPION
from training.release import promote
from training.report import TrainingReport


@pytest.fixture
def folder(trained: TrainingReport, tmp_path: Path) -> Path:
    """A copy of the trained bundle in a bundle folder of its own."""
    assert trained.folder is not None
    return Path(shutil.copytree(trained.folder, tmp_path / "bundles" / trained.folder.name))


def rows(folder: Path, count: int = 50) -> np.ndarray:
    bundle = load_bundle(folder)
    width = len(bundle.encoder.customer_columns) + len(bundle.encoder.arm_columns)
    values = np.random.default_rng(0).gamma(1.0, 3.0, (count, width))
    values[::7, ::3] = np.nan
    return values


def test_a_loaded_bundle_knows_what_was_released(folder: Path, trained: TrainingReport) -> None:
    bundle = load_bundle(folder)
    assert bundle.bundle_id == trained.bundle_id == folder.name
    assert bundle.models == ("churn", "conversion", "propensity")
    assert set(bundle.base_rates) == set(bundle.models)
    assert (bundle.created_at, bundle.horizon_days) == (trained.created_at, trained.horizon_days)
    assert bundle.contract.fingerprint == bundle.manifest["contract"]
    assert bundle.encoder.customer_columns == bundle.contract.names
    found = bundle.manifest["trials"]["propensity"]
    assert found["numbers"]["auc"] == pytest.approx(trained.models[2].metrics["model"].auc)
    assert {"constant_log_loss", "logistic_brier", "calibration_error", "gain_over_constant"} <= set(found["numbers"])
    assert len(found["data_hash"]) == 64


def test_a_round_trip_through_the_bundle_changes_no_bit_of_a_prediction(folder: Path, tmp_path: Path) -> None:
    bundle, matrix = load_bundle(folder), rows(folder)
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "manifest.json"}
    manifest = {key: value for key, value in bundle.manifest.items() if key != "files"}
    again = load_bundle(write_bundle(tmp_path / "elsewhere", manifest, files))
    assert again.bundle_id == bundle.bundle_id
    assert np.array_equal(bundle.predict("propensity", matrix), again.predict("propensity", matrix))
    assert bundle.predict("propensity", matrix[:0]).shape == (0,)


def test_predictions_are_probabilities_and_one_row_alone_is_like_a_row_among_many(folder: Path) -> None:
    bundle, matrix = load_bundle(folder), rows(folder)
    together = bundle.predict("propensity", matrix)
    assert ((together > 0.0) & (together < 1.0)).all()
    assert np.array_equal(together, [bundle.predict("propensity", matrix[n : n + 1])[0] for n in range(len(matrix))])


def test_a_model_that_is_not_in_the_bundle_answers_its_base_rate(folder: Path, tmp_path: Path) -> None:
    whole = load_bundle(folder)
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.name not in ("manifest.json", "churn.txt")}
    manifest = {**whole.manifest, "models": ["conversion"]}
    bundle = load_bundle(write_bundle(tmp_path / "part", manifest, files))
    assert bundle.models == ("conversion",)
    assert bundle.predict("churn", np.zeros((3, 2))).tolist() == [whole.base_rates["churn"]] * 3
    with pytest.raises(KeyError):
        bundle.predict("astrology", np.zeros((1, 2)))


def test_the_online_correction_looks_at_what_the_propensity_model_leans_on_most(folder: Path) -> None:
    bundle = load_bundle(folder)
    gains = dict(zip(bundle.contract.names, bundle.scorers["propensity"].gains(), strict=False))
    chosen = bundle.covariates.names
    assert 1 <= len(chosen) <= 7
    assert min(gains[name] for name in chosen) > 0.0
    assert list(chosen) == sorted(chosen, key=lambda name: -gains[name])


def test_a_bundle_from_before_there_were_covariates_has_none(folder: Path, tmp_path: Path) -> None:
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.name not in ("manifest.json", "covariates.json")}
    manifest = {key: value for key, value in load_bundle(folder).manifest.items() if key != "files"}
    assert load_bundle(write_bundle(tmp_path / "older", manifest, files)).covariates == Covariates()


def test_columns_too_many_or_too_few_are_refused(folder: Path) -> None:
    bundle, matrix = load_bundle(folder), rows(folder)
    for wrong in (matrix[:, :-1], np.hstack([matrix, matrix[:, :1]]), matrix[0]):
        with pytest.raises(InvalidInput, match="columns"):
            bundle.predict("propensity", wrong)


def test_any_flipped_byte_in_any_file_makes_the_bundle_untrusted(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(UntrustedArtefact):
                load_bundle(folder)
        file.write_bytes(content)
    load_bundle(folder)


def test_a_missing_file_or_another_name_makes_the_bundle_untrusted(folder: Path) -> None:
    renamed = folder.with_name("20200101T000000-" + "0" * 16)
    shutil.copytree(folder, renamed)
    with pytest.raises(UntrustedArtefact):
        load_bundle(renamed)
    (folder / "churn.txt").unlink()
    with pytest.raises(UntrustedArtefact, match=r"churn\.txt"):
        load_bundle(folder)


def test_a_manifest_cannot_point_outside_its_folder(folder: Path) -> None:
    (folder.parent / "outside.txt").write_text("x")
    manifest = json.loads((folder / "manifest.json").read_text())
    inside = {f.name: f.read_bytes() for f in folder.iterdir() if f.name in manifest["files"]}
    wicked = write_bundle(folder.parent / "w", manifest, {**inside})
    text = (wicked / "manifest.json").read_text().replace('"churn.txt"', '"../outside.txt"')
    (wicked / "manifest.json").write_text(text)
    with pytest.raises(UntrustedArtefact):
        load_bundle(wicked)


def test_nothing_in_a_bundle_is_pickled(folder: Path) -> None:
    kinds = {file.suffix for file in folder.iterdir()}
    assert kinds == {".txt", ".json", ".parquet"}
    for file in folder.iterdir():
        start = file.read_bytes()[:4]
        assert start == b"PAR1" if file.suffix == ".parquet" else start.decode().isascii()


def test_loading_needs_neither_mlflow_nor_evidently_nor_feast(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from training.bundle import load_bundle;"
        f"load_bundle(Path({str(folder)!r}));"
        "print([name for name in ('mlflow', 'evidently', 'feast', 'matplotlib', 'bentoml') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_threads_share_a_bundle_and_get_what_one_alone_gets(folder: Path) -> None:
    bundle, matrix = load_bundle(folder), rows(folder)
    alone = bundle.predict("propensity", matrix)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: bundle.predict("propensity", matrix), range(64)))
    assert all(np.array_equal(alone, answer) for answer in answers)


def test_a_child_process_predicts_with_a_bundle_loaded_before_the_fork(folder: Path) -> None:
    # In an interpreter of its own: the test runner has threads, and forking those is what nobody should do.
    code = f"""
import os, numpy as np
from pathlib import Path
from training.bundle import load_bundle
bundle = load_bundle(Path({str(folder)!r}))
matrix = np.zeros((40, len(bundle.encoder.customer_columns)))
before = bundle.predict("churn", matrix)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(before, bundle.predict("churn", matrix)) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "0"


def test_the_champion_is_a_pointer_that_is_replaced_whole(folder: Path) -> None:
    assert champion(folder.parent) is None
    publish_champion(folder.parent, folder.name)
    assert champion(folder.parent) == folder
    assert sorted(os.listdir(folder.parent)) == sorted([CHAMPION, folder.name])
    (folder.parent / CHAMPION).write_text('{"bundle_id": "../../etc"}')
    with pytest.raises(UntrustedArtefact, match="segue promote"):
        champion(folder.parent)
    (folder.parent / CHAMPION).write_text("{")
    with pytest.raises(UntrustedArtefact, match="segue promote"):
        champion(folder.parent)


def test_an_unknown_or_tampered_bundle_is_not_promoted(folder: Path, tracker: Any) -> None:
    for name in ("20200101T000000-" + "0" * 16, "nonsense", "../" + folder.name + "x"):
        with pytest.raises(NotFound):
            promote(folder.parent, name, tracker)
    (folder / "churn.txt").write_text("tree")
    with pytest.raises(UntrustedArtefact):
        promote(folder.parent, folder.name, tracker)
    assert tracker.promoted == []
    assert champion(folder.parent) is None


def test_promotion_takes_the_newest_bundle_unless_told_which(folder: Path, tracker: Any, tmp_path: Path) -> None:
    bundle = load_bundle(folder)
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "manifest.json"}
    later = write_bundle(folder.parent, {**bundle.manifest, "created_at": bundle.created_at + 10**9}, files)
    assert promote(folder.parent, None, tracker) == later.name
    assert promote(folder.parent, folder.name, tracker) == folder.name
    assert tracker.promoted == [later.name, folder.name]
    assert champion(folder.parent) == folder
    with pytest.raises(NoData, match="segue train"):
        promote(tmp_path / "empty", None, tracker)
