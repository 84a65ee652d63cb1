"""A change of strategy, simulated: both sides' totals, what they earn, and how much of the record could be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from experiments.change.again import Simulation, Step
from experiments.change.alternative import Alternative, read_alternative
from experiments.change.tally import Tally
from experiments.change.worth import Earnings, Worth, worth
from features.catalogue import Catalogue
from features.errors import NoData
from features.ledger import Ledger
from features.settings import Settings
from serving.replay import Archive


@dataclass(frozen=True, slots=True)
class Asked:
    """What is tried: the catalogue in a folder, and where they are not to stay as they were, a bundle and a policy."""

    catalogue: Path
    bundle: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`kept` counts decisions that could not be made again and stayed as recorded, by reason."""

    asked: Asked
    catalogue: Catalogue
    then: Tally
    new: Tally
    worth: Worth
    kept: Counter[str]
    unreadable: int
    #: First and last moment of a decision.
    since: int
    until: int
    #: Decisions whose answer is another one, in arm or order.
    changed: int
    simulated_at: int
    seconds: float = 0.0


@dataclass(slots=True)
class _Sums:
    earnings: Earnings
    then: Tally = field(default_factory=Tally)
    new: Tally = field(default_factory=Tally)
    kept: Counter[str] = field(default_factory=Counter)
    moments: list[int] = field(default_factory=list)
    changed: int = 0

    def add(self, step: Step, catalogue: Catalogue) -> None:
        self.then.add(step.then, step.catalogue)
        self.new.add(step.new, catalogue if not step.kept else step.catalogue)
        self.earnings.add(step)
        self.kept.update([step.kept] if step.kept else [])
        self.changed += step.then.arms != step.new.arms
        at = step.recorded.decided_at
        self.moments = [min([*self.moments[:1], at]), max([*self.moments[1:], at])]


def simulate_change(
    settings: Settings,
    ledger: Ledger,
    asked: Asked,
    now: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Finding:
    """Decides every recorded request again with what is asked, and compares. `progress` is told decisions done.

    Raises NoData for a ledger without decisions of ours, NotFound or CatalogueError for a catalogue that is none,
    InvalidInput for a policy that is none.
    """
    compiled = read_alternative(settings, asked.catalogue, asked.bundle)
    alternative = Alternative(Archive(ledger, settings.bundle_folder), compiled, asked.bundle, asked.policy)
    simulation = Simulation(ledger, alternative)
    sums = _Sums(Earnings(now))
    for step in simulation.steps(progress):
        sums.add(step, compiled.catalogue)
    if not sums.moments:
        raise NoData("no decision was made here yet, so there is nothing to decide again; `segue up` makes some")
    if sums.kept.total() == sums.then.decisions:
        why = sums.kept.most_common(1)[0][0]
        raise NoData(f"no decision can be made again: {why}")
    return Finding(
        asked,
        compiled.catalogue,
        sums.then,
        sums.new,
        worth(sums.earnings, settings.seed),
        sums.kept,
        simulation.unreadable,
        sums.moments[0],
        sums.moments[1],
        sums.changed,
        now,
    )
