"""What was said to each customer of a world: which arms the contact policy still allows, and features of the past.

The limits are kept by the product's own `serving.contact_policy`. Whether they were kept is counted afterwards by
`violations`, which knows nothing of it.
"""

from __future__ import annotations

import numpy as np

from experiments.worlds.world import BanditWorld, Floats, Integers, Masks
from features.clock import DAY, SECOND
from features.domain import DO_NOTHING, Arm
from features.ledger import ContactSlot
from serving.contact_policy import contact_plan, contact_state

#: Features of a customer's own past, as the product's contract names them.
PAST = ("contacts_7d", "contacts_30d", "days_since_last_contact", "accepts_30d", "rejects_30d")
_REACH = 30 * DAY


class Contacts:
    """Contacts and answers of every customer in the last 30 days, and how tired they are of them."""

    def __init__(self, world: BanditWorld) -> None:
        self._world = world
        self._plan = contact_plan(world.catalogue, world.arms)
        self._slots: list[list[ContactSlot]] = [[] for _ in range(world.customers)]
        self._answers: list[list[tuple[int, bool]]] = [[] for _ in range(world.customers)]
        self._tired = np.zeros(world.customers)
        self._tired_at = np.zeros(world.customers, dtype=np.int64)

    def allowed(self, customers: Integers, at: Integers) -> Masks:
        """(n, arms) which arms are on offer and within the limits; DO_NOTHING always is."""
        out = self._world.live(at)
        for row, (customer, now) in enumerate(zip(customers.tolist(), at.tolist(), strict=True)):
            # Without a contact every limit (all are above 0) is open.
            if self._slots[customer]:
                self._close(out[row], self._slots[customer], now)
        return out

    def _close(self, allowed: Masks, slots: list[ContactSlot], now: int) -> None:
        reach = now - self._plan.contacts_back
        state = contact_state(self._plan, [s for s in slots if s.reserved_at > reach], (), None, now)
        for number in state.removals:
            for column, holding in enumerate(self._plan.holding):
                if number in holding:
                    allowed[column] = False

    def features(self, customers: Integers, at: Integers) -> Floats:
        """(n, PAST) what the log says of each customer at that moment; NaN for the days since a contact never made."""
        out = np.zeros((len(customers), len(PAST)))
        for row, (customer, now) in enumerate(zip(customers.tolist(), at.tolist(), strict=True)):
            times = [slot.reserved_at for slot in self._slots[customer] if slot.reserved_at > now - _REACH]
            heard = [accepted for known_at, accepted in self._answers[customer] if known_at > now - _REACH]
            recent = sum(time > now - 7 * DAY for time in times)
            since = (now - self._slots[customer][-1].reserved_at) / DAY if self._slots[customer] else np.nan
            out[row] = recent, len(times), since, sum(heard), len(heard) - sum(heard)
        return out

    def tired(self, customers: Integers, at: Integers) -> Floats:
        """(n,) contacts that still weigh on each customer, older ones less."""
        days = (at - self._tired_at[customers]) / DAY
        return np.asarray(self._tired[customers] * np.exp(-days / self._world.fatigue.days))

    def contacted(self, customers: Integers, at: Integers, rows: Integers) -> None:
        """Notes who was given which arm, each customer at most once."""
        made = rows < len(self._world.arms) - 1
        tired = self.tired(customers[made], at[made]) + 1.0
        self._tired[customers[made]], self._tired_at[customers[made]] = tired, at[made]
        for customer, now, row in zip(customers[made].tolist(), at[made].tolist(), rows[made].tolist(), strict=True):
            slots = [slot for slot in self._slots[customer] if slot.reserved_at > now - _REACH]
            self._slots[customer] = [*slots, _slot(self._world, self._world.arms[row], now)]

    def answered(self, customer: int, known_at: int, accepted: bool) -> None:
        """Notes an answer, once it is known."""
        kept = [answer for answer in self._answers[customer] if answer[0] > known_at - _REACH]
        self._answers[customer] = [*kept, (known_at, accepted)]


def _slot(world: BanditWorld, arm: Arm, now: int) -> ContactSlot:
    action = world.catalogue.actions[arm.action]
    return ContactSlot(arm, action.group, action.action_class, now, now + DAY, "committed")


def violations(world: BanditWorld, customers: Integers, at: Integers, rows: Integers) -> int:
    """How often a limit of the catalogue was broken: a contact with as many as the limit before it in the window."""
    broken = 0
    for rule in world.catalogue.contact_rules:
        counted = np.array([_counts(world, arm, rule.of if rule.scope == "channel" else None) for arm in world.arms])
        chosen = np.flatnonzero(counted[rows])
        order = chosen[np.lexsort((at[chosen], customers[chosen]))]
        first, last = order[: -rule.limit], order[rule.limit :]
        same = customers[first] == customers[last]
        broken += int(np.sum(same & (at[last] - at[first] < rule.window_seconds * SECOND)))
    return broken


def _counts(world: BanditWorld, arm: Arm, channel: str | None) -> bool:
    if arm == DO_NOTHING or not world.catalogue.channels[arm.channel].outbound:
        return False
    return channel is None or arm.channel == channel
