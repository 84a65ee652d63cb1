"""The registry: MLflow keeps every training with its numbers and pictures, and knows which bundle is champion.

Serving never asks it: `HOME/bundles/champion.json` says which bundle decides. MLflow is for people, and may be down.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.errors import NotReady
from features.settings import Settings
from training.report import ModelReport, TrainingReport

#: Both the tracking experiment and the registered model.
NAME = "segue"
ALIAS = "champion"


class MlflowTracker:
    """Records trainings in the home's MLflow store (SQLite; artefacts under HOME/mlruns)."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.tracking_url
        self._artefacts = (settings.home / "mlruns").resolve().as_uri()

    def record(self, report: TrainingReport) -> None:
        """A parent run for the training, one below it for each model, and a version of `segue` for the bundle."""
        with _quiet_client(self._url) as client:
            experiment = self._experiment(client)
            at = report.created_at // 1000
            tags = {"bundle_id": report.bundle_id or "", "commit": report.commit or ""}
            parent = client.create_run(experiment, start_time=at, run_name=report.bundle_id or "no bundle", tags=tags)
            client.log_param(parent.info.run_id, "horizon_days", report.horizon_days)
            for model in report.models:
                self._record_model(client, experiment, parent.info.run_id, report, model)
            if report.folder is not None:
                client.log_artifacts(parent.info.run_id, str(report.folder), "bundle")
                _register(client, report.folder.name, f"{parent.info.artifact_uri}/bundle", parent.info.run_id)
            client.set_terminated(parent.info.run_id, "FINISHED")

    def promote(self, folder: Path) -> None:
        """Gives the alias `champion` to the bundle's version; a bundle MLflow does not know is registered first."""
        with _quiet_client(self._url) as client:
            client.set_registered_model_alias(NAME, ALIAS, _version(client, folder))

    def judged(self, folder: Path, tags: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        """A run with the files, and the tags on it and on the bundle's version; `gate_run` there names the run."""
        with _quiet_client(self._url) as client:
            version = _version(client, folder)
            said = {**tags, "bundle_id": folder.name}
            run = client.create_run(self._experiment(client), run_name=f"gate {folder.name}", tags=said).info.run_id
            with tempfile.TemporaryDirectory() as written:
                for name, content in files.items():
                    (Path(written) / name).write_bytes(content)
                client.log_artifacts(run, written)
            client.set_terminated(run, "FINISHED")
            for name, value in {**tags, "gate_run": run}.items():
                client.set_model_version_tag(NAME, version, name, value)

    def _experiment(self, client: Any) -> str:
        known = client.get_experiment_by_name(NAME)
        found = known.experiment_id if known else client.create_experiment(NAME, artifact_location=self._artefacts)
        return str(found)

    def _record_model(
        self, client: Any, experiment: str, parent: str, report: TrainingReport, model: ModelReport
    ) -> None:
        from mlflow.entities import Metric, Param

        tags = {
            "mlflow.parentRunId": parent,
            "model": model.name,
            "verdict": str(model.verdict),
            "reason": model.reason,
            "data_hash": model.data_hash,
            "commit": report.commit or "",
            "bundle_id": report.bundle_id or "",
        }
        at = report.created_at // 1000
        run = client.create_run(experiment, start_time=at, run_name=model.name, tags=tags).info.run_id
        numbers = {name: value for name, value in model.numbers().items() if abs(value) != float("inf")}
        client.log_batch(
            run,
            metrics=[Metric(name, value, at, 0) for name, value in numbers.items()],
            params=[Param(name, str(value)) for name, value in model.parameters.items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            for name, content in model.pictures.items():
                (Path(folder) / name).write_bytes(content)
            client.log_artifacts(run, folder)
        client.set_terminated(run, "FINISHED")


def _version(client: Any, folder: Path) -> str:
    """The bundle's version; registered first where MLflow does not know it."""
    versions = client.search_model_versions(f"name = '{NAME}' and tags.bundle_id = '{folder.name}'")
    return str(versions[0].version) if versions else _register(client, folder.name, folder.resolve().as_uri())


def _register(client: Any, bundle_id: str, source: str, run: str | None = None) -> str:
    """The version of a new model version whose files are the native bundle: nothing in it is pickled."""
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    return str(client.create_model_version(NAME, source, run, tags={"bundle_id": bundle_id}).version)


@contextmanager
def _quiet_client(url: str) -> Iterator[Any]:
    """An MLflow client that neither phones home, unpickles, nor fills the console. Raises NotReady if it fails."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # The first use of a store announces each of its 40 migrations.
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # MLflow 3.17's own use of SQLAlchemy 2.1, nothing that anybody here could change.
            warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
            yield MlflowClient(url, url)
    except MlflowException as error:
        raise NotReady(f"MLflow's store {url} refused: {error.message}", code="registry_unavailable") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
