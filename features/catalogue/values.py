"""What a catalogue consists of, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from features.domain import ActionClass, Arm, OutcomeKind, Scalar

SCOPES = ("all", "channel", "group", "action", "arm")
REPORTS = ("responses", "acceptances")


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach a customer.

    `outbound` channels contact (and need consent); the others answer a visit. `reports` says what silence means:
    a channel that reports `responses` tells every answer, a refusal or dismissal too; one that reports `acceptances`
    tells only success, so that silence becomes a zero when the attribution window closes.
    """

    id: str
    outbound: bool = True
    cost: float = 0.0
    reports: str = "acceptances"


@dataclass(frozen=True, slots=True)
class Treatment:
    """An action in the form of a channel: what is said there, and what that costs on top."""

    channel: str
    content: str | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something the business can propose or do.

    `value` is money for a success, a number or a CEL expression; `lever` is in percent (55 gives the factor 1.55);
    `outcome` is the kind that counts as success; `eligible`, `applicable`, `suitable` are CEL conditions.
    """

    id: str
    group: str
    action_class: ActionClass = ActionClass.MARKETING
    name: str = ""
    value: float | str = 1.0
    cost: float = 0.0
    lever: float = 0.0
    outcome: str = OutcomeKind.ACCEPTED
    window_days: float = 7.0
    starts_at: int | None = None
    ends_at: int | None = None
    eligible: str | None = None
    applicable: str | None = None
    suitable: str | None = None
    placements: tuple[str, ...] = ()
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    treatments: tuple[Treatment, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactRule:
    """At most `limit` contacts within `window_seconds`, among those in scope. `of` names the channel, group, action or
    arm (`action@channel`); with scope `all` it is None."""

    id: str
    scope: str
    limit: int
    window_seconds: int
    of: str | None = None
    action_class: ActionClass = ActionClass.MARKETING


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that may be decided. `version` is a hash of the content: equal catalogues have equal versions."""

    version: str
    channels: Mapping[str, Channel]
    groups: tuple[str, ...]
    actions: Mapping[str, Action]
    contact_rules: tuple[ContactRule, ...]

    def arms(self) -> Iterator[Arm]:
        """Every action on every channel it has a treatment for, in the catalogue's order, without DO_NOTHING."""
        for action in self.actions.values():
            for treatment in action.treatments:
                yield Arm(action.id, treatment.channel)

    def treatment(self, arm: Arm) -> Treatment:
        """Raises KeyError for an arm the catalogue does not have."""
        for treatment in self.actions[arm.action].treatments:
            if treatment.channel == arm.channel:
                return treatment
        raise KeyError(arm.key)

    def contact_cost(self, arm: Arm) -> float:
        """Money spent by carrying out this arm once, whatever comes of it."""
        return self.actions[arm.action].cost + self.channels[arm.channel].cost + self.treatment(arm).cost


EMPTY_CATALOGUE = Catalogue("empty", {}, (), {}, ())


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a catalogue file."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"
