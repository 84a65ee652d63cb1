"""The nouns of Segue, as frozen values. Nothing here reads, writes, or knows the time.

What every decision makes several of is a `msgspec.Struct`: ten times sooner made than a frozen dataclass (0.1 us).

All times are whole microseconds since 1970 UTC (`features.clock`); money is in the catalogue's one currency.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from features.errors import InvalidInput

Scalar = str | int | float | bool | None

#: Longest id taken from outside, in characters.
MAX_ID_LENGTH = 128


class Stage(StrEnum):
    """The step of the funnel at which a candidate was removed."""

    ASSIGNMENT = "assignment"
    CATALOGUE = "catalogue"
    CONSENT = "consent"
    ELIGIBILITY = "eligibility"
    CONTACT_POLICY = "contact_policy"


class ActionClass(StrEnum):
    MARKETING = "marketing"
    SERVICE = "service"
    REGULATORY = "regulatory"


class OutcomeKind(StrEnum):
    """What a customer did with a decision. `ACCEPTED` is what propensity models predict unless an action says else."""

    SEEN = "seen"
    CLICKED = "clicked"
    ACCEPTED = "accepted"
    CONVERTED = "converted"
    REJECTED = "rejected"
    IGNORED = "ignored"
    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    #: Not the customer's doing: the contact could not be delivered.
    FAILED = "failed"


#: Event types that feature SQL counts by name; any other type is stored and counted as activity only when listed here.
ACTIVITY_TYPES = ("session", "product_view", "cart", "purchase", "login", "service_contact", "satisfaction")


class Arm(msgspec.Struct, frozen=True, order=True):
    """One choosable option: an action on a channel."""

    action: str
    channel: str

    @property
    def key(self) -> str:
        """`action@channel`, unique within a catalogue."""
        return f"{self.action}@{self.channel}"


#: Not contacting now, as an option with its own value (0, no cost). Always a candidate, never filtered out.
DO_NOTHING = Arm("do_nothing", "none")


@dataclass(frozen=True, slots=True)
class Customer:
    """The person decided about.

    `consents` maps a channel, or `purpose/channel`, to granted | denied | revoked, with `@` and a time where that ends;
    what is left out is unknown (`features.consent`). `suppressed` is why the customer is on the suppression list.
    """

    customer_id: str
    created_at: int | None = None
    zone: str | None = None
    consents: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    suppressed: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something a customer did at a touchpoint.

    `value` is money for `purchase` and `refund`, the score for `satisfaction`.
    """

    event_id: str
    customer_id: str
    type: str
    occurred_at: int
    source: str | None = None
    channel: str | None = None
    value: float | None = None
    properties: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the customer did with item `rank` of a decision."""

    outcome_id: str
    decision_id: str
    customer_id: str
    action: str
    kind: str
    occurred_at: int
    rank: int = 1
    value: float | None = None


class Removal(msgspec.Struct, frozen=True):
    """Why a candidate is out: the stage, the rule, the value seen and the limit it broke."""

    stage: Stage
    rule: str
    seen: Scalar = None
    limit: Scalar = None
    #: When it would be over, where only time stands in the way and that is known.
    opens_at: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An arm considered in a decision, and what became of it. `removal` is None for a survivor.

    For survivors: `priority` = p_accept x context_weight x action_value x lever - contact_cost (money), where a factor
    that is None counts as 1; `deviation`, one standard deviation of it; and `probability` of being drawn first.
    """

    arm: str
    removal: Removal | None
    p_model: float | None = None
    p_accept: float | None = None
    action_value: float | None = None
    context_weight: float = 1.0
    lever: float = 1.0
    contact_cost: float = 0.0
    priority: float | None = None
    probability: float = 0.0
    deviation: float | None = None


