"""What a training found, as frozen values, and the port through which it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from training.evaluate import Comparison, Metrics, Verdict

#: Without data a rate is taken as 1 in 20, with the weight of 20 rows: no evidence at all says neither 0 nor 1/2.
PRIOR_POSITIVES, PRIOR_ROWS = 1.0, 20.0


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What became of one model. `metrics` of model, constant and logistic on the test slice, and of the champion's own
    model where it could be compared; or empty."""

    name: str
    verdict: Verdict
    reason: str
    rows: int = 0
    positives: int = 0
    data_hash: str = ""
    metrics: Mapping[str, Metrics] = field(default_factory=dict)
    against_constant: Comparison | None = None
    against_logistic: Comparison | None = None
    against_champion: Comparison | None = None
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    #: File name to PNG.
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def base_rate(self) -> float:
        """What is said of everybody where there is no model: the share of positives among all rows, shrunk to 1 in 20
        where there are hardly any. Rounded, as the manifest has it."""
        return round((self.positives + PRIOR_POSITIVES) / (self.rows + PRIOR_ROWS), 9)

    def numbers(self) -> dict[str, float]:
        """Every metric by one flat name: `auc` is the model's, `constant_auc` and `logistic_auc` the baselines'."""
        flat = {"rows": float(self.rows), "positives": float(self.positives)}
        for who, metrics in self.metrics.items():
            prefix = "" if who == "model" else f"{who}_"
            flat |= {f"{prefix}{name}": value for name, value in metrics.to_json().items()}
        compared = {
            "constant": self.against_constant,
            "logistic": self.against_logistic,
            "champion": self.against_champion,
        }
        for who, comparison in compared.items():
            if comparison is not None:
                flat[f"gain_over_{who}"] = comparison.gain
                flat[f"gain_over_{who}_standard_error"] = comparison.standard_error
        return flat

    def to_json(self) -> dict[str, Any]:
        """As the manifest has it. Rounded, so that the last bit of a sum over threads does not make another bundle."""
        return {
            "verdict": str(self.verdict),
            "reason": self.reason,
            "data_hash": self.data_hash,
            "numbers": {name: round(value, 9) for name, value in self.numbers().items()},
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One training. `folder` is None where there was nothing to release; `note` says that, or why it is no champion."""

    models: tuple[ModelReport, ...]
    horizon_days: float
    created_at: int
    commit: str | None = None
    folder: Path | None = None
    promoted: bool = False
    note: str = ""

    @property
    def bundle_id(self) -> str | None:
        return None if self.folder is None else self.folder.name

    @property
    def released(self) -> tuple[str, ...]:
        """Names of the models that were good enough."""
        return tuple(model.name for model in self.models if model.verdict is Verdict.PASS)


class Tracker(Protocol):
    """Where trainings are recorded; `training.registry` is MLflow's."""

    def record(self, report: TrainingReport) -> None:
        """Keeps one training: a run for each model, and its bundle as a version of the model `segue`."""

    def promote(self, folder: Path) -> None:
        """Gives the alias `champion` to the version of the bundle in `folder`."""

    def judged(self, folder: Path, tags: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        """Keeps what was found of the bundle in `folder`: tags on its version, and files by name."""
