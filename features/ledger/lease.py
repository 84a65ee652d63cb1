"""A place that one process holds at a time: a note that says who and until when, renewed while the process lives.

Whoever is killed leaves it to expire. Clocks of several machines may differ by less than the time it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import Engine, select, update

from features.ledger import engine as database
from features.ledger import tables as t


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a place, and until when."""

    holder: str
    expires_at: int


class Leases:
    """Places on the ledger."""

    _engine: Engine

    def take_lease(self, name: str, holder: str, expires_at: int, now: int) -> Lease | None:
        """Takes or renews the place until `expires_at`. None, or the lease of another who holds it still."""
        n, mine = t.notes.c, msgspec.json.encode(Lease(holder, expires_at)).decode()
        with database.writing(self._engine) as connection:
            if database.insert_new(connection, t.notes, [{"name": name, "value": mine}]):
                return None
            text = connection.scalar(select(n.value).where(n.name == name).with_for_update())
            held = msgspec.json.decode(text or "", type=Lease)
            if held.holder != holder and held.expires_at > now:
                return held
            connection.execute(update(t.notes).where(n.name == name).values(value=mine))
        return None

    def end_lease(self, name: str, holder: str) -> None:
        """Gives the place up, if it is this holder's."""
        n = t.notes.c
        with database.writing(self._engine) as connection:
            text = connection.scalar(select(n.value).where(n.name == name).with_for_update())
            if text and msgspec.json.decode(text, type=Lease).holder == holder:
                over = msgspec.json.encode(Lease(holder, 0)).decode()
                connection.execute(update(t.notes).where(n.name == name).values(value=over))
