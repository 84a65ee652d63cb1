"""The challenger in the shadow: what it would have decided where the champion did, outside the way of any answer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from features.domain import DO_NOTHING, Candidates, Decision
from serving.assignment import uniform
from serving.engine import decide
from serving.request import Inputs, Request
from serving.strategy import Strategy

log = logging.getLogger("segue.shadow")

#: Decisions that wait to be made again, and those made in one round: each takes the processor for about a millisecond.
WAITING, AT_ONCE = 200, 20


@dataclass(frozen=True, slots=True)
class Compared:
    """One decision made again. `overlap` is the chance that both choose alike, sum over arms of the lesser probability;
    `same` whether the keyed draw fell on the same arm. Seconds of the engine alone."""

    overlap: float
    same: bool
    seconds: float


@dataclass(slots=True)
class Agreement:
    """Many of them: sums, and how often the challenger could not decide at all."""

    decisions: int = 0
    overlaps: float = 0.0
    same: int = 0
    failed: int = 0
    why: str = ""
    #: Decisions that were not made again: without anything to choose from, and older than those looked at.
    idle: int = 0
    older: int = 0
    seconds: list[float] = field(default_factory=list)
    champion_seconds: list[float] = field(default_factory=list)

    def add(self, one: Compared) -> None:
        self.decisions += 1
        self.overlaps += one.overlap
        self.same += one.same
        self.seconds.append(one.seconds)

    @property
    def overlap(self) -> float:
        return self.overlaps / self.decisions if self.decisions else 0.0

    @property
    def latency_ratio(self) -> float:
        """Median time of a decision in times of the champion's; 1 where it was not measured."""
        if not self.seconds or not self.champion_seconds:
            return 1.0
        return float(np.median(self.seconds) / np.median(self.champion_seconds))


def beside(decision: Decision, challenger: Strategy) -> Compared:
    """The challenger's decision on the same request and knowledge, compared. Raises what the engine stumbles over."""
    inputs = decision.inputs
    assert isinstance(inputs, Inputs)
    request = Request(
        decision.request_id,
        decision.customer_id,
        decision.channels,
        decision.placement,
        inputs.limit,
        decision.intent,
        decision.context,
    )
    start = time.perf_counter()
    other = decide(
        request,
        replace(inputs.knowledge, features=decision.features),
        challenger,
        decision_id=decision.decision_id,
        now=decision.decided_at,
        layers=inputs.layers,
        salt=inputs.salt,
        attempt=decision.attempt,
    )
    seconds = time.perf_counter() - start
    ours, theirs = shares_of(decision.candidates), shares_of(other.candidates)
    overlap = sum(min(share, theirs.get(arm, 0.0)) for arm, share in ours.items())
    return Compared(overlap, decision.arm == other.arm, seconds)


def shares_of(candidates: Candidates | None) -> dict[str, float]:
    """Arm -> probability of being drawn first; doing nothing where there was nothing to choose from."""
    if candidates is None:
        return {DO_NOTHING.key: 1.0}
    arms = (arm for arm, removed in zip(candidates.arms, candidates.removed, strict=True) if removed < 0)
    return {arm: float(p or 0.0) for arm, p in zip(arms, candidates.column("probability"), strict=True)}


class Shadow:
    """Decisions of the champion that wait to be made again by the challenger; the oldest are let go."""

    def __init__(self, share: float) -> None:
        """`share` of decisions is taken, by a keyed hash of their ids."""
        self._share = share
        self._waiting: deque[Decision] = deque(maxlen=WAITING)
        self._lock = threading.Lock()
        self._let_go = 0

    def offer(self, decision: Decision) -> None:
        """Called in the way of an answer: it only puts the decision aside."""
        if decision.candidates is not None and uniform("shadow", decision.decision_id) < self._share:
            with self._lock:
                self._let_go += len(self._waiting) == WAITING
                self._waiting.append(decision)

    def let_go(self) -> int:
        """How many were let go unseen since this was last asked: more came than are made again."""
        with self._lock:
            count, self._let_go = self._let_go, 0
        return count

    def work(self, challenger: Strategy) -> Iterable[Compared | None]:
        """Makes some of them again; None for one at which the challenger stumbled."""
        for _ in range(min(AT_ONCE, len(self._waiting))):
            decision = self._waiting.popleft()
            try:
                yield beside(decision, challenger)
            except Exception:
                log.exception("the challenger could not decide %s", decision.decision_id)
                yield None
