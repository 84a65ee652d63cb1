"""The part of the ledger that a learner reads and writes: what was heard, what has matured, what was learned."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, and_, bindparam, exists, func, select, update
from sqlalchemy.exc import IntegrityError

from features.errors import Conflict
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.items import learnable_items
from features.ledger.records import LearnableItem


class Learning:
    """The reward ledger and the snapshots of the policy."""

    _engine: Engine

    def learnable_after(self, position: int, limit: int) -> tuple[int, list[LearnableItem]]:
        """(new position, live items with an outcome logged after `position`), at most `limit` outcomes further."""
        o, i = t.outcomes.c, t.decision_items.c
        ahead = select(o.position).where(o.position > position).order_by(o.position).limit(limit).subquery()
        with database.settled(self._engine) as connection:
            last = connection.scalar(select(func.max(ahead.c.position)))
        if last is None:
            return position, []
        heard = exists().where(
            and_(o.decision_id == i.decision_id, o.rank == i.rank, o.position > position, o.position <= last)
        )
        with database.reading(self._engine) as connection:
            query = select(t.decision_items).where(i.reward_state != "imported", heard)
            return last, learnable_items(connection, query)

    def matured(self, now: int, limit: int) -> list[LearnableItem]:
        """Open items whose last attribution window has closed, at most `limit`, those that closed first."""
        i = t.decision_items.c
        query = (
            select(t.decision_items)
            .where(i.reward_state == "open", i.closes_at <= now)
            .order_by(i.closes_at, i.decision_id, i.rank)
            .limit(limit)
        )
        with database.reading(self._engine) as connection:
            return learnable_items(connection, query)

    def save_learning(
        self, number: int, *, position: int, state: str, now: int, rewards: Sequence[tuple[str, int, str, int]]
    ) -> None:
        """One round, all or nothing: snapshot `number`, its log position, and (decision, rank, state, units) learned.

        Raises Conflict when another learner wrote this number first.
        """
        i = t.decision_items.c
        learned = (
            update(t.decision_items)
            .where(i.decision_id == bindparam("key_id"), i.rank == bindparam("key_rank"))
            .values(reward_state=bindparam("new_state"), reward_units=bindparam("new_units"))
        )
        try:
            with database.writing(self._engine) as connection:
                connection.execute(
                    t.policy_snapshots.insert(),
                    [{"number": number, "created_at": now, "position": position, "state": state}],
                )
                if rewards:
                    connection.execute(
                        learned,
                        [{"key_id": d, "key_rank": k, "new_state": s, "new_units": u} for d, k, s, u in rewards],
                    )
        except IntegrityError as error:
            raise Conflict("another learner published this snapshot first; run one learner per ledger") from error

    def policy_snapshot(self) -> tuple[int, int, str] | None:
        """(number, log position, state) of the latest snapshot."""
        s = t.policy_snapshots.c
        with database.reading(self._engine) as connection:
            row = connection.execute(select(s.number, s.position, s.state).order_by(s.number.desc()).limit(1)).first()
        return None if row is None else (row.number, row.position, row.state)
