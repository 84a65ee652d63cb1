"""A decision for each of many customers, by the engine that answers one: only reading and writing go by the block.

What a customer gets is what `serving.decider` would have answered on the same state at the same moment, with the same
limits: contacts are reserved in the transaction that records the decision, and a customer whose contacts moved in
between is decided again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from features.catalogue import Catalogue
from features.domain import Decision
from features.errors import Conflict
from features.ledger import BeforeDecision, Ledger, ToAppend
from features.online import FeatureRow
from features.settings import Settings
from serving.assignment import Layer
from serving.breaker import GuardedStore
from serving.customer_features import usable_features
from serving.decider import MAX_ATTEMPTS, SlowDown, decision_id
from serving.engine import conclude, consider, weigh
from serving.ramp.live import LiveRamp
from serving.request import Knowledge, Request
from serving.sameness import is_same, request_hash
from serving.schema import DecideRequest, answer
from serving.strategy import Strategy
from serving.whereabouts import NOWHERE, Whereabouts

#: Customers read, decided and written together: 512 records are 10 MB, and a writer of the ledger waits 0.1 s at most.
BLOCK = 512
#: A request, the decision on it, and the state of the customer's contacts it was made on.
Made = tuple[DecideRequest, Decision, int]


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What is asked for every customer. With the same `run` a customer is decided once: a batch can be taken up again.

    Without `record` nothing is written, and no contact is reserved.
    """

    run: str
    channels: tuple[str, ...] | None = None
    record: bool = True

    def message(self, customer_id: str) -> DecideRequest:
        """The request as a channel app would send it."""
        unit = hashlib.sha256(customer_id.encode()).hexdigest()[:32]
        return DecideRequest(f"{self.run}-{unit}", customer_id, self.channels)


