"""Vowpal Wabbit's contextual bandits as players: `--cb_explore_adf` with its explorers.

They are told what Segue is told: the same features, the same arms with value and cost, the same answers at the same
moments, as the money they bring at the catalogue's value (not the noisier money really earned), over the largest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.worlds.own_log import FEATURES
from experiments.worlds.play import Feedback, Visits
from experiments.worlds.world import BanditWorld, Floats
from features.domain import DO_NOTHING, Arm
from features.errors import NotReady

#: Explorer -> its options, the best by regret after 10,000 decisions in the worlds linear and nonlinear of seeds 1,000,
#: 1,001, of learning rates 0.02 to 2 with and without decay, mtr and dr, gamma scales 10 to 1,000, mellowness 1e-5
#: to 0.1, covers of 3 to 16, epsilon 0.02 to 0.1, and products of two traits with an arm, which lost to -q CA.
EXPLORERS: Mapping[str, str] = {
    "vw-epsilon": "--epsilon 0.02 --cb_type mtr -l 1",
    "vw-squarecb": "--squarecb --cb_type mtr -l 0.25",
    "vw-regcb": "--regcbopt --mellowness 0.00001 --cb_type mtr",
    "vw-cover": "--cover 3 --nounif --psi 0.1 --cb_type mtr -l 1",
}
_SHARED = "--cb_explore_adf -q CA --quiet"


def installed() -> bool:
    """Whether Vowpal Wabbit can be imported."""
    try:
        import vowpalwabbit  # noqa: F401
    except ImportError:
        return False
    return True


class VowpalPlayer:
    """One explorer. Its distribution is Vowpal Wabbit's own, drawn from by the same rule as everybody's."""

    def __init__(self, world: BanditWorld, name: str, options: str) -> None:
        """Raises NotReady where the package is missing."""
        try:
            from vowpalwabbit import Workspace
        except ImportError as error:
            raise NotReady(f"{name} needs Vowpal Wabbit: `pip install vowpalwabbit`, or leave it out") from error
        self.name = name
        self._world = world
        self._workspace: Any = Workspace(f"{_SHARED} {options} --random_seed {world.seed}")
        self._scale = float(world.catalogue_values.max())
        self._known: dict[int, tuple[str, list[int], list[str]]] = {}
        self._arms = [_arm(world, arm) for arm in world.arms]
        self._nothing = len(world.arms) - 1
        self._values: dict[int, Floats] = {}

    def distributions(self, visits: Visits) -> Floats:
        shares = np.zeros(visits.allowed.shape)
        filled = _filled(visits.features)
        for row, number in enumerate(visits.numbers.tolist()):
            left = np.flatnonzero(visits.allowed[row]).tolist()
            worth = (visits.values[row] / self._scale).tolist()
            shared = "shared |C " + " ".join(f"{n}:{v:.4g}" for n, v in zip(_NAMES, filled[row].tolist(), strict=True))
            lines = [f"{self._arms[arm]} worth:{worth[arm]:.4g}" for arm in left]
            given = np.array(self._workspace.predict([shared, *lines]))
            shares[row, left] = given / given.sum()
            self._known[number] = shared, left, lines
            self._values[number] = visits.values[row]
        return shares

    def learn(self, feedback: Feedback) -> None:
        columns = (feedback.numbers, feedback.rows, feedback.probabilities, feedback.accepted, feedback.loss)
        for number, row, probability, accepted, loss in zip(*(c.tolist() for c in columns), strict=True):
            shared, left, lines = self._known.pop(number)
            reward = accepted * self._values.pop(number)[row] - self._world.costs[row] - loss
            place = left.index(row)
            lines[place] = f"0:{-reward / self._scale:.6g}:{probability:.6g} {lines[place]}"
            self._workspace.learn([shared, *lines])


def _arm(world: BanditWorld, arm: Arm) -> str:
    if arm == DO_NOTHING:
        return "|A nothing"
    action = world.catalogue.actions[arm.action]
    cost = world.catalogue.contact_cost(arm)
    return f"|A action={action.id} channel={arm.channel} group={action.group} arm={arm.key} cost:{cost:.4g}"


_NAMES = tuple(name.removeprefix("attribute_") for name in FEATURES)
#: What the features are divided by, so that all are about 1 in size, as linear learners want them.
_SIZES = np.array([{"contacts_30d": 4.0, "contacts_7d": 2.0, "rejects_30d": 4.0}.get(name, 1.0) for name in FEATURES])


def _filled(features: Floats) -> Floats:
    """(n, k) features of about one size; days since a contact as 1 / (1 + days), 0 where there was none."""
    since = FEATURES.index("days_since_last_contact")
    out = features / _SIZES
    out[:, since] = np.nan_to_num(1.0 / (1.0 + features[:, since]))
    return out
