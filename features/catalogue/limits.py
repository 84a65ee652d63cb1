"""How often and when a customer may be contacted, as frozen values: contact rules and quiet hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.domain import ActionClass

SCOPES = ("all", "channel", "group", "action", "arm")
COUNTS = ("decided", "delivered", "seen", "outcome")
CALENDARS = ("day", "week", "month")
#: A limit holds for its own class and those before it: a marketing limit leaves service and regulatory messages alone.
CLASSES = (ActionClass.MARKETING, ActionClass.SERVICE, ActionClass.REGULATORY)

_RANK: Mapping[str, int] = {name: rank for rank, name in enumerate(CLASSES)}


def covers(limit_class: str, action_class: str) -> bool:
    """Whether a limit of one class holds for an action of another.

    >>> covers("marketing", "service"), covers("regulatory", "service")
    (False, True)
    """
    return _RANK[action_class] <= _RANK[limit_class]


@dataclass(frozen=True, slots=True)
class ContactRule:
    """Once `limit` events are counted in the window, arms in scope are held back.

    `of` names the channel, group, action or arm (`action@channel`); with scope `all` it is None. `counts` says what is
    counted: contacts decided, delivered or seen, or outcomes of kind `outcome`. The window is the last
    `window_seconds`, or the `calendar` unit of the customer's zone. With `pause_days` above 0 the arms stay closed for
    so long from the event that reached the limit; otherwise until the window has room. A limit of 0 forbids.

    `zones` are those a customer whose zone is unknown may live in; () for anywhere.
    """

    id: str
    scope: str
    limit: int
    window_seconds: int
    of: str | None = None
    action_class: ActionClass = ActionClass.MARKETING
    counts: str = "decided"
    outcome: str | None = None
    calendar: str | None = None
    pause_days: float = 0.0
    zones: tuple[str, ...] = ()

    @property
    def forbids(self) -> bool:
        return self.limit == 0


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No outbound contact from `start` until just before `end`, in minutes after midnight on the customer's clock.

    An `end` before `start` lies on the next day. `channels` () means every outbound channel. `zones` are those a
    customer whose zone is unknown may live in: it is quiet for them when it is quiet in any; () for anywhere.
    """

    id: str
    start: int
    end: int
    channels: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    action_class: ActionClass = ActionClass.MARKETING

    @property
    def hours(self) -> str:
        """As people write it: `21:00-08:00`."""
        return f"{self.start // 60:02d}:{self.start % 60:02d}-{self.end // 60:02d}:{self.end % 60:02d}"