#: The columns that `Candidates` has of its survivors; see `Candidate`.
COLUMNS = (
    *("p_model", "p_accept", "action_value", "context_weight", "lever", "contact_cost"),
    *("priority", "probability", "deviation"),
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every arm of one decision, in columns: 80 arms are a few of them, not 80 objects.

    `arms` are keys, sorted. `removed[i]` is the place in `removals` of why arm i is out, -1 for a survivor. `columns`
    has the `COLUMNS` of the survivors, in order: as one number where it is the same for all, None for not known, else
    packed as eight bytes each, little-endian (in JSON as base64: half the size of digits, and made in no time).
    """

    arms: tuple[str, ...]
    removed: Sequence[int]
    removals: Sequence[Removal]
    columns: Mapping[str, bytes | float | None]

    def __len__(self) -> int:
        return len(self.arms)

    @property
    def survivors(self) -> int:
        """How many arms could be drawn, DO_NOTHING among them."""
        return sum(removed < 0 for removed in self.removed)

    def column(self, name: str) -> Sequence[float | None]:
        """One of `COLUMNS`, (survivors,), None where the factor is not known."""
        value = self.columns[name]
        if not isinstance(value, bytes):
            return [value] * self.survivors
        # NaN is how a packed column says that a value is not known.
        return [None if number != number else number for number in struct.unpack(f"<{len(value) // 8}d", value)]

    def __iter__(self) -> Iterator[Candidate]:
        rows = zip(*(self.column(name) for name in COLUMNS), strict=True)
        for arm, removed in zip(self.arms, self.removed, strict=True):
            if removed >= 0:
                yield Candidate(arm, self.removals[removed])
            else:
                yield Candidate(arm, None, **dict(zip(COLUMNS, next(rows), strict=True)))


class Item(msgspec.Struct, frozen=True):
    """One place of the answer: the arm drawn for it, and the exact probability of that draw given the places before."""

    rank: int
    arm: Arm
    action_group: str
    action_probability: float
    p_model: float | None
    p_accept: float | None
    action_value: float
    expected_value: float
    priority: float
    content: str | None
    expires_at: int
    #: When the window closes in which this arm can succeed, if it is displayed at once: see `features.rewards`.
    closes_at: int
    #: What `p_accept` was corrected by besides a constant, see `training.covariates`: as whole numbers, so that what is
    #: learned from them adds up exactly.
    covariates: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.action_probability <= 1.0:
            raise InvalidInput(
                f"action_probability must be above 0 and at most 1, not {self.action_probability!r}",
                field="action_probability",
            )


@dataclass(frozen=True, slots=True)
class Apprenticeship:
    """What Segue would have done where an incumbent's choice was the answer: arms by key.

    `own_probability` is that of Segue's draw, `incumbent_probability` what Segue gave the incumbent's arm; `agreed`,
    whether that is the arm Segue would have drawn most often.
    """

    incumbent: str
    own: str
    own_probability: float
    incumbent_probability: float
    agreed: bool


class Versions(msgspec.Struct, frozen=True):
    """What decided: ids of the bundle (None without a model), the policy snapshot, and the catalogue."""

    bundle: str | None
    policy: str
    catalogue: str


class Decision(msgspec.Struct, frozen=True):
    """The record of one choice: what was known, what was considered, what was drawn, and by which versions."""

    decision_id: str
    request_id: str
    customer_id: str
    decided_at: int
    items: tuple[Item, ...]
    result: str
    reason: str | None
    fallback_reason: str | None
    versions: Versions
    #: None for a decision made elsewhere.
    candidates: Candidates | None = None
    variants: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: Feature name to value, as the model saw it.
    features: Mapping[str, float | None] = msgspec.field(default_factory=dict)
    context: Mapping[str, Scalar] = msgspec.field(default_factory=dict)
    channels: tuple[str, ...] | None = None
    placement: str | None = None
    intent: str | None = None
    attempt: int = 1
    #: When to ask again: the earliest moment at which an arm opens, where limits and quiet hours held back everything.
    defer_until: int | None = None
    #: Where the answer is an incumbent's choice: what Segue would have done.
    apprentice: Apprenticeship | None = None
    #: What the request named and the catalogue does not know: `unknown_intent`, `unknown_placement`.
    warnings: tuple[str, ...] = ()
    #: What else it was made from, as `serving.request.Inputs`, so that it can be made again; None when made elsewhere.
    inputs: object = None

    def __post_init__(self) -> None:
        if not self.items:
            raise InvalidInput("a decision has at least one item, if only do_nothing", field="items")

    @property
    def arm(self) -> Arm:
        """The arm in first place."""
        return self.items[0].arm

    @property
    def action_probability(self) -> float:
        """The exact probability with which `arm` was drawn, after every filter and floor."""
        return self.items[0].action_probability


def prepare(*types: type) -> None:
    """Has msgspec work out, while one thread imports, how these types are read.

    It does so when it first meets a type, and unguarded: threads that meet one together bring the process down (0.22).
    """
    for one in types:
        msgspec.json.Decoder(one)


prepare(Candidates, Decision)
