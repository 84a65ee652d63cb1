"""What a catalogue consists of, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from features.catalogue.limits import ContactRule, QuietHours
from features.catalogue.places import NO_PLACES, Fault, Places
from features.domain import ActionClass, Arm, OutcomeKind, Scalar

REPORTS = ("responses", "acceptances")
REWARD_RULES = ("earliest", "sum")


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach a customer.

    `outbound` channels contact (and need consent); the others answer a visit. `reports` says what silence means:
    a channel that reports `responses` tells every answer, a refusal or dismissal too; one that reports `acceptances`
    tells only success, so that silence becomes a zero when the attribution window closes. On one that `reports_display`
    what was never displayed teaches nothing. A display starts the attribution window, at the latest `display_days`
    after the decision.
    """

    id: str
    outbound: bool = True
    cost: float = 0.0
    reports: str = "acceptances"
    reports_display: bool = False
    display_days: float = 3.0


@dataclass(frozen=True, slots=True)
class Treatment:
    """An action in the form of a channel: what is said there, and what that costs on top."""

    channel: str
    content: str | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Reward:
    """What an outcome of an action earns, on `channel` or, when that is None, on every channel without its own.

    `value` is money, None for the amount that the outcome reports or else the action's value; `window_days` None for
    the action's own window.
    """

    outcome: str
    value: float | None = None
    window_days: float | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something the business can propose or do.

    `value` is money for a success, a number or a CEL expression; `lever` is in percent (55 gives the factor 1.55);
    `outcome` is the kind that counts as success; `eligible`, `applicable`, `suitable` are CEL conditions; `purpose` is
    what the customer consents to, None for the class's own name. `rewards` say what other outcomes earn, or the same in
    another window or on a channel; by `reward_rule` the earliest counts or all add up; nothing heard earns
    `default_reward`.
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
    purpose: str | None = None
    rewards: tuple[Reward, ...] = ()
    reward_rule: str = "earliest"
    default_reward: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that belong together. Of an `exclusive` group a slate has at most one action."""

    id: str
    name: str = ""
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class ContextWeight:
    """By how many percent a group or action (`scope`, `of`) counts for more, or with a minus sign less."""

    scope: str
    of: str
    percent: float


@dataclass(frozen=True, slots=True)
class Intent:
    """What a customer came for, as a request says it, and the weights that gives."""

    id: str
    weights: tuple[ContextWeight, ...] = ()

    def percents(self, action: Action) -> list[float]:
        """The percents that concern this action, its own and its group's; they add up."""
        return [w.percent for w in self.weights if w.of == (action.id if w.scope == "action" else action.group)]


@dataclass(frozen=True, slots=True)
class Content:
    """What a treatment's `content` stands for, so that an app can look it up; `data` is whatever else it shows."""

    id: str
    title: str = ""
    body: str = ""
    url: str = ""
    data: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that may be decided. `version` is a hash of the content: equal catalogues have equal versions."""

    version: str
    channels: Mapping[str, Channel]
    groups: tuple[str, ...]
    actions: Mapping[str, Action]
    contact_rules: tuple[ContactRule, ...]
    quiet_hours: tuple[QuietHours, ...] = ()
    intents: Mapping[str, Intent] = field(default_factory=dict)
    exclusive_groups: frozenset[str] = frozenset()
    #: What apps show, by the key that treatments name; many a home keeps that elsewhere, and has none.
    content: Mapping[str, Content] = field(default_factory=dict)
    #: Where each entry stands in its file; no part of what the catalogue says.
    places: Places = field(default=NO_PLACES, compare=False, repr=False)

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

    def fault(self, section: str, identifier: str, key: str, message: str) -> Fault:
        """Something wrong with `key` of an entry, with its file and line."""
        return self.places.fault(section, identifier, key, message)


EMPTY_CATALOGUE = Catalogue("empty", {}, (), {}, ())
