"""The ledger as logged feedback: decisions with their whole distribution, and the rewards the learner settled on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from experiments.ope.feedback import Floats, LoggedFeedback, codes
from experiments.ope.maturity import DRAWN, Horizons
from experiments.ope.slates import LaterPlace, Slates
from features.domain import Arm, Candidates, Versions
from features.errors import InvalidInput, NoData
from features.ledger import read_arrow
from features.rewards import UNIT
from serving.request import Inputs
from training.explorer import Explorer, named_explorer

#: Decisions taken, the latest; with 80 arms each column of a distribution is 32 MB.
MOST_DECISIONS = 50_000
#: What a decision earned: money by the catalogue's rules less what the contact cost, or 1 for a success.
REWARDS = ("value", "response")

#: Records read at once: about 10 kB each.
_BLOCK = 10_000
_LIVE = """
SELECT d.position, i.decision_id, i.customer_id, i.decided_at, i.action, i.channel, i.action_probability,
    i.reward_units, i.success_units, d.record
FROM decision_items i JOIN decisions d ON d.decision_id = i.decision_id
WHERE i.rank = 1 AND d.origin = 'live' AND {drawn} AND d.record IS NOT NULL
    AND i.decided_at <= {until:d} AND d.position < {before:d}
ORDER BY d.position DESC LIMIT {limit:d}
"""
_LATER = """
SELECT decision_id, rank, action, channel, action_probability, reward_units, success_units FROM decision_items
WHERE rank > 1 AND decided_at BETWEEN {first:d} AND {last:d} ORDER BY rank
"""


class _Record(msgspec.Struct):
    """The part of a decision's record that is read here."""

    candidates: Candidates | None
    features: dict[str, float | None]
    inputs: Inputs | None = None
    versions: Versions | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A row of the log: of the decision's first place `later` is None; a later one may have no `item`, none drawn."""

    decision: dict[str, Any]
    record: _Record
    item: dict[str, Any] | None
    later: LaterPlace | None = None

    @property
    def arm(self) -> str:
        return _key(self.decision) if self.later is None else self.later.drawn

    @property
    def probability(self) -> float:
        if self.later is None:
            return float(self.decision["action_probability"])
        return float(self.later.shares[self.later.left.index(self.arm)])


@dataclass(frozen=True, slots=True, eq=False)
class LedgerLog:
    """Places of decisions made here, matured, and how their arms were scored: (n, k), NaN for arms not to be had."""

    feedback: LoggedFeedback
    priority: Floats
    deviation: Floats

    def rescored(self, name: str, progress: Callable[[float], None] = lambda _share: None) -> Floats:
        """(n, k) what the policy of this name would have drawn from the same arms at the same priorities.

        Raises InvalidInput for a name that is no policy's, or one that ramps new arms: how often arms had been learned
        from is not in the record.
        """
        explorer = _explorer(name)
        probability = np.zeros(self.priority.shape)
        for row, priorities in enumerate(self.priority):
            arms = np.flatnonzero(~np.isnan(priorities))
            probability[row, arms] = explorer.probabilities(priorities[arms], self.deviation[row, arms])
            if row % 1_000 == 0:
                progress(row / len(probability))
        return probability


def ledger_log(
    url: str, now: int, reward: str = "value", limit: int = MOST_DECISIONS, slates: Slates | None = None
) -> LedgerLog:
    """The latest decisions made here that can be judged by `now` (`experiments.ope.maturity`), at most `limit`, as the
    learner left them.

    First places; with `slates` also those after them, each with its probability given the places before.

    Left out: holdouts and other decisions without candidates, and fallbacks, which no policy drew. Raises NoData where
    nothing is left, and InvalidInput for an unknown reward.
    """
    if reward not in REWARDS:
        raise InvalidInput(f"no reward {reward!r}; one of {', '.join(REWARDS)}", field="reward")
    horizons = Horizons(url)
    drawn = _drawn(url, now, limit, horizons)
    if not drawn:
        raise NoData(horizons.told())
    places = [_Place(row, one, row) for row, one in drawn]
    if slates is not None:
        places += _later(url, drawn, slates)
    return _log(places, reward, slates is not None)


