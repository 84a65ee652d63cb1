"""Segue in a simulated world: the product's models, retrained on schedule, its online correction and its explorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from experiments.worlds.correction import CORRECTIONS, SHIPPED, Correction
from experiments.worlds.own_log import FEATURES, OwnLog
from experiments.worlds.play import Feedback, Visits
from experiments.worlds.world import BanditWorld, Floats
from serving.strategy import P_WITHOUT_MODEL
from training.evaluate import Verdict
from training.explorer import Explorer
from training.models import fit
from training.pipeline import leant_on
from training.scorer import Scorer
from training.start import make_start

#: After so many decisions the models are trained on the log so far.
SCHEDULE = (1_000, 2_500, 5_000, 10_000, 20_000, 35_000)


class SeguePlayer:
    """Decides by priority = p x value - cost with `explorer`; before the first model p is what the product assumes."""

    def __init__(
        self,
        world: BanditWorld,
        name: str,
        explorer: Explorer,
        make_correction: Callable[[BanditWorld], Correction] = CORRECTIONS[SHIPPED],
        schedule: Sequence[int] = SCHEDULE,
    ) -> None:
        self.name = name
        self._world, self._explorer = world, explorer
        self._due = list(schedule)
        self._correction = make_correction(world)
        self._log = OwnLog(world)
        self._scorer: Scorer | None = None
        #: For each decision the number of the model in force, and what it and the correction said of every arm.
        self._models: list[int] = []
        self._predicted: list[tuple[Floats, Floats]] = []
        self._model = 0

    @property
    def models(self) -> int:
        """How many models were released so far."""
        return self._model

    def distributions(self, visits: Visits) -> Floats:
        if self._due and visits.numbers[0] >= self._due[0]:
            self._due.pop(0)
            self._train(int(visits.at[0]))
        encoded = self._log.visited(visits)
        predicted = self._predict(encoded)
        p_accept, deviation = self._correction.estimate(predicted, encoded)
        self._predicted.extend(zip(predicted, p_accept, strict=True))
        self._models.extend([self._model] * len(predicted))
        values = visits.values[:, :-1] * p_accept - self._world.costs[:-1]
        nothing = np.zeros((len(values), 1))
        return self._draw(
            np.hstack([values, nothing]), np.hstack([visits.values[:, :-1] * deviation, nothing]), visits.allowed
        )

    def learn(self, feedback: Feedback) -> None:
        contacts = feedback.rows < len(self._world.arms) - 1
        self._log.answered(feedback.only(contacts))
        # What another model predicted is no reason to correct this one.
        mine = contacts & np.array([self._models[n] == self._model for n in feedback.numbers])
        numbers, rows = feedback.numbers[mine], feedback.rows[mine]
        if len(numbers):
            said = np.array([[p[row] for p in self._predicted[n]] for n, row in zip(numbers, rows, strict=True)])
            features = self._log.features[numbers]
            self._correction.learn(rows, said[:, 0], said[:, 1], features, feedback.accepted[mine])

    def _draw(self, values: Floats, deviations: Floats, allowed: np.ndarray) -> Floats:
        """(n, arms) the explorer's probabilities over the allowed arms of each visit."""
        shares = np.zeros(values.shape)
        nothing = values.shape[1] - 1
        caps = self._explorer.caps(np.append(self._correction.counts(), 0), nothing)
        for row, mask in enumerate(allowed):
            left = np.flatnonzero(mask)
            shares[row, left] = self._explorer.probabilities(
                values[row, left], deviations[row, left], None if caps is None else caps[left]
            )
        return shares

    def _predict(self, encoded: Floats) -> Floats:
        """(n, arms without DO_NOTHING) the model's probabilities."""
        shape = (len(encoded), len(self._world.arms) - 1)
        if self._scorer is None:
            return np.full(shape, P_WITHOUT_MODEL)
        return self._scorer.predict(self._log.pairs(encoded)).reshape(shape)

    def _train(self, now: int) -> None:
        """A new model from the log, if the product would release it."""
        dataset = self._log.dataset(now)
        if dataset.shortcoming() is not None:
            return
        trial = fit(dataset, self._world.seed)
        if trial.verdict == Verdict.PASS:
            self._scorer, self._model = trial.scorer, self._model + 1
            covariates = leant_on(trial.scorer, FEATURES, dataset)
            start = make_start(trial, covariates, FEATURES, dataset, self._world.catalogue)
            self._correction.restart(covariates, start)
