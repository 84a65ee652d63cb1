"""A new model beside the champion's, on rows that neither learned from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.aggregates import open_history
from features.catalogue import load_catalogue
from features.clock import DAY, SECOND
from features.settings import Settings
from tests.unit.training.test_pipeline import _copy
from training.against_champion import against_champion, learned_until, standing
from training.bundle import Bundle, load_bundle, write_bundle
from training.dataset import Dataset, Source, propensity_dataset
from training.evaluate import Comparison
from training.models import Trial, fit
from training.pipeline import make_source, train
from training.release import promote_if_fit
from training.report import TrainingReport
from training.split import Slice

WORSE, SAME = Comparison(-0.1, 0.01), Comparison(0.0, 0.0)


@pytest.fixture(scope="module")
def source(keen_home: Settings, now: int) -> Iterator[Source]:
    with open_history(keen_home.ledger) as history:
        yield make_source(history, load_catalogue(keen_home.catalogue_folder), None, now)


@pytest.fixture(scope="module")
def dataset(source: Source) -> Dataset:
    return propensity_dataset(source)


@pytest.fixture(scope="module")
def trial(dataset: Dataset) -> Trial:
    return fit(dataset, seed=7)


@pytest.fixture(scope="module")
def held(trained: TrainingReport) -> Bundle:
    return load_bundle(trained.folder or Path())


def test_a_training_shows_the_champion_beside_the_baselines(
    trained: TrainingReport, keen_home: Settings, now: int, tracker: Any, tmp_path: Path
) -> None:
    assert all("champion" not in model.reason for model in trained.models)
    settings = replace(keen_home, home=_copy(keen_home, tmp_path))
    train(settings, now, tracker=tracker)
    # Nothing happened since, so the same models come out again: not worse, and released.
    again = train(settings, now + SECOND, tracker=tracker)
    for model in again.models:
        assert model.metrics["champion"] == model.metrics["model"]
        assert model.against_champion == SAME
        assert "not told apart from the champion's, which learned until " in model.reason
        assert model.numbers()["champion_log_loss"] == model.metrics["model"].log_loss
        assert model.numbers()["gain_over_champion"] == 0.0
    assert again.promoted


def test_a_model_that_predicts_worse_is_called_so_and_a_better_one_too(
    held: Bundle, trial: Trial, dataset: Dataset, source: Source
) -> None:
    rate = np.full_like(trial.predictions.model, trial.predictions.labels.mean())
    dull = replace(trial, predictions=replace(trial.predictions, model=rate))
    found = against_champion(held, dull, dataset, source.encoder)
    assert found.comparison is not None
    assert (found.comparison.worse, found.comparison.better) == (True, False)
    assert found.told.startswith("worse than the champion's")
    keen = replace(trial, predictions=replace(trial.predictions, model=0.2 + 0.6 * trial.predictions.labels))
    found = against_champion(held, keen, dataset, source.encoder)
    assert found.told.startswith("better than the champion's")


def test_a_champion_that_learned_from_part_of_the_rows_is_not_compared(
    held: Bundle, trial: Trial, dataset: Dataset, source: Source
) -> None:
    assert learned_until(held, "propensity") == dataset.judged_from
    earlier = replace(dataset, judged_from=dataset.judged_from - DAY)
    found = against_champion(held, trial, earlier, source.encoder)
    assert (found.metrics, found.comparison) == (None, None)
    assert "which learned until " in found.told
    assert "from part of these rows" in found.told
    # A bundle that does not say until when it learned did so until it was made.
    silent = replace(held, manifest={})
    assert learned_until(silent, "propensity") == held.created_at
    assert against_champion(silent, trial, dataset, source.encoder).comparison is None


def test_columns_go_by_their_names(held: Bundle, trial: Trial, dataset: Dataset, source: Source) -> None:
    plain = against_champion(held, trial, dataset, source.encoder)
    encoder, test = source.encoder, dataset.parts[Slice.TEST]
    # Another feature in front, and an action more: the champion goes without them.
    wider = replace(encoder, customer_features=("new", *encoder.customer_features), actions=("newer", *encoder.actions))
    width = len(encoder.customer_features)
    matrix = np.insert(np.insert(test.matrix, width, 1.0, axis=1), 0, 5.0, axis=1)
    more = replace(dataset, parts={**dataset.parts, Slice.TEST: replace(test, matrix=matrix)})
    assert against_champion(held, trial, more, wider) == plain
    narrower = replace(encoder, customer_features=encoder.customer_features[1:])
    found = against_champion(held, trial, dataset, narrower)
    assert found.comparison is None
    assert f"which needs {encoder.customer_features[0]}: no longer there" in found.told


def test_a_model_the_champion_lacks_and_a_champion_that_cannot_be_read_are_no_rivals(
    held: Bundle, trial: Trial, dataset: Dataset, source: Source, tmp_path: Path
) -> None:
    less = replace(held, scorers={"churn": held.scorers["churn"]})
    assert against_champion(less, trial, dataset, source.encoder).told == "the champion has no such model"
    assert standing(tmp_path) is None
    (tmp_path / "champion.json").write_text("{")
    assert standing(tmp_path) is None


def test_what_predicts_worse_than_the_champion_is_not_promoted_unasked(
    trained: TrainingReport, tmp_path: Path, tracker: Any
) -> None:
    folder = trained.folder or Path()
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {name: (folder / name).read_bytes() for name in manifest.pop("files")}
    first, second = (write_bundle(tmp_path, manifest | {"created_at": at}, files) for at in (1, SECOND))
    report = replace(trained, folder=first, promoted=False, note="")
    assert promote_if_fit(tmp_path, report, tracker).promoted
    models = tuple(replace(m, against_champion=WORSE if m.name == "churn" else SAME) for m in trained.models)
    worse = replace(report, folder=second, models=models)
    told = promote_if_fit(tmp_path, worse, tracker)
    assert not told.promoted
    assert "churn predicted worse than the champion's on the same later rows" in told.note
    assert f"segue promote {second.name}" in told.note
    assert tracker.promoted == [first.name]
    # Where decisions can tell, the whole strategy is compared, and the note says so.
    assert "segue promote` compares it with" in promote_if_fit(tmp_path, worse, tracker, live_decisions=1).note
    assert "beware, churn" in promote_if_fit(tmp_path, worse, tracker, live_decisions=1).note
    alike = tuple(replace(m, against_champion=SAME) for m in trained.models)
    assert promote_if_fit(tmp_path, replace(worse, models=alike), tracker).promoted