class Batch:
    """Decides for blocks of customers. One thread."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        strategy: Strategy,
        features: GuardedStore | None,
        layers: Sequence[Layer],
        ramp: LiveRamp | None = None,
        whereabouts: Whereabouts = NOWHERE,
    ) -> None:
        """With a `ramp` its challenger decides for those it is tried on, as it does for the service."""
        self._settings = settings
        self._ledger = ledger
        self._strategy = strategy
        self._features = features
        self._ramp = ramp
        self._whereabouts = whereabouts
        self._layers = tuple(layers) if ramp is None or ramp.layer is None else (*layers, ramp.layer)

    def decide(
        self, request: BatchRequest, customer_ids: Iterable[str], clock: Callable[[], int]
    ) -> Iterator[list[Decision]]:
        """The decisions, block after block, each recorded before it is given.

        Raises Conflict where `run` was used with other channels, StoreUnavailable when the features cannot be read,
        SlowDown when other requests of a customer keep taking the contact first.
        """
        for ids in _blocks(customer_ids, BLOCK):
            messages = {customer_id: request.message(customer_id) for customer_id in ids}
            made = self._made_before(messages) if request.record else {}
            for strategy, theirs in self._shared_out([one for c, one in messages.items() if c not in made]):
                made |= self._make(strategy, theirs, request.record, clock)
            yield [made[customer_id] for customer_id in ids]

    def _shared_out(self, messages: Sequence[DecideRequest]) -> Iterator[tuple[Strategy, list[DecideRequest]]]:
        """Who decides for whom."""
        ramp, salt = self._ramp, self._settings.assignment_salt
        tried = set() if ramp is None else {m.customer_id for m in messages if ramp.decides(salt, m.customer_id)}
        rest = [m for m in messages if m.customer_id not in tried]
        if rest:
            yield self._strategy, rest
        if ramp is not None and tried:
            yield ramp.challenger, [m for m in messages if m.customer_id in tried]

    def _make(
        self, strategy: Strategy, messages: Sequence[DecideRequest], record: bool, clock: Callable[[], int]
    ) -> dict[str, Decision]:
        """The decisions by customer, recorded where that is wanted."""
        waiting = {m.customer_id: m for m in messages}
        made: dict[str, Decision] = {}
        for attempt in range(1, MAX_ATTEMPTS + 1):
            decided = self._decide_block(strategy, list(waiting.values()), clock(), attempt)
            made |= {decision.customer_id: decision for _, decision, _ in decided}
            refused = self._append(strategy, decided) if record else []
            if not refused:
                return made
            waiting = {customer_id: waiting[customer_id] for customer_id in refused}
        raise SlowDown("other requests keep taking the contact first; run it again with the same --run")

    def knowledge(
        self, customer_ids: Sequence[str], now: int, strategy: Strategy | None = None
    ) -> dict[str, Knowledge]:
        """What the ledger and the feature store say of these customers, as far back as the strategy looks."""
        plan = (strategy or self._strategy).contact_plan
        heard_since = None if plan.heard_back is None else now - plan.heard_back
        before = self._ledger.before_decisions(customer_ids, now - plan.contacts_back, heard_since)
        rows = {} if self._features is None else self._features.read_many(customer_ids)
        catalogue = (strategy or self._strategy).catalogue
        return {c: self._known(before.get(c), rows.get(c), now, catalogue) for c in customer_ids}

    def _known(
        self, before: BeforeDecision | None, row: FeatureRow | None, now: int, catalogue: Catalogue
    ) -> Knowledge:
        if before is None or before.customer is None:
            return Knowledge(None)
        features: Mapping[str, float | None] = {}
        fallback: str | None = "features_unavailable"
        if self._features is not None:
            names = self._features.contract.names
            features, fallback = usable_features(row, names, now, self._settings.feature_max_age_days)
        slots, version = before.slots, before.contact_version
        zones = self._whereabouts.assumed(before.customer, catalogue)
        return Knowledge(before.customer, features, fallback, slots, version, heard=before.heard, zones=zones)

    def _decide_block(
        self, strategy: Strategy, messages: Sequence[DecideRequest], now: int, attempt: int
    ) -> list[Made]:
        known = self.knowledge([m.customer_id for m in messages], now, strategy)
        salt = self._settings.assignment_salt
        encoded = [strategy.encoded(known[m.customer_id].features) for m in messages]
        considered = [
            consider(
                Request(message.request_id, message.customer_id, message.channels),
                known[message.customer_id],
                strategy,
                now=now,
                layers=self._layers,
                salt=salt,
                encoded=row,
                scores=scores,
            )
            for message, row, scores in zip(messages, encoded, strategy.scores(encoded), strict=True)
        ]
        made = []
        for message, one, weighed in zip(messages, considered, weigh(considered, strategy), strict=True):
            key = decision_id(salt, message.request_id)
            decision = conclude(one, weighed, strategy, decision_id=key, attempt=attempt)
            made.append((message, decision, one.knowledge.contact_version))
        return made

    def _append(self, strategy: Strategy, decided: Sequence[Made]) -> list[str]:
        """Records the decisions; gives the customers of those refused."""
        rows = [ToAppend(d, request_hash(m), msgspec.json.encode(answer(d)), version) for m, d, version in decided]
        classes = {a.id: a.action_class for a in strategy.catalogue.actions.values()}
        return [one.decision.customer_id for one in self._ledger.append_decisions(rows, classes)]

    def _made_before(self, messages: Mapping[str, DecideRequest]) -> dict[str, Decision]:
        """What this run has decided already, by customer."""
        stored = self._ledger.stored_requests([m.request_id for m in messages.values()])
        made = {}
        for customer_id, message in messages.items():
            if message.request_id in stored:
                stored_hash, record = stored[message.request_id]
                if not is_same(message, stored_hash):
                    raise Conflict("this --run was used for other channels; choose a new one", field="run")
                made[customer_id] = msgspec.json.decode(record, type=Decision)
        return made


def _blocks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    block: list[str] = []
    for one in ids:
        block.append(one)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
