"""A finding as people read it: the rows of its tables, and what it comes to in plain English."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from experiments.change.finding import Finding
from experiments.change.tally import Tally
from experiments.change.worth import Estimate, Value
from features.clock import DAY
from features.figures import fixed, moment, number, percent


@dataclass(frozen=True, slots=True)
class Line:
    """One row: what, today's number, the new one, and how they are written; `share` in percent."""

    name: str
    then: float
    new: float
    share: bool = False
    digits: int = 0

    def cells(self) -> tuple[str, str, str, str]:
        gap = self.new - self.then
        change = f"{fixed(100 * gap, 1, sign=True)} points" if self.share else fixed(gap, self.digits, sign=True)
        return self.name, self._written(self.then), self._written(self.new), change if gap else "the same"

    def _written(self, value: float) -> str:
        return f"{fixed(100 * value, 1)} %" if self.share else fixed(value, self.digits)


_SUMMARY: tuple[tuple[str, Callable[[Tally], float], bool, int], ...] = (
    ("customers contacted", lambda t: len(t.contacted), False, 0),
    ("share of customers contacted", lambda t: t.share(len(t.contacted)), True, 0),
    ("contacts", lambda t: t.contacts, False, 0),
    ("contacts for each customer contacted", lambda t: t.contacts / max(1, len(t.contacted)), False, 2),
    ("customers shown any action, visits included", lambda t: len(t.offered), False, 0),
    ("actions shown", lambda t: t.offers, False, 0),
    ("decisions that do nothing", lambda t: t.idle / max(1, t.decisions), True, 0),
    ("decisions in which a limit held back an arm", lambda t: t.limits.total(), False, 0),
    ("decisions in which quiet hours held back an arm", lambda t: t.quiet.total(), False, 0),
    ("deferred: nothing left until later", lambda t: t.deferred, False, 0),
    ("deferred by quiet hours", lambda t: t.quiet_deferred, False, 0),
)


def summary(found: Finding) -> list[Line]:
    """Reach, contacts, and what was held back."""
    return [Line(name, of(found.then), of(found.new), share, digits) for name, of, share, digits in _SUMMARY]


def mix(then: Counter[str], new: Counter[str]) -> list[Line]:
    """Share of everything shown, largest first."""
    names = sorted({*then, *new}, key=lambda name: (-max(then[name], new[name]), name))
    one, other = max(1, then.total()), max(1, new.total())
    return [Line(name, then[name] / one, new[name] / other, share=True) for name in names]


def drop_off(found: Finding) -> list[Line]:
    """Arms removed of 1,000 considered, by stage and rule in the funnel's order; what is left comes last."""
    order = {"catalogue": 0, "consent": 1, "eligibility": 2, "contact_policy": 3}
    rules = sorted({*found.then.removed, *found.new.removed}, key=lambda r: (order.get(r[0], -1), r))
    sides = (found.then, found.new)
    then, new = ([side.per_thousand(rule) for rule in rules] for side in sides)
    lines = [Line(f"{r[0]}: {r[1]}", one, other, digits=1) for r, one, other in zip(rules, then, new, strict=True)]
    return [*lines, Line("left to choose from", 1_000.0 - sum(then), 1_000.0 - sum(new), digits=1)]


def limits(found: Finding) -> list[Line]:
    """Decisions in which each limit, or quiet hours, held back an arm."""
    lines = []
    for kind, then, new in (("", found.then.limits, found.new.limits), ("quiet: ", found.then.quiet, found.new.quiet)):
        lines += [Line(kind + name, then[name], new[name]) for name in sorted({*then, *new})]
    return lines


def estimates(found: Finding) -> list[tuple[str, str, str, str]]:
    """Money a decision: by the model, and corrected by what was seen."""
    named = (("by the model", found.worth.model), ("corrected by what was seen", found.worth.corrected))
    return [(f"{name} ({e.rows:,} decisions)", *_values(e)) for name, e in named]


def _values(estimate: Estimate) -> tuple[str, str, str]:
    if estimate.insufficient is not None:
        return "insufficient", "insufficient", estimate.insufficient
    return _between(estimate.then), _between(estimate.new), _between(estimate.difference, signed=True)


def _between(value: Value | None, signed: bool = False) -> str:
    if value is None:
        return "–"
    sign = "+" if signed and value.value > 0 else ""
    return f"{sign}{number(value.value)} ({number(value.interval.low)} to {number(value.interval.high)})"


