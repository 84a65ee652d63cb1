"""What many decisions come to: reach, contacts, mix, drop-off by stage, limits hit; both sides are added up alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from experiments.change.made import Made, outbound
from features.catalogue import Catalogue
from features.domain import DO_NOTHING, Stage


@dataclass(slots=True)
class Tally:
    """Counts. A *contact* is an item on an outbound channel; what is shown on a visit is an *offer* too."""

    decisions: int = 0
    customers: set[str] = field(default_factory=set)
    idle: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    #: Customer -> offers, and contacts, of those that had any.
    offered: Counter[str] = field(default_factory=Counter)
    contacted: Counter[str] = field(default_factory=Counter)
    #: Arms considered, doing nothing left out, and (stage, rule) -> arms removed.
    considered: int = 0
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Limit -> decisions in which it held back an arm; the same of quiet hours.
    limits: Counter[str] = field(default_factory=Counter)
    quiet: Counter[str] = field(default_factory=Counter)
    #: Decisions with nothing left that said when to ask again, and of them those that quiet hours held back.
    deferred: int = 0
    quiet_deferred: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, made: Made, catalogue: Catalogue) -> None:
        """Takes one decision; `catalogue` is what it was made by."""
        self.decisions += 1
        self.customers.add(made.customer_id)
        self.idle += made.arms[0] == DO_NOTHING
        if made.reason is not None:
            self.reasons[made.reason] += 1
        for arm in made.arms:
            if arm != DO_NOTHING:
                self.actions[arm.action] += 1
                self.channels[arm.channel] += 1
                self.offered[made.customer_id] += 1
                if outbound(catalogue, arm):
                    self.contacted[made.customer_id] += 1
        self._drop_off(made, {hours.id for hours in catalogue.quiet_hours})

    def _drop_off(self, made: Made, quiet: set[str]) -> None:
        found = made.candidates
        held: set[str] = set()
        if found is not None:
            self.considered += len(found) - 1
            counts = np.bincount(np.asarray(found.removed, dtype=np.int64) + 1, minlength=len(found.removals) + 1)
            for removal, count in zip(found.removals, counts[1:].tolist(), strict=True):
                self.removed[str(removal.stage), removal.rule] += count
                held |= {removal.rule} if removal.stage == Stage.CONTACT_POLICY else set()
        self.limits.update(held - quiet)
        self.quiet.update(held & quiet)
        self.deferred += made.deferred
        self.quiet_deferred += made.deferred and not held.isdisjoint(quiet)

    @property
    def offers(self) -> int:
        return self.offered.total()

    @property
    def contacts(self) -> int:
        return self.contacted.total()

    def share(self, count: float) -> float:
        """Of the customers decided about."""
        return count / max(1, len(self.customers))

    def per_thousand(self, rule: tuple[str, str]) -> float:
        """Arms this rule removed, of 1,000 considered."""
        return 1_000.0 * self.removed[rule] / max(1, self.considered)
