"""What was known of a customer before a decision: attributes, and what came earlier in the same log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.ope.feedback import Floats, Integers
from experiments.studies.happenings import EVER, Happenings
from features.clock import DAY
from features.domain import DO_NOTHING


def known_before(
    customers: pa.Table,
    names: pa.Array,
    customer: Integers,
    decided_at: Integers,
    arms: tuple[str, ...],
    arm: Integers,
    happened: Mapping[str, Happenings],
) -> pa.Table:
    """(n, d) columns, none of which the decision or anything after it could change.

    `names` are the ids of the coded customers. Attributes as the ledger has them; days since sign-up; of each type of
    event, how many there were before and their value; earlier contacts, the latest earlier arm, and the wave.
    """
    columns = _attributes(customers, names, customer, decided_at)
    for kind, those in happened.items():
        count, value = those.between(customer, EVER, decided_at)
        columns[f"{kind} before"] = pa.array(count.astype(np.float64))
        columns[f"{kind} value before"] = pa.array(value)
    contacts, latest = _earlier(customer, decided_at, arms, arm)
    columns["contacts before"] = pa.array(contacts)
    columns["arm before"] = pa.array(latest)
    columns["wave"] = pa.array(np.unique(decided_at, return_inverse=True)[1].astype(np.float64))
    return pa.table(columns)


def _attributes(customers: pa.Table, names: pa.Array, customer: Integers, decided_at: Integers) -> dict[str, pa.Array]:
    place = pc.index_in(names, pc.cast(customers["customer_id"], names.type).combine_chunks())
    known = [
        {} if text is None else msgspec.json.decode(text) for text in customers["attributes"].take(place).to_pylist()
    ]
    columns: dict[str, pa.Array] = {}
    for name in sorted({name for one in known for name in one}):
        columns[name] = _column([one.get(name) for one in known]).take(pa.array(customer))
    since = pc.take(pc.cast(customers["created_at"], pa.float64()), place).to_numpy()
    columns["days since sign-up"] = pa.array((decided_at - since[customer]) / DAY)
    return columns


def _column(values: list[Any]) -> pa.Array:
    """Numbers where every value is one, truth counting as 1 or 0; else text."""
    if all(isinstance(value, bool | int | float | None) for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _earlier(
    customer: Integers, decided_at: Integers, arms: tuple[str, ...], arm: Integers
) -> tuple[Floats, list[str]]:
    """(n,) decisions before this one that made contact, and the arm of the latest before it, "none yet" without one."""
    order = np.lexsort((decided_at, customer))
    who, drawn = customer[order], arm[order]
    first = np.concatenate([[True], who[1:] != who[:-1]])
    contact = np.array([name.split("@")[0] != DO_NOTHING.action for name in arms])[drawn].astype(np.float64)
    sums = np.cumsum(contact) - contact
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    contacts, before = np.empty(len(order)), np.full(len(order), len(arms))
    contacts[order] = sums - sums[starts]
    before[order[1:]] = np.where(first[1:], len(arms), drawn[:-1])
    named = np.array([*arms, "none yet"])
    return contacts, named[before].tolist()