def _drawn(url: str, now: int, limit: int, horizons: Horizons) -> list[tuple[dict[str, Any], _Record]]:
    """The latest that can be judged, in the order they were decided: folds and page do not depend on the reading."""
    found: list[tuple[dict[str, Any], _Record]] = []
    before, until, block = 2**63 - 1, now - horizons.shortest, min(limit, _BLOCK)
    while len(found) < limit:
        rows = read_arrow(url, _LIVE.format(drawn=DRAWN, until=until, before=before, limit=block)).to_pylist()
        for row in rows:
            one = _record(row["record"])
            if one and one.candidates is not None and row["decided_at"] + horizons.of(one.versions) <= now:
                found.append((row, one))
        if len(rows) < block:
            break
        before = rows[-1]["position"]
    return found[:limit][::-1]


def _record(text: bytes) -> _Record | None:
    """None for a record of an older form."""
    try:
        return msgspec.json.decode(text, type=_Record)
    except msgspec.ValidationError:
        return None


def _key(item: dict[str, Any]) -> str:
    return Arm(item["action"], item["channel"]).key


def _later(url: str, drawn: list[tuple[dict[str, Any], _Record]], slates: Slates) -> list[_Place]:
    moments = [row["decided_at"] for row, _ in drawn]
    items: dict[str, list[dict[str, Any]]] = {row["decision_id"]: [row] for row, _ in drawn}
    for item in read_arrow(url, _LATER.format(first=min(moments), last=max(moments))).to_pylist():
        if item["decision_id"] in items:
            items[item["decision_id"]].append(item)
    found = []
    for row, one in drawn:
        mine = items[row["decision_id"]]
        places = [(_key(item), item["action_probability"]) for item in mine]
        assert one.candidates is not None
        for later in slates.later(one.candidates, one.inputs, one.versions, row["decided_at"], places):
            item = mine[later.rank - 1] if later.rank <= len(mine) else None
            found.append(_Place(row, one, item, later))
    return found


def _log(places: list[_Place], reward: str, slates: bool) -> LedgerLog:
    arms = sorted({arm for one in places if one.record.candidates for arm in one.record.candidates.arms})
    place = {arm: n for n, arm in enumerate(arms)}
    shape = (len(places), len(arms))
    priority, deviation = np.full(shape, np.nan), np.zeros(shape)
    probability, cost = np.zeros(shape), np.zeros(shape)
    for row, one in enumerate(places):
        c = one.record.candidates
        assert c is not None
        at = [place[arm] for arm, removed in zip(c.arms, c.removed, strict=True) if removed < 0]
        for table, name in ((priority, "priority"), (probability, "probability"), (deviation, "deviation")):
            table[row, at] = c.column(name)
        cost[row, at] = [value or 0.0 for value in c.column("contact_cost")]
        if one.later is not None:
            left = [place[arm] for arm in one.later.left]
            priority[row, np.setdiff1d(at, left)] = np.nan
            probability[row], probability[row, left] = 0.0, one.later.shares
    arm = np.array([place.get(one.arm, -1) for one in places])
    units = "reward_units" if reward == "value" else "success_units"
    rewards = np.array([((one.item or {}).get(units) or 0) / UNIT for one in places])
    if reward == "value":
        rewards -= cost[np.arange(len(places)), arm]
    context, names = _context([one.record.features for one in places])
    feedback = LoggedFeedback(
        tuple(arms),
        arm,
        np.array([one.probability for one in places]),
        rewards,
        context,
        names,
        unit=codes([one.decision["customer_id"] for one in places]),
        decision_id=np.array([one.decision["decision_id"] for one in places]),
        decided_at=np.array([one.decision["decided_at"] for one in places], dtype=np.int64),
        place=np.array([one.later.rank if one.later else 1 for one in places]) if slates else None,
        allowed=~np.isnan(priority),
        logging_probability=probability,
    )
    return LedgerLog(feedback, priority, deviation)


def _context(features: list[dict[str, float | None]]) -> tuple[Floats, tuple[str, ...]]:
    """(n, d) every feature that any decision saw, NaN where it was missing."""
    names = sorted({name for one in features for name in one})
    column = {name: n for n, name in enumerate(names)}
    matrix = np.full((len(features), len(names)), np.nan)
    for row, one in enumerate(features):
        for name, value in one.items():
            if value is not None:
                matrix[row, column[name]] = value
    return matrix, tuple(names)


def _explorer(name: str) -> Explorer:
    explorer = named_explorer(name)
    if explorer.new_arm_ramp:
        raise InvalidInput(f"{name!r} ramps new arms, which records cannot tell; leave the ramp out", field="target")
    return explorer
