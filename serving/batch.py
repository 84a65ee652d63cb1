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

from features.domain import Decision
from features.errors import Conflict
from features.ledger import BeforeDecision, Ledger, ToAppend
from features.online import FeatureRow
from features.settings import Settings
from serving.assignment import Layer
from serving.breaker import GuardedStore
from serving.decider import MAX_ATTEMPTS, SlowDown, decision_id, usable_features
from serving.engine import decide
from serving.request import Knowledge, Request
from serving.schema import DecideRequest, answer
from serving.strategy import Strategy

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
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._strategy = strategy
        self._features = features
        self._layers = tuple(layers)
        self._classes = {a.id: a.action_class for a in strategy.catalogue.actions.values()}

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
            waiting = [customer_id for customer_id in ids if customer_id not in made]
            for attempt in range(1, MAX_ATTEMPTS + 1):
                decided = self._decide_block([messages[c] for c in waiting], clock(), attempt)
                made |= {decision.customer_id: decision for _, decision, _ in decided}
                waiting = self._append(decided) if request.record and decided else []
                if not waiting:
                    break
            else:
                raise SlowDown("other requests keep taking the contact first; run it again with the same --run")
            yield [made[customer_id] for customer_id in ids]

    def knowledge(self, customer_ids: Sequence[str], now: int) -> dict[str, Knowledge]:
        """What the ledger and the feature store say of these customers, in a few statements."""
        plan = self._strategy.contact_plan
        heard_since = None if plan.heard_back is None else now - plan.heard_back
        before = self._ledger.before_decisions(customer_ids, now - plan.contacts_back, heard_since)
        rows = {} if self._features is None else self._features.read_many(customer_ids)
        return {c: self._known(before.get(c), rows.get(c), now) for c in customer_ids}

    def _known(self, before: BeforeDecision | None, row: FeatureRow | None, now: int) -> Knowledge:
        if before is None or before.customer is None:
            return Knowledge(None)
        features: Mapping[str, float | None] = {}
        fallback: str | None = "features_unavailable"
        if self._features is not None:
            names = self._features.contract.names
            features, fallback = usable_features(row, names, now, self._settings.feature_max_age_days)
        slots, version = before.slots, before.contact_version
        return Knowledge(before.customer, features, fallback, slots, version, heard=before.heard)

    def _decide_block(self, messages: Sequence[DecideRequest], now: int, attempt: int) -> list[Made]:
        known = self.knowledge([m.customer_id for m in messages], now)
        scores = self._strategy.scores_of_many([known[m.customer_id].features for m in messages])
        salt = self._settings.assignment_salt
        made = []
        for message, customer_scores in zip(messages, scores, strict=True):
            knowledge = known[message.customer_id]
            decision = decide(
                Request(message.request_id, message.customer_id, message.channels),
                knowledge,
                self._strategy,
                decision_id=decision_id(salt, message.request_id),
                now=now,
                layers=self._layers,
                salt=salt,
                attempt=attempt,
                scores=customer_scores,
            )
            made.append((message, decision, knowledge.contact_version))
        return made

    def _append(self, decided: Sequence[Made]) -> list[str]:
        """Records the decisions; gives the customers of those refused."""
        rows = [ToAppend(d, _hash(m), msgspec.json.encode(answer(d)), version) for m, d, version in decided]
        return [one.decision.customer_id for one in self._ledger.append_decisions(rows, self._classes)]

    def _made_before(self, messages: Mapping[str, DecideRequest]) -> dict[str, Decision]:
        """What this run has decided already, by customer."""
        stored = self._ledger.stored_requests([m.request_id for m in messages.values()])
        made = {}
        for customer_id, message in messages.items():
            if message.request_id in stored:
                request_hash, record = stored[message.request_id]
                if request_hash != _hash(message):
                    raise Conflict("this --run was used for other channels; choose a new one", field="run")
                made[customer_id] = msgspec.json.decode(record, type=Decision)
        return made


def _hash(message: DecideRequest) -> str:
    return hashlib.sha256(msgspec.json.encode(message)).hexdigest()


def _blocks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    block: list[str] = []
    for one in ids:
        block.append(one)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
