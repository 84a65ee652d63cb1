"""What both strategies earn: by the model alone, and corrected by what the recorded contacts did earn.

A success is worth in both what today's catalogue says, where it has the action, so that raising a value makes nobody
richer. Contact costs are known, not estimated: each strategy's own are taken off what it is expected to earn, and what
is compared with the model is money before costs. Of a slate the first place is valued.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np

from experiments.change.again import Step
from experiments.formulas import formula
from experiments.ope.contributions import Contributions, contributions
from experiments.ope.diagnostics import Diagnostics, diagnose, too_little
from experiments.ope.difference import difference
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.evidence import Evidence
from experiments.ope.feedback import Floats
from experiments.ope.intervals import Bounds, bootstrap, skewed
from experiments.ope.payments import paid
from features.catalogue import Catalogue
from features.rewards import longest_window

#: Columns of what is kept of each decision: 80 bytes with the numbers of customer and arm.
_COLUMNS = ("new", "then", "chosen", "weight", "predicted", "predicted_then", "reward", "outside")
#: Decisions the interval needs to be more than a guess.
LEAST_CUSTOMERS = 30


@dataclass(frozen=True, slots=True)
class Value:
    """Money a decision, with its 95 % interval; rows of one customer count once."""

    value: float
    interval: Bounds


@dataclass(frozen=True, slots=True)
class Estimate:
    """Today's value, the new one's and their difference; or `insufficient` and why, and then no numbers."""

    insufficient: str | None
    rows: int
    then: Value | None = None
    new: Value | None = None
    difference: Value | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """`model`: on all decisions, by the model; `corrected`: on those whose windows have closed, doubly robust."""

    model: Estimate
    corrected: Estimate
    diagnostics: Diagnostics | None = None


@dataclass(slots=True)
class Earnings:
    """The columns from which values are estimated, filled a decision at a time."""

    #: Windows that end later are open still.
    now: int
    columns: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in _COLUMNS})
    units: array[int] = field(default_factory=lambda: array("q"))
    drawn: array[int] = field(default_factory=lambda: array("q"))
    matured: array[int] = field(default_factory=lambda: array("b"))
    #: Matured decisions the learner has not counted yet.
    uncounted: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)
    _arms: dict[str, int] = field(default_factory=dict)
    _windows: dict[str, int] = field(default_factory=dict)

    @property
    def arms(self) -> int:
        """Arms that were drawn."""
        return len(self._arms)

    def add(self, step: Step) -> None:
        """Takes one decision that was made again; one that was kept tells nothing of a change."""
        if step.kept:
            return
        record, first = step.recorded.record, step.recorded.became.get(1)
        assert record is not None
        drawn, probability = step.then.arms[0].key, float(record["items"][0]["action_probability"])
        earned, cost = step.new.expected()
        earned_then, cost_then = step.then.expected()
        shares, shares_then = step.new.probability, step.then.probability
        place, place_then = _places(step.new.survivors), _places(step.then.survivors)
        chosen = float(shares[place[drawn]]) if drawn in place else 0.0
        seen = float(earned_then[place_then[drawn]]) if drawn in place_then else 0.0
        impossible = [n for arm, n in place.items() if arm not in place_then or shares_then[place_then[arm]] <= 0.0]
        row = (
            float(shares @ (earned - cost)),
            float(shares_then @ (earned_then - cost_then)),
            chosen,
            chosen / probability,
            # How wrong the model was shows where the reward was earned: on the features of then, not those of the
            # simulated history. Only another bundle has to be asked there.
            seen if step.same_bundle else float(earned[place[drawn]]) if drawn in place else 0.0,
            seen,
            0.0 if first is None else first.reward,
            float(shares[impossible].sum()),
        )
        for name, value in zip(_COLUMNS, row, strict=True):
            self.columns[name].append(value)
        customer = step.recorded.customer_id
        self.units.append(self._numbers.setdefault(customer, len(self._numbers)))
        self.drawn.append(self._arms.setdefault(drawn, len(self._arms)))
        # Settled before the draw: neither what was drawn nor what was answered chooses the rows.
        matured = first is not None and step.recorded.decided_at + self._window_of(step.catalogue) <= self.now
        self.uncounted += matured and first is not None and first.state == "open"
        self.matured.append(matured)

    def _window_of(self, catalogue: Catalogue) -> int:
        if catalogue.version not in self._windows:
            self._windows[catalogue.version] = longest_window(catalogue)
        return self._windows[catalogue.version]


@formula(
    "Value by the model",
    "mean over decisions of Σ_a π(a|x) (p_accept(x, a) value(x, a) − cost(a)); today's π is the recorded one",
    "Direct method: Beygelzimer, Langford (2009), The Offset Tree for Learning with Partial Labels, KDD",
)
def by_model(new: Floats, then: Floats, units: np.ndarray, seed: int) -> Estimate:
    """On every decision; (n,) columns, `units` the customers' numbers."""
    if len(np.unique(units)) < LEAST_CUSTOMERS:
        return Estimate(f"{len(np.unique(units))} customers, at least {LEAST_CUSTOMERS} are needed", len(new))
    return Estimate(None, len(new), *(_value(_means(each, units), seed) for each in (then, new, new - then)))


