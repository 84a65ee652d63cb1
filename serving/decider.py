"""Around the pure decision: look up, decide, commit, answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from features.domain import Customer, Decision
from features.errors import Conflict, ContactTaken, SegueError
from features.ledger import BeforeDecision, Ledger, StoredAnswer
from features.settings import Settings
from serving.assignment import Layer
from serving.contact_policy import ContactPlan
from serving.customer_features import features_of
from serving.engine import decide
from serving.exchange import Trace
from serving.explain import explanation
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.request import Knowledge, Request
from serving.sameness import is_same, request_hash
from serving.schema import DecideRequest, answer
from serving.strategy import Strategy

#: Requests of one customer that keep overtaking each other: after so many the answer is to slow down.
MAX_ATTEMPTS = 20
#: Who is decided for in a rehearsal, and by which request.
_NOBODY = "nobody: a rehearsal"


class SlowDown(SegueError):
    code, status, retry_after = "slow_down", 429, 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes to send, and whether an earlier request stored them."""

    body: bytes
    replayed: bool


class _Made(msgspec.Struct, frozen=True):
    """A decision that is not recorded yet, by which strategy, on which state of the customer's contacts."""

    decision: Decision
    strategy: Strategy
    contact_version: int
    feature_time: int | None
    #: Whether a challenger in the shadow is to make it again.
    shadowed: bool


