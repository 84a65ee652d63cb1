"""Answered items with all that was heard about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, Connection, and_, select

from features.domain import Arm, Event, Outcome
from features.ledger import tables as t
from features.ledger.records import LearnableItem

#: Ids asked for in one statement; SQLite takes 32,766 parameters, and a plan for 500 is still quick.
CHUNK = 500
#: What others report under an id of their own.
Said = TypeVar("Said", Event, Outcome)

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
    for row in tuples(connection, select(*_OUTCOME).join_from(keys, t.outcomes, _same(keys, t.outcomes))):
        outcome = Outcome(*row)
        heard.setdefault((outcome.decision_id, outcome.rank), []).append(outcome)
    for told in heard.values():
        # In the order they happened, whatever the order they came in.
        told.sort(key=lambda outcome: (outcome.occurred_at, outcome.outcome_id))
    arms: dict[tuple[str, str], Arm] = {}
    found = []
    for action, channel, decision_id, rank, customer_id, *rest, covariates in tuples(connection, items):
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


def tuples(connection: Connection, query: Any) -> Any:
    """The rows as the driver gives them: SQLAlchemy's own cost 4 us each."""
    return connection.execute(query).cursor.fetchall()


def contradicting(
    connection: Connection, ids: Column[str], given: Sequence[Said], stored: Callable[[Any], Said]
) -> tuple[int, ...]:
    """The places of those given, whose `ids` are all stored, that say something else than what is stored under theirs.

    `stored` makes of a row what it says. The time is not compared: a channel that tells again may well stamp the
    message anew.
    """
    names = [getattr(one, ids.name) for one in given]
    asked = list(dict.fromkeys(names))
    known: dict[str, Said] = {}
    for start in range(0, len(asked), CHUNK):
        rows = connection.execute(select(ids.table).where(ids.in_(asked[start : start + CHUNK])))
        known.update({row._mapping[ids]: stored(row) for row in rows})
    return tuple(
        place
        for place, (name, one) in enumerate(zip(names, given, strict=True))
        if one != replace(known[name], occurred_at=one.occurred_at)
    )
