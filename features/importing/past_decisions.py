"""A past decision, made of the fields that a rule read."""

from __future__ import annotations

from collections.abc import Callable

from features.catalogue import EMPTY_CATALOGUE, Action, Catalogue
from features.clock import DAY
from features.domain import DO_NOTHING, Arm, Decision, Item, Versions
from features.importing.cells import BadValue
from features.importing.row import Row
from features.importing.rules import Fields
from features.ledger import Appended, Ledger


class PastDecisions:
    """The past decisions of an import, put together until they are told to the ledger."""

    def __init__(self, ledger: Ledger, origin: str) -> None:
        """`origin` stands for the versions that made them."""
        self._ledger, self._origin = ledger, origin
        #: By whether their contacts count for limits; each with the file and row it was read from.
        self._made: dict[bool, list[tuple[str, Row, Decision]]] = {True: [], False: []}
        self.catalogue = EMPTY_CATALOGUE
        #: Contacts that count since they were told, and the channels they went by.
        self.contacts = 0
        self.channels: set[str] = set()

    def __len__(self) -> int:
        return sum(map(len, self._made.values()))

    def add(self, fields: Fields, counts: bool, file: str, row: Row) -> None:
        """One row of a file. Raises BadValue."""
        self._made[counts].append((file, row, make_decision(fields, self.catalogue, self._origin)))

    def tell(self, conflict: Callable[[str, Row, str], None]) -> Appended:
        """Hands over what was added since the last time; `conflict` gets the file, row and id of one already taken."""
        classes = {action.id: str(action.action_class) for action in self.catalogue.actions.values()}
        accepted = duplicates = 0
        for counts, made in self._made.items():
            decisions = [decision for _, _, decision in made]
            self.channels.update(item.arm.channel for decision in decisions for item in decision.items)
            appended = self._ledger.import_decisions(decisions, classes, counts=counts)
            accepted, duplicates = accepted + appended.accepted, duplicates + appended.duplicates
            self.contacts += appended.contacts
            for place in appended.conflicts:
                file, row, decision = made[place]
                conflict(file, row, decision.decision_id)
            made.clear()
        return Appended(accepted, duplicates)


def make_decision(fields: Fields, catalogue: Catalogue, origin: str) -> Decision:
    """A past decision with its one item; `origin` stands for the versions that made it. Raises BadValue.

    The action do_nothing is that of no contact: it is in no catalogue, and on no channel.
    """
    nothing = fields["action"] == DO_NOTHING.action
    return Decision(
        decision_id=fields["decision_id"],
        request_id=fields["decision_id"],
        customer_id=fields["customer_id"],
        decided_at=fields["decided_at"],
        items=(_nothing(fields) if nothing else _item(fields, catalogue.actions.get(fields["action"])),),
        result=DO_NOTHING.action if nothing else "action",
        reason=None,
        fallback_reason=None,
        versions=Versions(None, origin, origin),
    )


def _item(fields: Fields, known: Action | None) -> Item:
    """Group, value and window are the catalogue's where the row gives none."""
    group = fields.get("action_group") or (known.group if known else None)
    window_days = fields.get("window_days") or (known.window_days if known else None)
    if group is None or window_days is None:
        raise BadValue(
            f"action: no {fields['action']!r} in the catalogue; import it first, or give action_group and window_days"
        )
    # A value that is an expression needs a customer's scores, which nobody knows of the past.
    usual = known.value if known is not None and isinstance(known.value, float) else 0.0
    return _made(
        fields, Arm(fields["action"], fields["channel"]), group, fields.get("action_value", usual), window_days
    )


def _nothing(fields: Fields) -> Item:
    """Its own value is 0, and no answer is waited for unless the row gives a window."""
    return _made(fields, DO_NOTHING, DO_NOTHING.channel, 0.0, fields.get("window_days", 0.0))


def _made(fields: Fields, arm: Arm, group: str, value: float, window_days: float) -> Item:
    closes_at = fields["decided_at"] + round(window_days * DAY)
    return Item(
        rank=1,
        arm=arm,
        action_group=group,
        action_probability=fields["action_probability"],
        p_model=None,
        p_accept=None,
        action_value=value,
        expected_value=0.0,
        priority=0.0,
        content=None,
        expires_at=closes_at,
        closes_at=closes_at,
    )
