"""Every recorded request decided again, in the order they came, on a history that the new decisions make themselves.

Request, consents given, features and the moment are the record's, and draws have the record's keys: what the change
does not touch comes out as it was. Contacts made, answers to them, opt-outs, and the features that count them are the
simulation's own (`experiments.change.timeline`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from experiments.change.alternative import Alternative
from experiments.change.made import Made, decision_made, recorded_made
from experiments.change.recorded import Recorded, blocks
from experiments.change.timeline import Timeline
from features.catalogue import Catalogue
from features.domain import Decision
from features.errors import SegueError
from features.ledger import Ledger
from serving.engine import conclude, consider, weigh
from serving.replay import asked
from serving.request import Knowledge
from serving.scoring import values_of

#: What a record of another form makes its readers stumble with.
_NOT_READABLE = (msgspec.MsgspecError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded decision, and what the strategy on trial made of it.

    `new` is `then` where the decision could not be made again, for the reason `kept`.
    """

    recorded: Recorded
    then: Made
    new: Made
    #: What decided then, as far as its catalogue goes.
    catalogue: Catalogue
    kept: str = ""
    #: What the new one was made from, and all of it; None where it could not be made again.
    knowledge: Knowledge | None = None
    decision: Decision | None = None

    @property
    def same_bundle(self) -> bool:
        """Whether both were scored by the same models."""
        return (
            self.decision is None or self.decision.versions.bundle == (self.recorded.record or {})["versions"]["bundle"]
        )


class Simulation:
    """Runs through the ledger once. `unreadable` counts the records that say nothing at all."""

    def __init__(self, ledger: Ledger, alternative: Alternative) -> None:
        self._ledger = ledger
        self._alternative = alternative
        self._timeline = Timeline(alternative.compiled.catalogue)
        self.unreadable = 0

    def steps(self, progress: Callable[[int], None] = lambda _done: None) -> Iterator[Step]:
        """Every decision that can be read, in order; memory holds one block, and of each customer the recent past."""
        done = 0
        for block in blocks(self._ledger, self._alternative.heard_back):
            # What became of the contacts of a block is known before its first decision is simulated.
            self._timeline.learn(block)
            for one in block.decisions:
                step = self._step(one)
                if step is None:
                    self.unreadable += 1
                else:
                    yield step
            done += len(block.decisions)
            progress(done)

    def _step(self, recorded: Recorded) -> Step | None:
        try:
            if recorded.record is None or not recorded.record["items"]:
                return None
            then = recorded_made(recorded.record)
        except _NOT_READABLE:
            return None
        try:
            return self._decide(recorded, recorded.record, then)
        except SegueError as error:
            why = error.message
        except _NOT_READABLE as error:
            why = f"its record is of another form: {type(error).__name__}"
        self._timeline.keep(recorded)
        return Step(recorded, then, then, self._alternative.compiled.catalogue, kept=why)

    def _decide(self, recorded: Recorded, record: dict[str, Any], then: Made) -> Step:
        old, strategy, priced = self._alternative.strategies(record)
        request, inputs = asked(record)
        plans = (strategy.contact_plan, old.contact_plan)
        known = self._timeline.knowledge(recorded, replace(inputs.knowledge, features=record["features"]), *plans)
        considered = consider(
            request,
            known,
            strategy,
            now=recorded.decided_at,
            layers=inputs.layers,
            salt=inputs.salt,
            edition=inputs.edition,
        )
        (weighed,) = weigh([considered], strategy)
        key: dict[str, Any] = {"decision_id": record["decision_id"], "attempt": record["attempt"]}
        decision = conclude(considered, weighed, strategy, **key)
        values = None
        if priced is not None and considered.scope is not None:
            values = values_of(priced, considered.scope)[considered.rows]
        self._timeline.take(recorded, decision)
        new = decision_made(decision, values)
        return Step(recorded, then, new, old.catalogue, knowledge=known, decision=decision)
