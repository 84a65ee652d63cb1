"""The part of the ledger that a learner reads and writes: what was heard, what is due, what was learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Engine, Text, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from features.errors import Conflict
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.items import learnable_items
from features.ledger.records import LearnableItem, as_json

#: (arm key, day since 1970) -> whole numbers that add.
Sums = Mapping[tuple[str, int], Sequence[int]]


class RewardRow(NamedTuple):
    """What became of one item; see the columns of `decision_items`. `shown_at` is what it was when this was found."""

    decision_id: str
    rank: int
    reward_state: str
    reward_units: int
    success_units: int | None
    due_at: int | None
    shown_at: int | None


class Learning:
    """The reward ledger, and what was learned from it."""

    _engine: Engine

    def learnable_after(self, position: int, limit: int) -> tuple[int, list[LearnableItem]]:
        """(new position, live items with an outcome logged after `position`), at most `limit` outcomes further."""
        o = t.outcomes.c
        ahead = select(o.position).where(o.position > position).order_by(o.position).limit(limit).subquery()
        with database.settled(self._engine) as connection:
            last = connection.scalar(select(func.max(ahead.c.position)))
        if last is None:
            return position, []
        # From the outcomes to their items: the other way round every item of the ledger would be looked at.
        told = select(o.decision_id, o.rank).where(o.position > position, o.position <= last).distinct()
        with database.reading(self._engine) as connection:
            return last, learnable_items(connection, told, live=True)

    def due(self, now: int, limit: int) -> list[LearnableItem]:
        """Items to be looked at though nothing more was heard, at most `limit`, those due longest first."""
        i = t.decision_items.c
        query = select(i.decision_id, i.rank).where(i.due_at <= now).order_by(i.due_at, i.decision_id, i.rank)
        with database.reading(self._engine) as connection:
            return learnable_items(connection, query.limit(limit))

    def save_learning(
        self,
        number: int,
        *,
        position: int,
        state: str,
        now: int,
        rewards: Sequence[RewardRow] = (),
        statistics: Mapping[str, Sums] | None = None,
    ) -> None:
        """One round, all or nothing: snapshot `number`, its log position, rewards, and a bundle's changed statistics.

        Raises Conflict when another learner wrote this number first.
        """
        try:
            with database.writing(self._engine) as connection:
                connection.execute(
                    t.policy_snapshots.insert(),
                    [{"number": number, "created_at": now, "position": position, "state": state}],
                )
                _put_rewards(connection, rewards)
                _put_statistics(connection, statistics or {})
        except IntegrityError as error:
            raise Conflict("another learner published this snapshot first; run one learner per ledger") from error

    def policy_snapshot(self) -> tuple[int, int, str] | None:
        """(number, log position, state) of the latest snapshot."""
        s = t.policy_snapshots.c
        with database.reading(self._engine) as connection:
            row = connection.execute(select(s.number, s.position, s.state).order_by(s.number.desc()).limit(1)).first()
        return None if row is None else (row.number, row.position, row.state)

    def policy_statistics(self, bundles: Iterable[str]) -> dict[str, dict[tuple[str, int], tuple[int, ...]]]:
        """What was learned on each of these bundles' predictions; nothing for one never learned on."""
        c = t.policy_statistics.c
        found: dict[str, dict[tuple[str, int], tuple[int, ...]]] = {bundle: {} for bundle in bundles}
        with database.reading(self._engine) as connection:
            for bundle, arm, day, sums in connection.execute(
                select(c.bundle, c.arm, c.day, c.sums).where(c.bundle.in_(found))
            ):
                found[bundle][arm, day] = _decode(sums)
        return found


_decode = msgspec.json.Decoder(tuple[int, ...]).decode


def _put_statistics(connection: Connection, statistics: Mapping[str, Sums]) -> None:
    rows = [
        {"bundle": bundle, "arm": arm, "day": day, "sums": as_json(list(sums))}
        for bundle, changed in statistics.items()
        for (arm, day), sums in changed.items()
    ]
    database.upsert(connection, t.policy_statistics, rows, "bundle", "arm", "day")


def _put_rewards(connection: Connection, rewards: Sequence[RewardRow]) -> None:
    """A display reported meanwhile keeps its item due: it was not in what these rewards were made from."""
    if not rewards:
        return
    types: dict[str, Any] = dict.fromkeys(RewardRow._fields, BigInteger) | {"decision_id": Text, "reward_state": Text}
    if connection.dialect.name == "sqlite":
        # Straight to the driver, as `engine.upsert`: 5 us a row instead of 20.
        values = {name: bindparam(f"new_{name}", type_=kind) for name, kind in types.items()}
        compiled = _change(values).compile(dialect=connection.dialect)
        order = itemgetter(*(RewardRow._fields.index(name.removeprefix("new_")) for name in compiled.positiontup))
        connection.exec_driver_sql(str(compiled), [order(row) for row in rewards])
        return
    # One array for each column.
    columns = [
        func.unnest(bindparam(f"new_{name}", type_=postgresql.ARRAY(kind))).label(name) for name, kind in types.items()
    ]
    arrays = zip(*rewards, strict=True)
    given = {f"new_{name}": list(array) for name, array in zip(types, arrays, strict=True)}
    connection.execute(_change(select(*columns).subquery("told").c), given)


def _change(new: Any) -> Any:
    """The update that writes a `RewardRow`, whose values are named in `new`."""
    i = t.decision_items.c
    unmoved = i.shown_at.is_not_distinct_from(new["shown_at"])
    return (
        update(t.decision_items)
        .where(i.decision_id == new["decision_id"], i.rank == new["rank"])
        .values(
            reward_state=new["reward_state"],
            reward_units=new["reward_units"],
            success_units=new["success_units"],
            due_at=case((unmoved, new["due_at"]), else_=i.due_at),
        )
    )
