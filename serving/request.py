"""What is asked, and what is known of the customer at that moment: the two values a decision starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from features.domain import Arm, Customer, Scalar, prepare
from features.ledger import ContactSlot, Heard
from serving.assignment import Layer


@dataclass(frozen=True, slots=True)
class Request:
    """What a channel app asks. `channels` None means all; `limit` is the number of places to fill."""

    request_id: str
    customer_id: str
    channels: tuple[str, ...] | None = None
    placement: str | None = None
    limit: int = 1
    intent: str | None = None
    context: Mapping[str, Scalar] = field(default_factory=dict)
    #: The arm whoever decided so far would choose, which is then the answer (`serving.apprentice`); None: decide.
    incumbent: Arm | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the customer. `customer` None: nobody has heard of them.

    `features` maps names to values; a name left out is unknown. `fallback_reason` says why features are missing.
    `contact_version` names the state of the customer's contacts that `slots` shows.
    """

    customer: Customer | None
    features: Mapping[str, float | None] = field(default_factory=dict)
    fallback_reason: str | None = None
    slots: Sequence[ContactSlot] = ()
    contact_version: int = 0
    #: The time budget was gone before there was anything to choose with: the default action, doing nothing.
    out_of_time: bool = False
    #: The customer's outcomes, where a contact rule counts them.
    heard: Sequence[Heard] = ()
    #: Where the home's other customers live, if this one's zone is unknown and there are quiet hours
    #: (`serving.whereabouts`).
    zones: tuple[str, ...] | None = None


#: Of what is decided by: 1 says that the incumbent's arm broke a rule where nothing else was left either; since 2 a
#: channel that the customer refused by its name is closed where they come by too. Decisions are made again by the
#: edition that made them, None in records of before.
EDITION = 2
REFUSED_INBOUND = 2


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision was made from beside what its record holds in any case: with both, anyone can make it again.

    `knowledge` is without features, which the record has, and without the customer's attributes, which decisions see
    only as features.
    """

    limit: int
    salt: str
    layers: tuple[Layer, ...]
    knowledge: Knowledge
    incumbent: Arm | None = None
    edition: int | None = None

    @staticmethod
    def of(
        request: Request, knowledge: Knowledge, layers: Sequence[Layer], salt: str, edition: int | None = EDITION
    ) -> Inputs:
        customer, known = knowledge.customer, knowledge
        # Spelled out: `dataclasses.replace` takes four times as long.
        seen = customer and Customer(
            customer.customer_id, customer.created_at, customer.zone, customer.consents, {}, customer.suppressed
        )
        without = Knowledge(
            seen,
            {},
            known.fallback_reason,
            known.slots,
            known.contact_version,
            known.out_of_time,
            known.heard,
            known.zones,
        )
        return Inputs(request.limit, salt, tuple(layers), without, request.incumbent, edition)


prepare(Inputs)
