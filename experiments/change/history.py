"""One customer's contacts in the simulated history: what the strategy on trial sent, and what came of it.

Where it did what was done, the record says what was known of that contact at every later moment. Where it did
otherwise, the recorded contact never was: its slot, its outcomes and an opt-out it provoked are taken out of what is
known, and the simulated contact stands in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from features.ledger import ContactSlot, Heard
from serving.contact_policy import ContactPlan
from serving.request import Knowledge

#: What records know of a contact.
Part = TypeVar("Part", ContactSlot, Heard)


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of the simulated history. `as_recorded`: the record's own, which later records speak of."""

    slot: ContactSlot
    as_recorded: bool
    #: When it was known to be made, or to have failed; None for never.
    made_at: int | None = None
    lost_at: int | None = None
    #: (when it was known, the outcome).
    heard: tuple[tuple[int, Heard], ...] = ()

    def at(self, now: int) -> ContactSlot | None:
        """The slot as the ledger would show it, None where it was released."""
        if self.made_at is not None and self.made_at <= now:
            shown = self.slot.shown_at
            seen = shown if shown is None or shown <= now else None
            return msgspec.structs.replace(self.slot, state="committed", shown_at=seen)
        if self.lost_at is not None and self.lost_at <= now:
            return None
        return msgspec.structs.replace(self.slot, shown_at=None)


@dataclass(slots=True)
class History:
    """Everything that sets a customer's simulated past apart from the recorded one."""

    contacts: list[Contact] = field(default_factory=list)
    #: (decision id, rank) -> recorded contacts that never were.
    undone: dict[tuple[str, int], Contact] = field(default_factory=dict)
    #: Channel -> what had been consented to before an opt-out that never was.
    restored: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Channel -> when the customer opted out of it, in answer to what only the simulation sent.
    denied: dict[str, int] = field(default_factory=dict)
    #: Answers to contacts made elsewhere, before the first decision.
    earlier: tuple[Heard, ...] = ()
    differs: bool = False

    def knowledge(self, recorded: Knowledge, plan: ContactPlan, old: ContactPlan, now: int) -> Knowledge:
        """What the strategy on trial, whose limits are `plan`, knows now; `old` is the plan that was recorded for."""
        further = plan.contacts_back > old.contacts_back or (plan.heard_back or -1) > (old.heard_back or -1)
        if recorded.customer is None or not (self.differs or further):
            return recorded
        return replace(
            recorded,
            customer=replace(recorded.customer, consents=self._consents(recorded.customer.consents, now)),
            slots=(*self._kept(recorded.slots), *self._slots(plan, old, now)),
            heard=(*self._kept(recorded.heard), *self._heard(plan, old, now)),
        )

    def add(self, contact: Contact) -> None:
        self.contacts.append(contact)
        self.differs = self.differs or not contact.as_recorded

    def undo(self, contact: Contact) -> None:
        """The recorded contact never was."""
        self.undone[contact.slot.decision_id, contact.slot.rank] = contact
        self.differs = True

    def forget(self, before: int) -> None:
        """Drops what no limit, old or new, looks back to any more."""
        if self.contacts and self.contacts[0].slot.reserved_at < before:
            self.contacts = [one for one in self.contacts if one.slot.reserved_at >= before]
        if self.undone and next(iter(self.undone.values())).slot.reserved_at < before:
            self.undone = {key: one for key, one in self.undone.items() if one.slot.reserved_at >= before}
        if self.earlier and self.earlier[0].occurred_at < before:
            self.earlier = tuple(heard for heard in self.earlier if heard.occurred_at >= before)

    def _kept(self, recorded: Sequence[Part]) -> list[Part]:
        return [one for one in recorded if (one.decision_id, one.rank) not in self.undone]

    def _slots(self, plan: ContactPlan, old: ContactPlan, now: int) -> list[ContactSlot]:
        """Contacts of which the record says nothing: simulated ones, and those older than it looked back to."""
        found = []
        for one in self.contacts:
            reserved_at = one.slot.reserved_at
            told = one.as_recorded and reserved_at >= now - old.contacts_back
            if not told and reserved_at >= now - plan.contacts_back and (slot := one.at(now)) is not None:
                found.append(slot)
        return found

    def _heard(self, plan: ContactPlan, old: ContactPlan, now: int) -> list[Heard]:
        if plan.heard_back is None:
            return []
        found = [(one.as_recorded, at, heard) for one in self.contacts for at, heard in one.heard]
        found += [(True, heard.occurred_at, heard) for heard in self.earlier]
        # As far back as limits counted outcomes then, the record says it all of what happened.
        told_since = now + 1 if old.heard_back is None else now - old.heard_back
        return [
            heard
            for as_recorded, known_at, heard in found
            if known_at <= now and heard.occurred_at >= now - plan.heard_back
            if not (as_recorded and heard.occurred_at >= told_since)
        ]

    def _consents(self, recorded: Mapping[str, str], now: int) -> Mapping[str, str]:
        consents = dict(recorded)
        for channel, before in self.restored.items():
            for key in keys_of(consents, channel):
                if consents[key] == "denied":
                    del consents[key]
                    consents |= {key: before[key]} if key in before else {}
        for channel, at in self.denied.items():
            if at <= now:
                consents |= dict.fromkeys((channel, *keys_of(consents, channel)), "denied")
        return consents


def keys_of(consents: Mapping[str, str], channel: str) -> list[str]:
    """The keys that speak of this channel, for whatever purpose."""
    return [key for key in consents if key.rpartition("/")[2] == channel]
