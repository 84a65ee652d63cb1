"""The units of a study, read from the ledger: what was decided, what was known before, and what followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.ope.feedback import Floats, Integers, LoggedFeedback, codes
from experiments.ope.log_file import context_matrix
from experiments.studies.happenings import Happenings
from experiments.studies.known import known_before
from experiments.studies.study import Reward, Study
from features.clock import DAY
from features.errors import InvalidInput, NoData
from features.figures import number
from features.ledger import read_arrow
from features.purchases import REFUND, is_refund

_DECISIONS = """
SELECT i.customer_id, i.decided_at, i.action, i.channel, i.action_probability
FROM decision_items i JOIN decisions d ON d.decision_id = i.decision_id
WHERE d.origin = 'import' AND i.rank = 1 ORDER BY i.decided_at, i.customer_id, i.decision_id
"""
#: A purchase paid back is no purchase, but is taken off the money spent; a refund is what was paid back.
_EVENTS = f"""
SELECT customer_id, type, occurred_at,
    CAST(CASE WHEN type = '{REFUND}' THEN abs(value) ELSE value END AS DOUBLE PRECISION) AS value,
    CASE WHEN type <> '{REFUND}' AND {is_refund("type", "value")} THEN 0 ELSE 1 END AS counted
FROM events WHERE type IN ({{}})
"""
_CUSTOMERS = "SELECT customer_id, created_at, attributes FROM customers"
#: Probabilities of all arms must sum to 1 this closely for the log to be one draw from them.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """n decisions with closed windows, of k arms, all drawn from the same distribution."""

    arms: tuple[str, ...]
    #: (k,) the probability with which each arm was drawn, by the log's own account.
    design: Floats
    #: (n,) the arm drawn, as its place in `arms`.
    arm: Integers
    #: (n,) code of the customer, from 0; (n,) microseconds.
    customer: Integers
    decided_at: Integers
    #: (n, d) what was known before the decision, NaN where missing, and the (d,) names.
    context: Floats
    context_names: tuple[str, ...]
    #: Name of a reward -> (n,) what the decision earned.
    rewards: Mapping[str, Floats]
    #: Decisions left out because their window is still open.
    still_open: int

    def __len__(self) -> int:
        return len(self.arm)

    def log(self, reward: str) -> LoggedFeedback:
        """The log that estimates read, judged by one of the rewards."""
        several = len(np.unique(self.customer)) < len(self)
        return LoggedFeedback(
            self.arms,
            self.arm,
            self.design[self.arm],
            self.rewards[reward],
            self.context,
            self.context_names,
            unit=self.customer if several else None,
            decided_at=self.decided_at,
            logging_probability=np.broadcast_to(self.design, (len(self), len(self.arms))),
        )


def read_units(url: str, study: Study, now: int) -> Units:
    """The imported decisions of the ledger at `url` whose window is over at `now`.

    Raises NoData where there are none, InvalidInput where they were not all drawn from one distribution.
    """
    table = read_arrow(url, _DECISIONS)
    window = round(study.window_days * DAY)
    closed = table.filter(pc.less_equal(table["decided_at"], now - window))
    if not closed.num_rows:
        raise NoData(
            f"nothing to study: the home has {table.num_rows:,} imported decisions, none older than "
            f"{study.window_days:g} days; run `segue import {study.name} SOURCE` first"
        )
    arms, arm = _arms(closed)
    design = _design(arms, arm, closed["action_probability"].to_numpy())
    names = pc.unique(closed["customer_id"])
    customer = pc.index_in(closed["customer_id"], names).to_numpy().astype(np.int64)
    decided_at = closed["decided_at"].to_numpy()
    happened = _happenings(url, study, names)
    known = known_before(read_arrow(url, _CUSTOMERS), names, customer, decided_at, arms, arm, happened)
    matrix, labels = context_matrix(known, known.column_names)
    telling = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in matrix.T], dtype=bool)
    rewards = {r.name: _earned(r, happened, customer, decided_at, decided_at + window) for r in study.rewards}
    left = table.num_rows - closed.num_rows
    labels = tuple(label for label, used in zip(labels, telling, strict=True) if used)
    return Units(arms, design, arm, customer, decided_at, matrix[:, telling], labels, rewards, left)


def _arms(table: pa.Table) -> tuple[tuple[str, ...], Integers]:
    """Names of the arms and which was drawn: by the action alone where each goes on one channel."""
    actions = np.asarray(table["action"].to_pylist(), dtype=np.str_)
    keys = np.asarray([f"{a}@{c}" for a, c in zip(actions, table["channel"].to_pylist(), strict=True)], dtype=np.str_)
    named = actions if len(np.unique(keys)) == len(np.unique(actions)) else keys
    return tuple(str(name) for name in np.unique(named)), codes(named)


def _design(arms: tuple[str, ...], arm: Integers, probability: Floats) -> Floats:
    lowest, highest = np.full(len(arms), np.inf), np.full(len(arms), -np.inf)
    np.minimum.at(lowest, arm, probability)
    np.maximum.at(highest, arm, probability)
    if (highest - lowest > _TOLERANCE).any() or abs(lowest.sum() - 1.0) > len(arms) * _TOLERANCE:
        told = ", ".join(
            f"{name} {number(low)} to {number(high)}" for name, low, high in zip(arms, lowest, highest, strict=True)
        )
        raise InvalidInput(
            f"a study needs decisions drawn from one distribution; the probabilities logged are {told}, summing to "
            f"{number(float(lowest.sum()))}. Use `segue experiment evaluate` for a log whose probabilities differ by "
            "row",
            field="action_probability",
            code="not_one_distribution",
        )
    return lowest / lowest.sum()


def _happenings(url: str, study: Study, names: pa.Array) -> dict[str, Happenings]:
    texts = ", ".join("'" + kind.replace("'", "''") + "'" for kind in study.event_types)
    events = read_arrow(url, _EVENTS.format(texts))
    customer = pc.index_in(pc.cast(events["customer_id"], names.type), names)
    events = events.append_column("code", customer).filter(pc.is_valid(customer))
    found = {}
    for kind in study.event_types:
        mine = events.filter(pc.equal(pc.cast(events["type"], pa.string()), kind))
        columns = (mine["code"].to_numpy().astype(np.int64), mine["occurred_at"].to_numpy().astype(np.int64))
        value, counted = mine["value"].to_numpy().astype(np.float64), mine["counted"].to_numpy().astype(np.bool_)
        found[kind] = Happenings.of(*columns, value, counted)
    return found


def _earned(
    reward: Reward, happened: Mapping[str, Happenings], customer: Integers, start: Integers, end: Integers
) -> Floats:
    count, value = happened[reward.event].between(customer, start, end)
    earned = (count > 0).astype(np.float64) if reward.measure == "happened" else value
    return earned if reward.less is None else earned - happened[reward.less].between(customer, start, end)[1]
