"""What a new bundle starts with: every answer, learned of predictions that were made without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pytest

from features.catalogue import EMPTY_CATALOGUE
from features.clock import DAY
from features.domain import Arm
from features.errors import UntrustedArtefact
from training.bandit import ArmStatistics, PolicySnapshot
from training.bundle import load_bundle
from training.covariates import Covariates
from training.dataset import Dataset, Rows
from training.report import TrainingReport
from training.split import Slice
from training.start import NO_START, Start, make_start
from training.statistics import Statistics

if TYPE_CHECKING:
    from training.models import Trial


class Says:
    """A trial, and a model, that says one number of everybody, and perhaps another of those it was fitted without."""

    def __init__(self, p: float, unseen: float | None = None, count: int = 2_000) -> None:
        self.p = p
        self.unseen = np.full(count, p if unseen is None else unseen)

    @property
    def scorer(self) -> Says:
        return self

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.full(len(matrix), self.p)


def started(says: Says, data: Dataset) -> Start:
    return make_start(cast("Trial", says), AGE, ("age",), data, EMPTY_CATALOGUE)


AGE = Covariates(("age",), (0.0,), (1.0,))
LEARNED, EARLY, LATE = 93, 100, 110


def dataset(seed: int = 0, count: int = 2_000) -> Dataset:
    """Ages around 0; the model that says 0.2 of all is wrong by age: the truth is sigmoid(age - 1.4)."""
    rng = np.random.default_rng(seed)

    def rows(day: int) -> Rows:
        ages = rng.normal(size=(count, 1))
        labels = (rng.random(count) < 1.0 / (1.0 + np.exp(1.4 - ages[:, 0]))).astype(float)
        return Rows(ages, labels, np.arange(count), tuple(("offer@web", day) for _ in range(count)))

    parts = {Slice.TRAIN: rows(LEARNED), Slice.CALIBRATION: rows(EARLY), Slice.TEST: rows(LATE)}
    return Dataset("propensity", parts, "made", pa.table({}))


def start() -> Start:
    return started(Says(0.2), dataset())


def shift(snapshot: PolicySnapshot, age: float) -> float:
    apart = np.array([0])
    correction = snapshot.correction(("offer@web",), (apart, apart), 2)
    return float(correction.shifts(AGE.of({"age": age}), apart)[0][0])


def test_a_bundle_starts_with_what_the_rows_say_against_predictions_made_without_them() -> None:
    known = start().added_to(PolicySnapshot())
    slope = (shift(known, 1.0) - shift(known, -1.0)) / 2.0
    # The truth is 1; the prior holds slopes within 0.3, and 6,000 answers outweigh it.
    assert slope == pytest.approx(1.0, abs=0.2)
    assert known.count("offer@web") == 6_000


def test_rows_it_was_fitted_on_teach_by_what_was_predicted_without_them() -> None:
    # A model that says 0.2 of all, and of those it was fitted on too; trees that did not see them said 0.3.
    data, week = dataset(), ("offer@web", LEARNED - LEARNED % 7)
    here, aside = (started(Says(0.2, unseen), data).statistics.sums for unseen in (0.2, 0.3))
    p_model = 2  # the third sum
    assert here[week][p_model] == 2_000 * 200_000
    assert aside[week][p_model] == 2_000 * 300_000
    assert aside["offer@web", LATE][p_model] == here["offer@web", LATE][p_model] == 2_000 * 200_000


def test_it_is_added_to_what_is_learned_live_exactly() -> None:
    brought = Start(Statistics({("a@web", EARLY): (2, 1, 3, 4, 5, 6), ("b@web", EARLY): (1, 0, 1, 1, 1, 1)}))
    live = PolicySnapshot(7, "x", {"a@web": ArmStatistics.of((10, 20, 30, 40, 50, 60))}, LATE)
    both = brought.added_to(live)
    assert both.arms["a@web"].sums == (12, 21, 33, 44, 55, 66)
    assert both.arms["b@web"].sums == (1, 0, 1, 1, 1, 1)
    assert (both.number, both.bundle, both.day) == (7, "x", LATE)
    assert NO_START.added_to(live) == live


def test_old_days_of_it_weigh_less_where_the_policy_forgets() -> None:
    brought = Start(Statistics({("a@web", LATE - 10): (8, 8, 8, 8, 8, 8)}))
    found = brought.added_to(PolicySnapshot(1, "x", {}, LATE, 10.0))
    assert found.arms["a@web"].sums == (4, 4, 4, 4, 4, 4)


def test_later_decisions_can_judge_it_because_they_can_be_taken_off() -> None:
    data = dataset()
    whole = started(Says(0.2), data)
    other = {**data.parts, Slice.TEST: dataset(seed=9).parts[Slice.TEST]}
    changed = started(Says(0.2), Dataset("propensity", other, "", data.reference))
    assert changed != whole
    assert changed.before(LATE) == whole.before(LATE)  # to the last bit, whatever came later
    # Of the rows it was fitted on a week is kept together, under its first day.
    assert {day for _, day in whole.before(LATE).statistics.sums} == {LEARNED - LEARNED % 7, EARLY}


def test_it_is_kept_as_json_and_rows_that_name_no_arm_make_none() -> None:
    assert Start.from_json(start().to_json()) == start()
    unnamed = {s: Rows(p.matrix, p.labels, p.customers) for s, p in dataset().parts.items()}
    assert started(Says(0.2), Dataset("x", unnamed, "", pa.table({}))) == NO_START


def test_a_released_bundle_brings_what_every_row_it_was_made_of_teaches(trained: TrainingReport) -> None:
    assert trained.folder is not None
    bundle = load_bundle(trained.folder)
    parameters = bundle.manifest["trials"]["propensity"]["parameters"]
    sums = bundle.start.statistics.sums
    rows = [parameters[f"rows_{part}"] for part in ("train", "calibration", "test")]
    assert sum(one[0] for one in sums.values()) == sum(rows)
    judged = [one[0] for (_, day), one in sums.items() if day > parameters["judged_from"] // DAY]
    assert 0 < sum(judged) <= parameters["rows_test"]
    assert all(Arm(*arm.rsplit("@", 1)).action for arm, _ in sums)


def test_a_changed_start_makes_a_bundle_untrusted(trained: TrainingReport, tmp_path: Path) -> None:
    assert trained.folder is not None
    folder = Path(shutil.copytree(trained.folder, tmp_path / trained.folder.name))
    (folder / "start.json").write_text("[]")
    with pytest.raises(UntrustedArtefact, match=r"start\.json"):
        load_bundle(folder)
