"""Later places of a slate: which arms the places before had left, and with which probability each was drawn from them.

A record holds the distribution of the first place alone. Later ones follow from it and from the catalogue of then: an
arm is drawn once with its action, or its exclusive group, and contact limits may have no room for two
(`serving.exploration.draw_slate`). DO_NOTHING ends a slate, so a place that was asked for and is not there was drawn
as doing nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.ope.feedback import Floats
from features.domain import DO_NOTHING, Candidates, Versions
from features.errors import SegueError
from serving.contact_policy import contact_state
from serving.replay import Archive
from serving.request import Inputs
from serving.strategy import Strategy

#: A probability drawn again is the recorded one to the last bits.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class LaterPlace:
    """One place after the first: `left` are the (m,) keys of the arms it was drawn from, `shares` their (m,)
    probabilities given the places before, `drawn` the key of the arm drawn."""

    rank: int
    left: tuple[str, ...]
    shares: Floats
    drawn: str


@dataclass(slots=True)
class Slates:
    """Finds later places, and counts the decisions whose later places nobody can state, by reason."""

    archive: Archive
    left_out: Counter[str] = field(default_factory=Counter)

    def later(
        self,
        candidates: Candidates,
        inputs: Inputs | None,
        versions: Versions | None,
        now: int,
        drawn: Sequence[tuple[str, float]],
    ) -> list[LaterPlace]:
        """The later places of one decision made at `now`; `drawn` are key and recorded probability of each place."""
        if len(drawn) == 1 and drawn[0][0] == DO_NOTHING.key:
            return []
        if inputs is None or versions is None:
            self.left_out["their records are of an older form"] += len(drawn) > 1
            return []
        # Whose choice was followed was asked for one place.
        if inputs.limit == 1 or inputs.incumbent is not None:
            return []
        try:
            strategy = self.archive.strategy(None, f"{versions.policy.rpartition('/')[0]}/0", versions.catalogue)
        except SegueError as error:
            self.left_out[error.message] += 1
            return []
        if strategy.keys != tuple(candidates.arms):
            self.left_out["their catalogue is not the one recorded"] += 1
            return []
        if strategy.policy.new_arm_ramp:
            self.left_out["their policy ramps new arms, which records cannot tell"] += 1
            return []
        found = list(_places(candidates, inputs, strategy, now, [arm for arm, _ in drawn]))
        for place, (_, recorded) in zip(found, drawn[1:], strict=False):
            if abs(place.shares[place.left.index(place.drawn)] - recorded) > _SAME:
                self.left_out["they cannot be drawn again as they were: see `segue replay --all`"] += 1
                return []
        return found


def _places(
    candidates: Candidates, inputs: Inputs, strategy: Strategy, now: int, drawn: Sequence[str]
) -> Iterator[LaterPlace]:
    rows = np.array([row for row, removed in enumerate(candidates.removed) if removed < 0])
    keys, numbers = [candidates.arms[row] for row in rows], strategy.action_numbers[rows]
    values, deviations = (np.array(candidates.column(name), dtype=float) for name in ("priority", "deviation"))
    known = inputs.knowledge
    assert known.customer is not None
    contacts = contact_state(strategy.contact_plan, known.slots, known.heard, known.customer.zone, now)
    left, taken = np.arange(len(rows)), [keys.index(drawn[0])]
    for rank in range(2, inputs.limit + 1):
        left = left[numbers[left] != numbers[taken[-1]]]
        left = left[contacts.room_after([int(rows[one]) for one in taken], rows)[left]]
        shares = strategy.policy.probabilities(values[left], deviations[left])
        arm = drawn[rank - 1] if rank <= len(drawn) else DO_NOTHING.key
        yield LaterPlace(rank, tuple(keys[one] for one in left), shares, arm)
        if arm == DO_NOTHING.key:
            return
        taken.append(keys.index(arm))


def told(left_out: Mapping[str, int]) -> list[str]:
    """In words, which later places are not judged."""
    return [
        f"later places of {count:,} slate{'s' * (count > 1)} are not judged: {why}"
        for why, count in left_out.items()
        if count
    ]
