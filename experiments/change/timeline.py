"""The simulated past of all customers: each decision's contacts go into it, and the next decision knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from experiments.change.answers import Answers
from experiments.change.counters import moved
from experiments.change.history import Contact, History, keys_of
from experiments.change.recorded import Block, Recorded, Told
from features.catalogue import Catalogue
from features.clock import DAY
from features.domain import DO_NOTHING, ActionClass, Arm, Decision, Item, OutcomeKind
from features.ledger import ContactSlot, Heard
from serving.contact_policy import ContactPlan
from serving.request import Knowledge

#: An outcome may be told so long after its contact, and limits count it from then; features look back so far.
LATE = 90 * DAY
_FAILED, _OPTED_OUT = str(OutcomeKind.FAILED), str(OutcomeKind.OPTED_OUT)


class Timeline:
    """The histories of all customers, and how their contacts were answered."""

    def __init__(self, catalogue: Catalogue) -> None:
        """`catalogue` is the one on trial."""
        self._catalogue = catalogue
        self._answers = Answers()
        self._histories: dict[str, History] = {}

    def learn(self, block: Block) -> None:
        """Takes how recorded contacts were answered, and what customers met for the first time had answered before."""
        for recorded in block.decisions:
            if recorded.customer_id not in self._histories:
                earlier = block.earlier.get(recorded.customer_id, ())
                self._histories[recorded.customer_id] = History(earlier=tuple(earlier))
            for rank, item in _items(recorded).items():
                arm, became = Arm(**item["arm"]), recorded.became.get(rank)
                if arm != DO_NOTHING and became is not None:
                    self._answers.learn(arm, recorded.decided_at, became)

    def knowledge(self, recorded: Recorded, known: Knowledge, plan: ContactPlan, old: ContactPlan) -> Knowledge:
        """What the strategy on trial knows where the record's knew `known`, each by its own limits."""
        history = self._histories[recorded.customer_id]
        reaches = (plan.contacts_back, plan.heard_back, old.contacts_back, old.heard_back)
        history.forget(recorded.decided_at - max(reach or 0 for reach in reaches) - LATE)
        found = history.knowledge(known, plan, old, recorded.decided_at)
        return replace(found, features=moved(known.features, history, recorded.decided_at))

    def keep(self, recorded: Recorded) -> None:
        """Takes the contacts of a decision that could not be made again: what happened, happened."""
        history = self._histories[recorded.customer_id]
        for rank, item in _items(recorded).items():
            self._happened(history, recorded, rank, item)

    def take(self, recorded: Recorded, decision: Decision) -> None:
        """Takes the contacts of a decision in place of those recorded with it."""
        history, made = self._histories[recorded.customer_id], {item.rank: item for item in decision.items}
        for rank, item in _items(recorded).items():
            if rank in made and made[rank].arm == Arm(**item["arm"]):
                self._happened(history, recorded, rank, item)
                del made[rank]
            else:
                self._undo(history, recorded, rank, item)
        for one in made.values():
            if one.arm != DO_NOTHING:
                self._imagine(history, decision, one)

    def _happened(self, history: History, recorded: Recorded, rank: int, item: Mapping[str, Any]) -> None:
        contact = self._recorded(recorded, rank, item)
        if contact is not None:
            history.add(contact)
            if _opted_out(contact):
                history.restored.pop(contact.slot.arm.channel, None)

    def _undo(self, history: History, recorded: Recorded, rank: int, item: Mapping[str, Any]) -> None:
        """The recorded contact never was, nor an opt-out it provoked."""
        contact = self._recorded(recorded, rank, item)
        if contact is not None:
            history.undo(contact)
            if _opted_out(contact):
                channel, consents = contact.slot.arm.channel, _consents(recorded)
                before = {key: consents[key] for key in keys_of(consents, channel)}
                history.restored.setdefault(channel, before)

    def _recorded(self, recorded: Recorded, rank: int, item: Mapping[str, Any]) -> Contact | None:
        arm, became = Arm(**item["arm"]), recorded.became.get(rank)
        if arm == DO_NOTHING or became is None:
            return None
        place = (recorded.decision_id, rank, became.shown_at)
        slot = self._slot(arm, item["action_group"], recorded.decided_at, item["expires_at"], place)
        return _contact(slot, became.told, as_recorded=True)

    def _imagine(self, history: History, decision: Decision, item: Item) -> None:
        """A contact that nobody made, with the answer a customer might have given."""
        now, success = decision.decided_at, str(self._catalogue.actions[item.arm.action].outcome)
        key = (decision.decision_id, item.rank, item.arm.key)
        answer = self._answers.imagine(item.arm, item.p_accept or 0.0, success, key)
        shown_at = None if answer.shown_after is None else now + answer.shown_after
        told = [Told(kind, now + after, now + after) for kind, after in answer.heard_after]
        place = (decision.decision_id, item.rank, shown_at)
        slot = self._slot(item.arm, item.action_group, now, item.expires_at, place)
        history.add(_contact(slot, told, as_recorded=False))
        for one in told:
            if one.kind == _OPTED_OUT:
                denied = history.denied
                denied[item.arm.channel] = min(one.occurred_at, denied.get(item.arm.channel, one.occurred_at))

    def _slot(self, arm: Arm, group: str, at: int, expires_at: int, place: tuple[str, int, int | None]) -> ContactSlot:
        action = self._catalogue.actions.get(arm.action)
        action_class = str(ActionClass.MARKETING if action is None else action.action_class)
        return ContactSlot(arm, group, action_class, at, expires_at, "reserved", *place)


def _contact(slot: ContactSlot, told: Iterable[Told], *, as_recorded: bool) -> Contact:
    """Any report but of a failure says that it was made; that it was made outweighs that it failed."""
    made = [one.recorded_at for one in told if one.kind != _FAILED]
    made += [] if slot.shown_at is None else [slot.shown_at]
    lost = [one.recorded_at for one in told if one.kind == _FAILED]
    heard = tuple(
        (one.recorded_at, Heard(slot.arm, slot.action_group, one.kind, one.occurred_at, slot.decision_id, slot.rank))
        for one in told
    )
    return Contact(slot, as_recorded, min(made, default=None), min(lost, default=None), heard)


def _opted_out(contact: Contact) -> bool:
    return any(heard.kind == _OPTED_OUT for _, heard in contact.heard)


def _items(recorded: Recorded) -> dict[int, Mapping[str, Any]]:
    """The recorded places of the answer by rank."""
    try:
        return {} if recorded.record is None else {item["rank"]: item for item in recorded.record["items"]}
    except (KeyError, TypeError):
        return {}


def _consents(recorded: Recorded) -> Mapping[str, str]:
    """What the customer had consented to at the time."""
    record = recorded.record or {}
    customer = ((record.get("inputs") or {}).get("knowledge") or {}).get("customer") or {}
    return customer.get("consents") or {}
