"""Releasing: the models that were good enough become a bundle, and a bundle the champion."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from features.contract import FeatureContract
from features.encode import Encoder
from features.errors import NoData
from training.bundle import (
    COVARIATES,
    REFERENCE,
    START,
    bundle_ids,
    champion,
    load_bundle,
    publish_champion,
    write_bundle,
)
from training.covariates import Covariates
from training.evaluate import Verdict
from training.models import Trial
from training.pointer import read_pointer
from training.report import Tracker, TrainingReport
from training.start import Start


def release(
    bundle_folder: Path,
    report: TrainingReport,
    trials: Sequence[Trial],
    contract: FeatureContract,
    encoder: Encoder,
    covariates: Covariates,
    start: Start,
    reference: pa.Table,
) -> TrainingReport:
    """The report with the folder of its bundle: every model with the verdict pass, and what the policy starts from.

    Without any model, past decisions drawn at random still teach the policy; without those too nothing is written.
    """
    good = [trial for trial in trials if trial.verdict is Verdict.PASS]
    if not good and not start.statistics.sums:
        return replace(report, note=_nothing_released(report))
    manifest = {
        "created_at": report.created_at,
        "horizon_days": report.horizon_days,
        "contract": contract.fingerprint,
        "encoder": encoder.fingerprint,
        "base_rates": {model.name: model.base_rate for model in report.models},
        "models": [trial.name for trial in good],
        "trials": {model.name: model.to_json() for model in report.models},
        "commit": report.commit,
    }
    files = {"contract.json": contract.to_json().encode(), "encoder.json": encoder.to_json().encode()}
    files[COVARIATES] = covariates.to_json().encode()
    files[START] = start.to_json().encode()
    for trial in good:
        files[f"{trial.name}.txt"] = trial.scorer.text.encode()
        files[f"{trial.name}.calibration.json"] = json.dumps(trial.scorer.calibration.to_json()).encode()
    files[REFERENCE] = _parquet(reference)
    note = (
        ""
        if good
        else f"{_no_model(report)}; the policy starts from {start.decisions:,} past decisions drawn at random"
    )
    return replace(report, folder=write_bundle(bundle_folder, manifest, files), note=note)


def _no_model(report: TrainingReport) -> str:
    if all(model.verdict is Verdict.INSUFFICIENT for model in report.models):
        return "there is too little history for any model yet"
    return "no model predicts better than always saying the average"


def _nothing_released(report: TrainingReport) -> str:
    return (
        f"nothing was released: {_no_model(report)}. Segue decides all the same, with the same probability of success "
        "for everybody, and learns from outcomes; train again when there is more"
    )


def promote_if_fit(
    bundle_folder: Path, report: TrainingReport, tracker: Tracker, live_decisions: int = 0
) -> TrainingReport:
    """Makes the report's bundle the champion where none has decided yet; `promoted` and `note` say what was done.

    It may lose no model, and none may predict worse than the champion's. Once there are decisions to compare on, the
    whole strategy is judged by `segue promote`.
    """
    if report.folder is None:
        return report
    current, worse = champion(bundle_folder), _worse(report)
    if current is not None and current.is_dir() and live_decisions:
        beware = f"; beware, {worse}" if worse else ""
        return replace(report, note=f"not promoted yet; `segue promote` compares it with {current.name}{beware}")
    # A champion that cannot be read decides nothing, so there is nothing to lose by replacing it.
    held = load_bundle(current).models if current is not None and current.is_dir() else ()
    refusal = objection(load_bundle(report.folder).models, held)
    if refusal is None and worse:
        refusal = (
            f"not promoted: {worse}. Look for what changed in the data, and train again; "
            f"`segue promote {report.folder.name}` makes it the champion all the same"
        )
    if refusal is not None:
        return replace(report, note=refusal)
    pointer = read_pointer(bundle_folder)
    # Only the models are new: a champion's own policy stays.
    promote(bundle_folder, report.folder.name, tracker, None if pointer is None else pointer.policy)
    return replace(report, promoted=True)


def _worse(report: TrainingReport) -> str:
    """Which models of the bundle predict worse than the champion's on the same later rows; empty where none does."""
    worse = [m.name for m in report.models if m.against_champion is not None and m.against_champion.worse]
    return f"{' and '.join(worse)} predicted worse than the champion's on the same later rows" if worse else ""


def objection(models: Sequence[str], champion_models: Sequence[str]) -> str | None:
    """Why a new bundle may not replace the champion without being asked; None when it may.

    Promotion fails closed: a model that decides today is not swapped for its base rate because data ran short.
    """
    lost = [name for name in champion_models if name not in models]
    return f"not promoted: it lacks {', '.join(lost)}, which the champion has" if lost else None


def promote(bundle_folder: Path, bundle_id: str | None, tracker: Tracker, policy: str | None = None) -> str:
    """Makes a bundle, the newest when None, the champion, and returns its id.

    With a `policy` (`Explorer.name`) it decides by that, not by the home's own.

    The alias is set first and the pointer that serving reads last. Raises NotFound for an unknown bundle,
    UntrustedArtefact for a changed one, NoData when there is none at all; nothing is changed then.
    """
    known = bundle_ids(bundle_folder)
    if bundle_id is None and not known:
        raise NoData("there is no bundle to promote; `segue train` makes one")
    chosen = Path(bundle_id or known[-1]).name
    load_bundle(bundle_folder / chosen)
    tracker.promote(bundle_folder / chosen)
    publish_champion(bundle_folder, chosen, policy)
    return chosen


def _parquet(table: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()
