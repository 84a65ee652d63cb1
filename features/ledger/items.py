"""Answered items with all that was heard about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from features.domain import Arm, Outcome
from features.ledger import tables as t
from features.ledger.records import LearnableItem, outcome_of

#: Ids asked for in one statement; SQLite takes 32,766 parameters, and a plan for 500 is still quick.
CHUNK = 500


def learnable_items(connection: Connection, query: Any) -> list[LearnableItem]:
    """The rows of `query`, a select of whole `decision_items`, each with its outcomes, in order of their ids."""
    rows = sorted(connection.execute(query).all(), key=lambda row: (row.decision_id, row.rank))
    heard = _outcomes(connection, list(dict.fromkeys(row.decision_id for row in rows)))
    return [_item(row, heard.get((row.decision_id, row.rank), [])) for row in rows]


def _outcomes(connection: Connection, decision_ids: list[str]) -> dict[tuple[str, int], list[Outcome]]:
    heard: dict[tuple[str, int], list[Outcome]] = {}
    for start in range(0, len(decision_ids), CHUNK):
        chunk = decision_ids[start : start + CHUNK]
        for row in connection.execute(select(t.outcomes).where(t.outcomes.c.decision_id.in_(chunk))):
            heard.setdefault((row.decision_id, row.rank), []).append(outcome_of(row))
    return heard


def _item(row: Any, outcomes: list[Outcome]) -> LearnableItem:
    return LearnableItem(
        decision_id=row.decision_id,
        rank=row.rank,
        customer_id=row.customer_id,
        arm=Arm(row.action, row.channel),
        p_model=row.p_model,
        p_accept=row.p_accept,
        action_value=row.action_value,
        decided_at=row.decided_at,
        closes_at=row.closes_at,
        bundle=row.bundle,
        reward_state=row.reward_state,
        reward_units=row.reward_units,
        success_units=row.success_units,
        shown_at=row.shown_at,
        due_at=row.due_at,
        # In the order they happened, whatever the order they came in.
        outcomes=tuple(sorted(outcomes, key=lambda outcome: (outcome.occurred_at, outcome.outcome_id))),
    )


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
