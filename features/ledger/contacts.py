"""The part of the ledger that knows what became of a contact, and who is not to be contacted.

A slot is reserved with its decision, committed once the contact was made, released when it failed or expired. That of a
decision made elsewhere is imported: made, unless we hear that it failed. Whatever the order of the reports: that a
contact was made outweighs that it failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Engine, and_, bindparam, delete, select, tuple_, update

from features.consent import EVERY_CHANNEL
from features.domain import DO_NOTHING, Outcome, OutcomeKind
from features.errors import NotFound
from features.ledger import engine as database
from features.ledger import tables as t
from features.ledger.items import CHUNK
from features.ledger.people import move_contacts, take_statements
from features.ledger.records import Suppression
from features.statements import Statement, opt_out


class Contacts:
    """Contact slots after the decision, and the suppression list."""

    _engine: Engine

    def mark_shown(self, decision_id: str, rank: int, shown_at: int) -> None:
        """The item was displayed or delivered: its reservation is committed. Raises NotFound; twice changes nothing.

        A contact made after its slot expired counts all the same. Of several times the first counts, in whatever order
        they are told; it moves the window of the item, so a learner that has judged it has to look again.
        """
        i, r = t.decision_items.c, t.reservations.c
        with database.writing(self._engine) as connection:
            query = select(i.shown_at, i.reward_state).where(i.decision_id == decision_id, i.rank == rank)
            found = connection.execute(query.with_for_update()).first()
            if found is None:
                raise NotFound("no decision has this id and rank", field="decision_id", code="unknown_decision")
            if found.shown_at is None or shown_at < found.shown_at:
                judged = found.reward_state in ("provisional", "final")
                change = update(t.decision_items).where(i.decision_id == decision_id, i.rank == rank)
                connection.execute(change.values(shown_at=shown_at, **({"due_at": shown_at} if judged else {})))
                slot = update(t.reservations).where(r.decision_id == decision_id, r.rank == rank)
                connection.execute(slot.values(shown_at=shown_at))
            _set_state(connection, [(decision_id, rank)], "committed", ("reserved", "imported", "released"))

    def mark_all_shown(self, shown: Sequence[tuple[str, int, int]]) -> None:
        """Many items at once (decision id, rank, when) that nobody has judged yet; one shown before stays as it is."""
        i, r = t.decision_items.c, t.reservations.c
        rows = [{"decision": one, "place": rank, "moment": moment} for one, rank, moment in shown]
        if not rows:
            return
        with database.writing(self._engine) as connection:
            for table, c, more in ((t.decision_items, i, {}), (t.reservations, r, {"state": "committed"})):
                this = and_(c.decision_id == bindparam("decision"), c.rank == bindparam("place"), c.shown_at.is_(None))
                connection.execute(update(table).where(this).values(shown_at=bindparam("moment"), **more), rows)

    def release_slot(self, decision_id: str, rank: int) -> bool:
        """Delivery failed: the slot is free again, unless the contact was made after all. Says whether it was freed."""
        with database.writing(self._engine) as connection:
            return _set_state(connection, [(decision_id, rank)], "released", ("reserved", "imported")) > 0

    def release_expired(self, now: int) -> int:
        """Releases every slot that was reserved, never shown, and has expired. Returns how many."""
        r = t.reservations.c
        with database.writing(self._engine) as connection:
            released = connection.execute(
                update(t.reservations).where(r.state == "reserved", r.expires_at <= now).values(state="released")
            )
        return released.rowcount

    def suppress(self, customer_id: str, reason: str, since: int) -> None:
        """Puts a customer, known or not, on the suppression list, which wins over everything; twice: the new reason."""
        row = {"customer_id": customer_id, "reason": reason, "since": since}
        with database.writing(self._engine) as connection:
            database.upsert(connection, t.suppressions, [row], "customer_id")
            move_contacts(connection, [customer_id])

    def lift_suppression(self, customer_id: str) -> bool:
        """Takes a customer off the suppression list; says whether they were on it."""
        s = t.suppressions.c
        with database.writing(self._engine) as connection:
            return connection.execute(delete(t.suppressions).where(s.customer_id == customer_id)).rowcount > 0

    def suppressions(self) -> list[Suppression]:
        """The suppression list in order of customer ids."""
        s = t.suppressions.c
        with database.reading(self._engine) as connection:
            rows = connection.execute(select(s.customer_id, s.reason, s.since).order_by(s.customer_id)).all()
        return [Suppression(*row) for row in rows]


def not_heard_yet(connection: Connection, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The opt-outs among these that are new: one told again must not undo a consent given since."""
    found = {o.outcome_id: o for o in outcomes if o.kind == OutcomeKind.OPTED_OUT}
    ids = list(found)
    for start in range(0, len(ids), CHUNK):
        known = t.outcomes.c.outcome_id
        for one in connection.scalars(select(known).where(known.in_(ids[start : start + CHUNK]))):
            del found[one]
    return list(found.values())