class Decider:
    """Decides and records. One for each worker process; safe to call from several threads."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        live: Live,
        layers: Sequence[Layer],
        metrics: Metrics,
        journal: Journal,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock` gives seconds, for the time budget of a decision."""
        self._settings = settings
        self._ledger = ledger
        self._live = live
        self._layers = tuple(layers)
        self._metrics = metrics
        self._journal = journal
        self._clock = clock

    @property
    def missing_models(self) -> tuple[str, ...]:
        """Models that would decide and are not released."""
        return self._live.strategy.missing_models

    def rehearse(self, now: int) -> None:
        """Goes the way of a decision, but for what is recorded, counted and logged, for somebody made up.

        Connections are opened and tables computed on the way, 0.1 s that would else be the first customers' (who then
        are answered `deadline_exceeded`). They have agreed to everything, and each feature is 0: most arms get through.
        """
        live, features = self._live.strategy, self._live.features
        message = DecideRequest(_NOBODY, _NOBODY)
        self._before(message, live.contact_plan, now)
        names: Sequence[str] = ()
        if features is not None:
            features.rehearse(_NOBODY)
            names = features.contract.names
        agreed = dict.fromkeys(live.catalogue.channels, "granted")
        knowledge = Knowledge(Customer(_NOBODY, now, "UTC", agreed), dict.fromkeys(names, 0.0))
        request, salt = _request(message, apprentice=False), self._settings.assignment_salt
        decision = decide(request, knowledge, live, decision_id=_NOBODY, now=now, layers=(), salt=salt)
        msgspec.json.encode(_answer(decision, explain=True))

    def decide(self, message: DecideRequest, now: int, trace: Trace | None = None) -> Answer:
        """The answer to a request; the decision is in the ledger before this returns. `trace` goes into the log.

        Raises Conflict when the request id was used for another request, SlowDown when other requests of the customer
        keep taking the contact first.
        """
        start = self._clock()
        for attempt in range(1, MAX_ATTEMPTS + 1):
            made = self._make(message, now, start, attempt)
            if isinstance(made, StoredAnswer):
                return self._again(made, message)
            decision = made.decision
            body = msgspec.json.encode(_answer(decision, message.explain))
            try:
                self._ledger.append_decision(
                    decision,
                    request_hash=request_hash(message),
                    answer=body,
                    contact_version=made.contact_version,
                    action_classes={a.id: a.action_class for a in made.strategy.catalogue.actions.values()},
                )
            except ContactTaken:
                continue  # the state moved: the whole decision is made again on the new one
            except Conflict:
                stored = self._ledger.find_answer(message.request_id)
                if stored is None:
                    raise
                return self._again(stored, message)
            self._tell(made, self._clock() - start, trace)
            return Answer(body, replayed=False)
        raise SlowDown("too many requests of this customer at once; try again shortly", field="customer_id")

    def look(self, message: DecideRequest, now: int) -> Answer:
        """What `decide` would answer now; nothing is written, and the request id stays free.

        The answer has no decision id, for no decision is kept under it; that to an id which was answered before is that
        very answer. Raises Conflict as `decide` does.
        """
        made = self._make(message, now, self._clock(), attempt=1)
        self._metrics.looked()
        if isinstance(made, StoredAnswer):
            again = self._again(made, message)
            return Answer(msgspec.json.encode(msgspec.json.decode(again.body) | {"dry_run": True}), replayed=True)
        body = _answer(made.decision, message.explain) | {"decision_id": None, "dry_run": True}
        return Answer(msgspec.json.encode(body), replayed=False)

    def preview(self, message: DecideRequest, now: int) -> Decision:
        """The decision itself that a request whose id is free would get; nothing is written."""
        made = self._make(message, now, self._clock(), attempt=1)
        assert not isinstance(made, StoredAnswer)
        return made.decision

    def _make(self, message: DecideRequest, now: int, start: float, attempt: int) -> _Made | StoredAnswer:
        """A decision on the present state, not yet recorded; or what the request was answered before."""
        live, layers, ramp = self._live.strategy, self._layers, self._live.ramp
        salt = self._settings.assignment_salt
        if ramp is not None and ramp.layer is not None:
            layers = (*layers, ramp.layer)
            live = ramp.challenger if ramp.decides(salt, message.customer_id) else live
        before = self._before(message, live.contact_plan, now)
        if before.answered is not None:
            return before.answered
        knowledge, feature_time = self._know(before, live, now, start)
        request = _request(message, self._settings.apprentice)
        key = decision_id(salt, message.request_id)
        decision = decide(request, knowledge, live, decision_id=key, now=now, layers=layers, salt=salt, attempt=attempt)
        shadowed = ramp is not None and live is not ramp.challenger
        return _Made(decision, live, knowledge.contact_version, feature_time, shadowed)

    def _tell(self, made: _Made, seconds: float, trace: Trace | None) -> None:
        """Counts, logs, and lays aside for the shadow what was recorded."""
        self._metrics.decided(made.decision, seconds, made.feature_time)
        self._journal.decided(made.decision, seconds, trace)
        if made.shadowed:
            self._live.shadow.offer(made.decision)

    def _before(self, message: DecideRequest, plan: ContactPlan, now: int) -> BeforeDecision:
        """What the ledger knows, as far back as a contact rule looks; outcomes only where one counts them."""
        heard_since = None if plan.heard_back is None else now - plan.heard_back
        return self._ledger.before_decision(
            message.request_id, message.customer_id, now - plan.contacts_back, heard_since
        )

    def _know(self, before: BeforeDecision, strategy: Strategy, now: int, start: float) -> tuple[Knowledge, int | None]:
        """(what the ledger and the feature store say of the customer now, the time of the features used)."""
        if before.customer is None:
            return Knowledge(None), None
        features, feature_time, fallback = features_of(
            self._live.features, before.customer.customer_id, now, self._settings.feature_max_age_days
        )
        out_of_time = self._clock() - start > self._settings.deadline_seconds
        return Knowledge(
            before.customer,
            features,
            "deadline_exceeded" if out_of_time else fallback,
            before.slots,
            before.contact_version,
            out_of_time,
            before.heard,
            self._live.whereabouts.assumed(before.customer, strategy.catalogue),
        ), feature_time

    def _again(self, stored: StoredAnswer, message: DecideRequest) -> Answer:
        if not is_same(message, stored.request_hash):
            raise Conflict("this request_id was used for another request; choose a new one", field="request_id")
        self._metrics.replayed()
        return Answer(stored.answer, replayed=True)


def decision_id(salt: str, request_id: str) -> str:
    """Keyed by the request: asking again after a crash that lost the answer draws the same arm."""
    return "d-" + hashlib.sha256(f"{salt}|decision|{request_id}".encode()).hexdigest()[:30]


def _request(message: DecideRequest, apprentice: bool) -> Request:
    told = message.incumbent if apprentice else None
    return Request(
        message.request_id,
        message.customer_id,
        message.channels,
        message.placement,
        message.limit,
        message.intent,
        message.context,
        None if told is None else told.arm,
    )


def _answer(decision: Decision, explain: bool) -> dict[str, object]:
    body = answer(decision)
    if explain:
        told = explanation(msgspec.json.decode(msgspec.json.encode(decision)))
        body |= {"candidates": told["candidates"], "summary": told["summary"]}
    return body
