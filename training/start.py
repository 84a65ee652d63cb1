"""What a new bundle starts with: what the rows there are have to teach of predictions that were made without them.

Statistics are about one bundle's predictions, so a new bundle begins without any, and all that was learned online
before would be lost. But of every row it is known what came of it, and what a model says that never saw it: the new one
itself of the calibration and test rows, those of the cross-fitting (`Trial.unseen`) of the rows it was fitted on. They
are learned here, as the learner would have, and released with the bundle; where no model is, of the rate of all. Each
slice is learned once at the word of the
model and the slices before, and again at what the correction then says. So nothing before a row's slice was corrected
by that slice, and `Start.before` takes the later rows off again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue import Catalogue
from features.domain import Arm
from features.rewards import UNIT
from training.bandit import P_RANGE, ArmStatistics, PolicySnapshot
from training.covariates import Covariates
from training.residual import Correction, Floats, Integers, corrected, taught_all
from training.statistics import Statistics, add

if TYPE_CHECKING:
    from training.dataset import Dataset, Rows
    from training.models import Trial


@dataclass(frozen=True)
class Start:
    """Statistics that a bundle brings along; nothing in bundles of earlier versions.

    A constant of the bundle, added when a snapshot is read. Live items of an older bundle are never added to those of
    this one, and those of this one come after its training: nothing is learned twice.
    """

    statistics: Statistics = field(default_factory=Statistics)

    def before(self, day: int) -> Start:
        """What of it came of decisions before this day (since 1970): what later decisions may be judged by."""
        return Start(Statistics({key: sums for key, sums in self.statistics.sums.items() if key[1] < day}))

    @property
    def decisions(self) -> int:
        """How many it learned from."""
        return sum(sums[0] for sums in self.statistics.sums.values())

    @cached_property
    def _whole(self) -> dict[str, tuple[int, ...]]:
        return self.statistics.weighed(0, 0.0)

    def added_to(self, snapshot: PolicySnapshot) -> PolicySnapshot:
        """The snapshot with this in it, weighed as the snapshot weighs: older days less, where it forgets."""
        forgetting = snapshot.forgetting_days
        mine = self.statistics.weighed(snapshot.day, forgetting) if forgetting else self._whole
        arms: dict[str, ArmStatistics] = dict(snapshot.arms)
        for arm, sums in mine.items():
            live = snapshot.arms.get(arm)
            arms[arm] = ArmStatistics.of(sums if live is None else add(sums, live.sums))
        return PolicySnapshot(snapshot.number, snapshot.bundle, arms, snapshot.day, forgetting)

    def to_json(self) -> str:
        return json.dumps([[arm, day, *sums] for (arm, day), sums in sorted(self.statistics.sums.items())])

    @staticmethod
    def from_json(text: str) -> Start:
        return Start(Statistics({(str(r[0]), int(r[1])): tuple(int(n) for n in r[2:]) for r in json.loads(text)}))


NO_START = Start()
#: Of rows that models are fitted on a week is kept together: a year of 80 arms would be 10 MB of days.
DAYS_OF_PAST = 7
Kin = tuple[Integers, Integers]


def kin_of(arms: Sequence[Arm], catalogue: Catalogue) -> Kin:
    """For `residual.posterior`: the number of each arm's action, and the number of each action's group."""
    actions = {name: number for number, name in enumerate(dict.fromkeys(arm.action for arm in arms))}
    named = [a.group if (a := catalogue.actions.get(name)) else "" for name in actions]
    groups = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return np.array([actions[arm.action] for arm in arms]), np.array([groups[name] for name in named])


def make_start(
    trial: Trial, covariates: Covariates, columns: tuple[str, ...], dataset: Dataset, catalogue: Catalogue
) -> Start:
    """The start of a propensity model; `columns` are those of the customer, which come first in every row."""
    from training.split import Slice  # serving reads starts, and needs nothing of how they are made

    train, *held = (dataset.parts[slice_] for slice_ in (Slice.TRAIN, Slice.CALIBRATION, Slice.TEST))
    if not all(part.asked for part in (train, *held)):
        return NO_START
    slices = [_Answers(train, trial.unseen, covariates, columns, DAYS_OF_PAST)]
    slices += [_Answers(part, trial.scorer.predict(part.matrix), covariates, columns) for part in held]
    return _taught(slices, covariates, catalogue)


def start_without_model(
    rate: float, covariates: Covariates, columns: tuple[str, ...], dataset: Dataset, catalogue: Catalogue
) -> Start:
    """The start where no propensity model was released, and `rate` is said of everybody.

    The policy then knows of arms and customers what answers to past decisions say. Only those drawn at random teach it:
    a rule that chose may have chosen by what the answer depends on, and nothing here would make up for that.
    """
    from training.split import Slice

    parts = [
        (dataset.parts[slice_].at_random(), days)
        for slice_, days in ((Slice.TRAIN, DAYS_OF_PAST), (Slice.CALIBRATION, 1), (Slice.TEST, 1))
    ]
    slices = [_Answers(p, np.full(len(p.labels), rate), covariates, columns, days) for p, days in parts if p.asked]
    return _taught(slices, covariates, catalogue)


def _taught(slices: Sequence[_Answers], covariates: Covariates, catalogue: Catalogue) -> Start:
    """What slices teach, one after the other in time."""
    arms = [Arm(*key.rsplit("@", 1)) for key in sorted({key for answers in slices for key in answers.keys})]
    kin, keys = kin_of(arms, catalogue), [arm.key for arm in arms]

    def after(statistics: Statistics) -> Correction:
        known = {arm: ArmStatistics.of(sums) for arm, sums in statistics.weighed(0, 0.0).items()}
        return PolicySnapshot(arms=known).correction(keys, kin, 1 + len(covariates.names))

    learned = Statistics()
    for answers in slices:
        once = learned + answers.taught(answers.stated(after(learned), keys))
        learned = learned + answers.taught(answers.stated(after(once), keys))
    return Start(learned)


class _Answers:
    """The rows of a slice: what is predicted of each, what of its customer is looked at, and what came of it.

    What they teach is kept for every so many `days` together.
    """

    def __init__(
        self, rows: Rows, p_model: Floats, covariates: Covariates, columns: tuple[str, ...], days: int = 1
    ) -> None:
        self.p_model, self._days = p_model, days
        features = rows.matrix[:, : len(columns)].tolist()
        of = [covariates.of(dict(zip(columns, one, strict=True))) for one in features]
        self._x = np.array(of, dtype=np.int64).reshape(len(features), len(covariates.names))
        self._rows = rows

    @property
    def keys(self) -> frozenset[str]:
        """The arms they answer."""
        return frozenset(key for key, _ in self._rows.asked)

    def stated(self, correction: Correction, keys: Sequence[str]) -> Floats:
        """(n,) the corrected probability of each row."""
        place: Mapping[str, int] = {key: n for n, key in enumerate(keys)}
        asked = zip(self._x.tolist(), self._rows.asked, strict=True)
        shifts = [correction.shifts(x, np.array([place[key]]))[0][0] for x, (key, _) in asked]
        return np.clip(corrected(self.p_model, np.array(shifts)), *P_RANGE)

    def taught(self, p_accept: Floats) -> Statistics:
        """What the rows teach, had they been asked for at these probabilities."""
        success = np.round(self._rows.labels * UNIT).astype(np.int64)
        told = list(zip(success.tolist(), self.p_model.tolist(), p_accept.tolist(), strict=True))
        heads = np.stack([np.ones_like(success), success, np.round(self.p_model * UNIT).astype(np.int64)], axis=1)
        numbers = np.hstack([heads, taught_all(told, self._x)])
        places: dict[tuple[str, int], int] = {}
        asked = ((key, day - day % self._days) for key, day in self._rows.asked)
        rows = [places.setdefault(key, len(places)) for key in asked]
        sums = np.zeros((len(places), numbers.shape[1]), dtype=np.int64)
        np.add.at(sums, rows, numbers)
        return Statistics(dict(zip(places, map(tuple, sums.tolist()), strict=True)))