def take_effect(
    connection: Connection, outcomes: Sequence[Outcome], opted_out: Sequence[Outcome], refused: Mapping[str, str]
) -> None:
    """What outcomes mean for contacts: a failure frees the slot, any other report commits it, opting out denies.

    `opted_out` are those not heard before; `refused` the channel that some of them name, by outcome id.
    """
    failed = {(o.decision_id, o.rank) for o in outcomes if o.kind == OutcomeKind.FAILED}
    made = {(o.decision_id, o.rank) for o in outcomes if o.kind != OutcomeKind.FAILED}
    if failed:
        _set_state(connection, sorted(failed), "released", ("reserved", "imported"))
    if made:
        _set_state(connection, sorted(made), "committed", ("reserved", "imported", "released"))
    if opted_out:
        _opt_out(connection, opted_out, refused)


def _opt_out(connection: Connection, opted_out: Sequence[Outcome], refused: Mapping[str, str]) -> None:
    """Who opts out is not contacted on that channel for any purpose; one that is not known yet becomes known by it.

    The channel is the one named, else that of the decision; where there is none, as with doing nothing, it is all.
    """
    i = t.decision_items.c
    decided = sorted({(o.decision_id, o.rank) for o in opted_out if o.outcome_id not in refused})
    channels: dict[tuple[str, int], str] = {}
    for start in range(0, len(decided), CHUNK):
        wanted = tuple_(i.decision_id, i.rank).in_(decided[start : start + CHUNK])
        for row in connection.execute(select(i.decision_id, i.rank, i.channel).where(wanted)):
            channels[row[0], row[1]] = row[2] if row[2] != DO_NOTHING.channel else EVERY_CHANNEL
    said: dict[str, list[Statement]] = {}
    for o in opted_out:
        channel = refused.get(o.outcome_id) or channels.get((o.decision_id, o.rank), EVERY_CHANNEL)
        said.setdefault(o.customer_id, []).append(opt_out(channel, o.occurred_at))
    take_statements(connection, said, {o.customer_id: o.occurred_at for o in reversed(opted_out)})


def _set_state(connection: Connection, slots: Sequence[tuple[str, int]], state: str, before: tuple[str, ...]) -> int:
    """Moves those slots that are in one of the states `before`; returns how many. Most move none: ask first."""
    r = t.reservations.c
    moved = 0
    for start in range(0, len(slots), CHUNK):
        wanted = tuple_(r.decision_id, r.rank).in_(slots[start : start + CHUNK])
        there = [
            tuple(row) for row in connection.execute(select(r.decision_id, r.rank).where(wanted, r.state.in_(before)))
        ]
        if there:
            change = update(t.reservations).where(tuple_(r.decision_id, r.rank).in_(there), r.state.in_(before))
            moved += connection.execute(change.values(state=state)).rowcount
    return moved
