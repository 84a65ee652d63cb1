"""What the ledger says of a ramp: what each customer's decisions came to, by step and by group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue
from features.domain import DO_NOTHING, Arm
from features.ledger import read_arrow
from features.rewards import UNIT
from serving.ramp.sequential import Group, Look, look
from serving.ramp.state import TRIED, Ramp

#: What is watched: money a decision, and the share of decisions answered so.
REWARD, OPT_OUTS, COMPLAINTS = "reward", "opt-outs", "complaints"

#: Holdouts get nothing in either group, so they tell nothing. Rewards are those so far: both groups are equally young.
_RAMPED = """
SELECT d.customer_id, d.decided_at, d.variants, i.action, i.channel, i.reward_units,
    (SELECT count(*) FROM outcomes o WHERE o.decision_id = d.decision_id AND o.kind = 'opted_out') AS opted_out,
    (SELECT count(*) FROM outcomes o WHERE o.decision_id = d.decision_id AND o.kind = 'complained') AS complained
FROM decisions d JOIN decision_items i ON i.decision_id = d.decision_id AND i.rank = 1
WHERE d.origin = 'live' AND d.decided_at >= {since:d} AND d.variants LIKE '%"{name}":%'
    AND (d.reason IS NULL OR d.reason <> 'holdout')
"""


def looks(url: str, ramp: Ramp, catalogue: Catalogue) -> dict[str, Look]:
    """Every guardrail of a ramp as it stands; costs of contacts are the catalogue's."""
    table = read_arrow(url, _RAMPED.format(since=ramp.steps[0].since, name=ramp.name)).to_pydict()
    tried = np.array([f'"{ramp.name}":"{TRIED}"' in text for text in table["variants"]], dtype=bool)
    step = np.searchsorted([s.since for s in ramp.steps], np.asarray(table["decided_at"], dtype=np.int64), "right")
    customers = np.unique(np.array(table["customer_id"], dtype=str), return_inverse=True)[1]
    costs = {arm.key: catalogue.contact_cost(arm) for arm in catalogue.arms()} | {DO_NOTHING.key: 0.0}
    keys = [Arm(a, c).key for a, c in zip(table["action"], table["channel"], strict=True)]
    cost = np.array([costs.get(key, 0.0) for key in keys])
    columns = {
        REWARD: np.array([units or 0 for units in table["reward_units"]], dtype=np.float64) / UNIT - cost,
        OPT_OUTS: (np.array(table["opted_out"], dtype=np.float64) > 0).astype(np.float64),
        COMPLAINTS: (np.array(table["complained"], dtype=np.float64) > 0).astype(np.float64),
    }
    return looks_of(columns, tried, step, customers)


def looks_of(
    columns: Mapping[str, NDArray[np.float64]],
    tried: NDArray[np.bool_],
    step: NDArray[np.int64],
    customers: NDArray[np.int64],
) -> dict[str, Look]:
    """(n,) columns of what n decisions came to, who was tried on, in which step, and codes of customers -> looks."""
    parts = [[(step == s) & (tried == group) for group in (True, False)] for s in np.unique(step)]
    found = {}
    for name, column in columns.items():
        pairs = [(_group(column, customers, one), _group(column, customers, other)) for one, other in parts]
        found[name] = look(name, pairs)
    return found


def _group(column: NDArray[np.float64], customers: NDArray[np.int64], rows: NDArray[np.bool_]) -> Group:
    place = np.unique(customers[rows], return_inverse=True)[1]
    return Group.of(np.bincount(place).astype(np.float64), np.bincount(place, column[rows]).astype(np.float64))