@formula(
    "Value corrected by the record",
    "by the model + mean of w (reward − p_accept value), w = π(a|x) / p(a|x) of the recorded arm a; 1 for today",
    "Doubly robust: Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning, ICML",
)
def by_record(seen: Evidence, then: Evidence, found: Diagnostics) -> Estimate:
    """On decisions whose windows have closed. What the log could never play is the model's word alone."""
    seldom = "what the new strategy does was seldom done"
    if little := too_little(len(seen), found.effective_sample_size, found.effective_responses, seldom):
        return Estimate(little, len(seen))
    if found.odd_weights and (wrong := found.wrong_weights()):
        return Estimate(wrong, len(seen))
    new, today = (contributions(ESTIMATORS["dr"], one, 0.0) for one in (seen, then))
    gain = difference(new, today, "today", seen.payment)
    if gain.value is None or gain.interval is None:
        return Estimate(f"of the difference from today: {gain.insufficient}", len(seen))
    then_value, new_value = (Value(side.value, skewed(side)) for side in (today, new))
    return Estimate(None, len(seen), then_value, new_value, Value(gain.value, gain.interval))


def worth(earnings: Earnings, seed: int = 0) -> Worth:
    """Both estimates. The same columns and seed give the same numbers."""
    columns = {name: np.frombuffer(c, dtype=np.float64) if c else np.empty(0) for name, c in earnings.columns.items()}
    units = np.array(earnings.units, dtype=np.int64)
    model = by_model(columns["new"], columns["then"], units, seed)
    rows = np.array(earnings.matured, dtype=bool)
    count = int(rows.sum())
    if earnings.uncounted:
        told = f"{earnings.uncounted:,} decisions with closed windows are not counted yet: `segue work` does that"
        return Worth(model, Estimate(told, count))
    customers, unit = np.unique(units[rows], return_inverse=True)
    if len(customers) < LEAST_CUSTOMERS:
        told = f"{len(customers)} customers with closed windows, at least {LEAST_CUSTOMERS} are needed"
        return Worth(model, Estimate(told, count))
    part = {name: column[rows] for name, column in columns.items()}
    one, none = np.ones(count), np.zeros(count)
    payment = paid(part["reward"], np.array(earnings.drawn, dtype=np.int64)[rows], earnings.arms)
    seen = Evidence(
        part["weight"],
        part["chosen"],
        part["reward"],
        part["outside"],
        part["predicted"],
        part["new"],
        unit,
        payment=payment,
    )
    then = Evidence(one, one, part["reward"], none, part["predicted_then"], part["then"], unit, payment=payment)
    found = diagnose(seen)
    return Worth(model, by_record(seen, then, found), found)


def _means(each: Floats, units: np.ndarray) -> Contributions:
    return Contributions(each, np.zeros(len(each)), np.zeros(len(each)), False, units)


def _value(parts: Contributions, seed: int) -> Value:
    return Value(parts.value, bootstrap(parts, seed))


def _places(arms: list[str]) -> dict[str, int]:
    return {arm: n for n, arm in enumerate(arms)}
