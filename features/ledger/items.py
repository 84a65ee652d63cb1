"""Answered items with all that was heard about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, select

from features.domain import Arm, Outcome
from features.ledger import tables as t
from features.ledger.records import LearnableItem, outcome_of

#: Ids asked for in one statement; SQLite takes 32,766 parameters, and a plan for 500 is still quick.
CHUNK = 500


#: The columns of a `LearnableItem` before its outcomes, and those of an `Outcome`, in the order of their fields.
_ITEM = [t.decision_items.c[name] for name in LearnableItem._fields if name not in ("arm", "outcomes")]
_OUTCOME = [t.outcomes.c[field.name] for field in fields(Outcome)]
_ARM = (t.decision_items.c.action, t.decision_items.c.channel)


def learnable_items(connection: Connection, wanted: Any, *, live: bool = False) -> list[LearnableItem]:
    """The items whose (decision_id, rank) the select `wanted` gives, each with its outcomes, in order of their ids.

    With `live` without the imported ones.
    """
    keys = wanted.subquery()
    items = select(*_ARM, *_ITEM).join_from(keys, t.decision_items, _same(keys, t.decision_items))
    if live:
        items = items.where(t.decision_items.c.reward_state != "imported")
    heard: dict[tuple[str, int], list[Outcome]] = {}
    for row in _tuples(connection, select(*_OUTCOME).join_from(keys, t.outcomes, _same(keys, t.outcomes))):
        outcome = Outcome(*row)
        heard.setdefault((outcome.decision_id, outcome.rank), []).append(outcome)
    for told in heard.values():
        # In the order they happened, whatever the order they came in.
        told.sort(key=lambda outcome: (outcome.occurred_at, outcome.outcome_id))
    arms: dict[tuple[str, str], Arm] = {}
    found = []
    for action, channel, decision_id, rank, customer_id, *rest, covariates in _tuples(connection, items):
        arm = arms.get((action, channel)) or arms.setdefault((action, channel), Arm(action, channel))
        outcomes = tuple(heard.get((decision_id, rank), []))
        found.append(LearnableItem._make((decision_id, rank, customer_id, arm, *rest, outcomes, decoded(covariates))))
    found.sort()
    return found


def decoded(covariates: str | None) -> tuple[int, ...]:
    """What the column of this name says."""
    return () if covariates is None else _covariates(covariates)


_covariates = msgspec.json.Decoder(tuple[int, ...]).decode


def _same(keys: Any, table: Any) -> Any:
    return and_(table.c.decision_id == keys.c.decision_id, table.c.rank == keys.c.rank)


def _tuples(connection: Connection, query: Any) -> Any:
    """The rows as the driver gives them: SQLAlchemy's own cost 4 us each."""
    return connection.execute(query).cursor.fetchall()


def contradicting(connection: Connection, outcomes: Sequence[Outcome]) -> tuple[int, ...]:
    """The places of outcomes, all of whose ids are stored, that say something else than what is stored under their id.

    The time is not compared: a channel that tells again may well stamp the message anew.
    """
    ids = list(dict.fromkeys(o.outcome_id for o in outcomes))
    said: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(ids), CHUNK):
        query = select(t.outcomes).where(t.outcomes.c.outcome_id.in_(ids[start : start + CHUNK]))
        said.update({row.outcome_id: _content(outcome_of(row)) for row in connection.execute(query)})
    return tuple(place for place, o in enumerate(outcomes) if _content(o) != said[o.outcome_id])


def _content(outcome: Outcome) -> tuple[Any, ...]:
    o = outcome
    return o.decision_id, o.rank, o.customer_id, o.action, o.kind, o.value
