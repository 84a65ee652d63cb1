"""A decision as either side made it, today's or the one on trial: what reports and values need of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from experiments.ope.feedback import Floats
from features.catalogue import Catalogue
from features.domain import DO_NOTHING, Arm, Candidates, Decision


@dataclass(frozen=True, slots=True)
class Made:
    """`arms` are the places of the answer. `candidates` is None where there was nothing to choose from."""

    customer_id: str
    arms: tuple[Arm, ...]
    reason: str | None
    #: Whether only limits and quiet hours stood in the way, so that it says when to ask again.
    deferred: bool
    candidates: Candidates | None
    #: (survivors,) money for a success.
    success_value: Floats

    @property
    def survivors(self) -> list[str]:
        """The keys of the arms that could be drawn."""
        c = self.candidates
        if c is None:
            return [DO_NOTHING.key]
        return [arm for arm, removed in zip(c.arms, c.removed, strict=True) if removed < 0]

    @property
    def probability(self) -> Floats:
        """(survivors,) of being drawn first."""
        return np.ones(1) if self.candidates is None else column(self.candidates, "probability")

    def expected(self) -> tuple[Floats, Floats]:
        """(what each survivor earns by the model, what contacting by it costs), (survivors,), money."""
        c = self.candidates
        if c is None:
            return np.zeros(1), np.zeros(1)
        idle = np.array([arm == DO_NOTHING.key for arm in self.survivors])
        earned = or_one(column(c, "p_accept")) * self.success_value
        return np.where(idle, 0.0, earned), np.where(idle, 0.0, column(c, "contact_cost"))


def recorded_made(record: Mapping[str, Any]) -> Made:
    """What a record says. Raises KeyError, TypeError or msgspec's error for what is no record."""
    candidates = None if record["candidates"] is None else msgspec.convert(record["candidates"], Candidates)
    arms = tuple(Arm(**item["arm"]) for item in record["items"])
    deferred = record.get("defer_until") is not None
    return Made(record["customer_id"], arms, record["reason"], deferred, candidates, success_values(candidates))


def decision_made(decision: Decision, success_value: Floats | None = None) -> Made:
    """A decision made now; `success_value` (survivors,) where a success is not to be priced as it was decided."""
    values = success_values(decision.candidates) if success_value is None else or_one(success_value)
    arms = tuple(item.arm for item in decision.items)
    deferred = decision.defer_until is not None
    return Made(decision.customer_id, arms, decision.reason, deferred, decision.candidates, values)


def outbound(catalogue: Catalogue, arm: Arm) -> bool:
    """Whether the arm contacts, rather than answers a visit."""
    channel = catalogue.channels.get(arm.channel)
    return arm != DO_NOTHING and (channel is None or channel.outbound)


def success_values(candidates: Candidates | None) -> Floats:
    """(survivors,) money for a success, as the decision had it."""
    return np.zeros(1) if candidates is None else or_one(column(candidates, "action_value"))


def column(candidates: Candidates, name: str) -> Floats:
    """A column of the survivors as numbers, NaN where it is not known."""
    packed = candidates.columns[name]
    if isinstance(packed, bytes):
        return np.frombuffer(packed, dtype="<f8")
    return np.full(candidates.survivors, np.nan if packed is None else packed)


def or_one(factors: Floats) -> Floats:
    """A missing factor is 1, as in arbitration."""
    return np.where(np.isnan(factors), 1.0, factors)