def verdict(found: Finding) -> str:
    """better, worse or insufficient, by the corrected estimate; by it alone."""
    gain = found.worth.corrected.difference
    if found.worth.corrected.insufficient is not None or gain is None:
        return "insufficient"
    return "better" if gain.interval.low > 0.0 else "worse" if gain.interval.high < 0.0 else "insufficient"


def in_words(found: Finding) -> str:
    """What the change would do, in a few sentences."""
    then, new = found.then, found.new
    if unchanged(found):
        return f"Nothing changes: all {then.decisions:,} decisions come out as they were made."
    if not found.changed:
        alike = f"The same arms are drawn in all {then.decisions:,} decisions, with other probabilities."
        return f"{alike} {_money(found)}"
    told = [
        f"{found.changed:,} of {then.decisions:,} decisions come out otherwise.",
        f"Contacts {_moved(then.contacts, new.contacts)}, customers contacted "
        f"{_moved(len(then.contacted), len(new.contacted))}.",
        _money(found),
    ]
    return " ".join(told)


def unchanged(found: Finding) -> bool:
    """Whether no decision comes out otherwise and no probability moved, so that a decision earns what it did."""
    gains = (one.difference for one in (found.worth.model, found.worth.corrected))
    return not found.changed and not any(gain is not None and gain.value for gain in gains)


def expected(found: Finding) -> str | None:
    """better or worse where the record cannot tell and the model's whole interval says so; else None."""
    gain = found.worth.model.difference
    if verdict(found) != "insufficient" or found.worth.model.insufficient is not None or gain is None:
        return None
    return "better" if gain.interval.low > 0.0 else "worse" if gain.interval.high < 0.0 else None


def _moved(then: int, new: int) -> str:
    if then == new:
        return f"stay at {then:,}"
    relative = f" ({fixed(100 * (new - then) / then, 0, sign=True)} %)" if then else ""
    return f"go from {then:,} to {new:,}{relative}"


def _money(found: Finding) -> str:
    said = verdict(found)
    corrected, model = found.worth.corrected, found.worth.model
    if said in ("better", "worse"):
        earns = "more" if said == "better" else "less"
        return f"A decision earns {earns} than today: {_between(corrected.difference, signed=True)}."
    if corrected.insufficient is not None:
        word = "" if model.insufficient else f"; the model alone expects {_between(model.difference, signed=True)}"
        return f"What was recorded cannot tell whether it earns more ({corrected.insufficient}){word}."
    said = f"Whether it earns more is open: {_between(corrected.difference, signed=True)} a decision"
    alone = "" if expected(found) is None else f"; the model alone expects {_between(model.difference, signed=True)}"
    return f"{said}{alone}."


def caveats(found: Finding) -> list[str]:
    """What a reader must know before believing the numbers."""
    days = max(1, round((found.until - found.since) / DAY))
    told = [
        f"{found.then.decisions:,} decisions of {len(found.then.customers):,} customers, "
        f"{moment(found.since)[:10]} to {moment(found.until)[:10]} "
        f"({days:,} {'day' if days == 1 else 'days'}).",
        "Contacts, their answers and opt-outs are those of the simulated history. Whether a contact that nobody made "
        "succeeds is drawn by the model; what else comes of it is copied from recorded contacts by the same arm or on "
        "the same channel.",
        "Features that count contacts and answers are moved to the simulated history; all others are as recorded: "
        "what customers would have done otherwise besides answering is not simulated.",
        "A success is worth what the catalogue of the recorded decision said, in both columns; only for actions it "
        "did not have, what the new one says. Each column pays its own contact costs. Of a slate the first place is "
        "valued.",
    ]
    if found.asked.bundle is not None:
        told.append(
            "A bundle that learned from these very decisions is flattered by what it expects of them; `segue promote` "
            "judges one only on decisions it has not seen."
        )
    weights = found.worth.diagnostics
    if weights is not None:
        told.append(
            f"Weights: worth {weights.effective_sample_size:,.0f} of {weights.rows:,} decisions, largest "
            f"{number(weights.largest_weight, 3)}; in {percent(1.0 - weights.support)} of decisions the new strategy "
            "may do what was impossible then, and there the model alone speaks."
        )
    if found.kept or found.unreadable:
        reasons = "; ".join(f"{count:,}: {why}" for why, count in found.kept.most_common(3))
        told.append(
            f"{found.kept.total() + found.unreadable:,} decisions could not be made again and stay as recorded, "
            f"{found.unreadable:,} of them not readable at all. {reasons}"
        )
    return told
