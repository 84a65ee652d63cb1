"""Live traffic: simulated customers visit and are written to, over real HTTP, and answer as their world says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from experiments.history import answer_kind
from experiments.score import Score
from experiments.simulator import (
    World,
    expected_rewards,
    purchase_chance,
    response_probability,
    session_rate,
    true_values,
)
from features.clock import format_time
from features.domain import DO_NOTHING, Arm
from features.errors import NotReady

#: Share of decisions asked for by a visit; the others are outbound rounds.
_VISIT_SHARE = 0.6
#: After so many failures in a row the service is taken for dead.
_PATIENCE = 25
_LIMITS = httpx.Timeout(10.0)


@dataclass(frozen=True, slots=True)
class Played:
    """One step: what was asked and answered, and what the customer did (None: nothing reported)."""

    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    outcome: Mapping[str, Any] | None


class Traffic:
    """Plays a world's customers at the service behind `client` (whose base_url is its address), one step at a time.

    `clock` tells the time in microseconds; `run` makes the ids of this run its own; all chance comes from `rng`.
    """

    def __init__(
        self,
        client: httpx.Client,
        world: World,
        customer_ids: Sequence[str],
        rng: np.random.Generator,
        clock: Callable[[], int],
        run: str,
    ) -> None:
        self._client, self._world, self._rng, self._clock, self._run = client, world, rng, clock, run
        self._ids = list(customer_ids)
        self._visit_weights = np.cumsum(session_rate(world, self._ids))
        channels = world.catalogue.channels.values()
        self._inbound = [c.id for c in channels if not c.outbound]
        self._outbound = [c.id for c in channels if c.outbound]
        self._round: list[str] = []
        self._count = self._named = 0
        self._failed = 0
        self.score = Score()

    def step(self) -> Played | None:
        """One customer: asks for a decision, shows it, answers it. None when the service failed this time.

        Raises NotReady after 25 failures in a row.
        """
        self._count += 1
        try:
            played = self._visit() if self._inbound and self._rng.random() < _VISIT_SHARE else self._outreach()
        except httpx.HTTPError as error:
            self._failed += 1
            self.score.errors += 1
            if self._failed >= _PATIENCE:
                raise NotReady(f"the service fails ({type(error).__name__}); look into its log") from error
            return None
        self._failed = 0
        return played

    def _visit(self) -> Played:
        """A customer comes by; the liveliest come most often. What they do of their own accord follows the answer."""
        draw = self._rng.random() * self._visit_weights[-1]
        customer = self._ids[int(np.searchsorted(self._visit_weights, draw))]
        channel = self._inbound[int(self._rng.integers(len(self._inbound)))]
        came = [self._event(customer, kind, channel) for kind in ("session", "product_view")]
        self._post("/v1/events", {"events": came})
        played = self._decide(customer, [channel])
        if self._rng.random() < purchase_chance(self._world, [customer])[0]:
            spent = round(20.0 * float(self._rng.lognormal(0.0, 0.5)), 2)
            bought = [self._event(customer, "cart", channel), self._event(customer, "purchase", channel, spent)]
            self._post("/v1/events", {"events": bought})
        return played

    def _outreach(self) -> Played:
        """The next customer of a round that writes to everyone, on the outbound channels, one time in five on any."""
        if not self._round:
            self._round = [self._ids[n] for n in self._rng.permutation(len(self._ids))]
        anywhere = not self._outbound or self._rng.random() < 0.2
        return self._decide(self._round.pop(), None if anywhere else self._outbound)

    def _decide(self, customer: str, channels: list[str] | None) -> Played:
        request: dict[str, Any] = {"request_id": self._name("r"), "customer_id": customer, "explain": False}
        if channels is not None:
            request["channels"] = channels
        answer = self._post("/v1/decide", request)
        outcome = self._respond(customer, answer)
        self._count_reward(customer, answer)
        self.score.count(answer, accepted=outcome is not None and outcome.get("value") is not None)
        return Played(request, answer, outcome)

    def _respond(self, customer: str, answer: Mapping[str, Any]) -> dict[str, Any] | None:
        """The display, and the customer's true answer to it as the channel reports it."""
        item = answer["items"][0]
        if item["action"] == DO_NOTHING.action:
            return None
        arm, now = Arm(item["action"], item["channel"]), self._clock()
        self._post("/v1/shown", {"decision_id": answer["decision_id"], "rank": item["rank"]})
        accepted = bool(self._rng.random() < response_probability(self._world, customer, arm, now))
        success = str(self._world.catalogue.actions[arm.action].outcome)
        kind = answer_kind(self._world.catalogue.channels[arm.channel], accepted, success, float(self._rng.random()))
        if kind is None:
            return None
        outcome: dict[str, Any] = {
            "outcome_id": self._name("o"),
            "decision_id": answer["decision_id"],
            "kind": kind,
            "occurred_at": format_time(now),
        }
        if accepted:
            outcome["value"] = max(0.01, round(float(true_values(self._world, [customer], arm.action)[0]), 2))
        self._post("/v1/outcomes", outcome)
        if accepted:
            bought = self._event(customer, "purchase", arm.channel, outcome["value"])
            self._post("/v1/events", {"events": [bought]})
        return outcome

    def _count_reward(self, customer: str, answer: Mapping[str, Any]) -> None:
        """True expected reward of what was chosen, against a uniform draw and the best of what was allowed then."""
        if answer["reason"] == "holdout":
            return
        told = self._client.get(f"/v1/decisions/{answer['decision_id']}", timeout=_LIMITS)
        told.raise_for_status()
        arms = [_arm(c) for c in told.json()["candidates"] if c["stage"] is None]
        rewards = expected_rewards(self._world, [customer], arms, self._clock())[0]
        self.score.reward(float(rewards[arms.index(_arm(answer["items"][0]))]), rewards)

    def _event(self, customer: str, kind: str, channel: str, value: float | None = None) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": self._name("e"),
            "customer_id": customer,
            "type": kind,
            "occurred_at": format_time(self._clock()),
            "source": "simulator",
            "channel": channel,
        }
        return event if value is None else event | {"value": value}

    def _name(self, kind: str) -> str:
        """An id of this run: step, and a number within it."""
        self._named += 1
        return f"{self._run}-{kind}-{self._count}-{self._named}"

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        response = self._client.post(path, json=body, timeout=_LIMITS)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found


def _arm(item: Mapping[str, Any]) -> Arm:
    return DO_NOTHING if item["action"] == DO_NOTHING.action else Arm(item["action"], item["channel"])
