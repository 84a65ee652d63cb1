"""The champion's own model on the rows a new one is judged on: better than what is in force, or only than nothing?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.clock import format_time
from features.encode import Encoder
from features.errors import SegueError
from training.bundle import Bundle, champion, load_bundle
from training.dataset import Dataset
from training.evaluate import Comparison, Metrics, compare, measure
from training.models import Trial
from training.split import Slice


@dataclass(frozen=True, slots=True)
class AgainstChampion:
    """`told` in words, always; the numbers are None where the two cannot be compared, and `told` says why."""

    told: str
    metrics: Metrics | None = None
    comparison: Comparison | None = None


def standing(bundle_folder: Path) -> Bundle | None:
    """The champion's bundle; None where there is none that this version can read."""
    try:
        folder = champion(bundle_folder)
        return None if folder is None else load_bundle(folder)
    except SegueError:
        return None


def learned_until(bundle: Bundle, name: str) -> int:
    """From this moment on a model of the bundle, or what stands in for it, learned from nothing; 0 without either."""
    if name not in bundle.models and not bundle.start.statistics.sums:
        return 0
    known = bundle.manifest.get("trials", {}).get(name, {}).get("parameters", {}).get("judged_from", 0)
    return int(known) or bundle.created_at


def against_champion(held: Bundle, trial: Trial, dataset: Dataset, encoder: Encoder) -> AgainstChampion:
    """Both on the test slice, paired by customer, where the champion's learned from none of it and knows its columns.

    It was trained earlier, but may have been on a history that ends in the middle of this slice: then it would be
    flattered. Columns go by their names: one the champion never had is one it does without, as in serving.
    """
    scorer = held.scorers.get(trial.name)
    if scorer is None:
        return AgainstChampion("the champion has no such model")
    until = format_time(learned_until(held, trial.name))[:16]
    if dataset.judged_from < learned_until(held, trial.name):
        return AgainstChampion(
            f"not compared with the champion's, which learned until {until}, from part of these rows"
        )
    theirs, ours = _columns(held.encoder, trial.name), _columns(encoder, trial.name)
    lost = [name for name in theirs if name not in ours]
    if lost:
        return AgainstChampion(f"not compared with the champion's, which needs {', '.join(lost[:3])}: no longer there")
    test = dataset.parts[Slice.TEST]
    predicted = scorer.predict(test.matrix[:, np.array([ours[name] for name in theirs])])
    found = compare(trial.predictions.model, predicted, test.labels, test.customers)
    said = "worse than" if found.worse else "better than" if found.better else "not told apart from"
    told = f"{said} the champion's, which learned until {until}, from none of these rows"
    return AgainstChampion(told, measure(predicted, test.labels), found)


def _columns(encoder: Encoder, model: str) -> dict[str, int]:
    """Name of a model's column -> its place; those of the arm are marked, for a feature may be called the same."""
    arm = [f"arm.{name}" for name in encoder.arm_columns] if model == "propensity" else []
    return {name: place for place, name in enumerate((*encoder.customer_columns, *arm))}
