"""Live traffic: simulated customers visit and are written to, over real HTTP, and answer as their world says.

Whatever the service answers, nothing here ends the playing: what fails is counted, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from experiments.editions import Editions, Read, nobody_knows
from experiments.history import answer_kind
from experiments.score import Score, first_item
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

#: Share of decisions asked for by a visit; the others are outbound rounds.
_VISIT_SHARE = 0.6
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
    Customers answer by the edition of the catalogue that made the decision.
    """

    def __init__(
        self,
        client: httpx.Client,
        world: World,
        customer_ids: Sequence[str],
        rng: np.random.Generator,
        clock: Callable[[], int],
        run: str,
        read: Read = nobody_knows,
    ) -> None:
        """`read` gives the catalogue of a version that the world was not made of."""
        self._client, self._rng, self._clock, self._run = client, rng, clock, run
        self._editions = Editions(world, read)
        self._ids = list(customer_ids)
        self._visit_weights = np.cumsum(session_rate(world, self._ids))
        self._round: list[str] = []
        self._count = self._named = 0
        #: Steps that failed since the last that went through.
        self.failures = 0
        self.score = Score()

    def step(self) -> Played | None:
        """One customer: asks for a decision, shows it, answers it. None where it failed, which is counted."""
        self._count += 1
        inbound = self._channels(outbound=False)
        try:
            played = self._visit(inbound) if inbound and self._rng.random() < _VISIT_SHARE else self._outreach()
        except (
            Exception
        ) as error:  # a demonstration goes on whatever comes back: said on the screen, not in a traceback
            self.failures += 1
            self.score.failed(reason(error))
            return None
        self.failures = 0
        return played

    def _channels(self, *, outbound: bool) -> list[str]:
        """Those of the catalogue as it is now."""
        return [c.id for c in self._editions.latest.catalogue.channels.values() if c.outbound == outbound]

    def _visit(self, inbound: Sequence[str]) -> Played:
        """A customer comes by; the liveliest come most often. What they do of their own accord follows the answer."""
        draw = self._rng.random() * self._visit_weights[-1]
        customer = self._ids[int(np.searchsorted(self._visit_weights, draw))]
        channel = inbound[int(self._rng.integers(len(inbound)))]
        came = [self._event(customer, kind, channel) for kind in ("session", "product_view")]
        self._post("/v1/events", {"events": came})
        played = self._decide(customer, [channel])
        if self._rng.random() < purchase_chance(self._editions.latest, [customer])[0]:
            spent = round(20.0 * float(self._rng.lognormal(0.0, 0.5)), 2)
            bought = [self._event(customer, "cart", channel), self._event(customer, "purchase", channel, spent)]
            self._post("/v1/events", {"events": bought})
        return played

    def _outreach(self) -> Played:
        """The next customer of a round that writes to everyone, on the outbound channels, one time in five on any."""
        if not self._round:
            self._round = [self._ids[n] for n in self._rng.permutation(len(self._ids))]
        outbound = self._channels(outbound=True)
        anywhere = not outbound or self._rng.random() < 0.2
        return self._decide(self._round.pop(), None if anywhere else outbound)

    def _decide(self, customer: str, channels: list[str] | None) -> Played:
        request: dict[str, Any] = {"request_id": self._name("r"), "customer_id": customer, "explain": False}
        if channels is not None:
            request["channels"] = channels
        answer = self._post("/v1/decide", request)
        world = self._editions.of(answer["versions"].get("catalogue"))
        outcome = self._respond(world, customer, answer)
        self._count_reward(world, customer, answer)
        self.score.count(answer, accepted=outcome is not None and outcome.get("value") is not None)
        return Played(request, answer, outcome)

    def _respond(self, world: World, customer: str, answer: Mapping[str, Any]) -> dict[str, Any] | None:
        """The display, and the customer's true answer to it as the channel reports it; none to an unknown arm."""
        item = first_item(answer)
        arm, now = arm_of(item), self._clock()
        if arm == DO_NOTHING:
            return None
        self._post("/v1/shown", {"decision_id": answer["decision_id"], "rank": item["rank"]})
        if arm not in world.arm_truth:
            self.score.unknown[arm.key] += 1
            return None
        accepted = bool(self._rng.random() < response_probability(world, customer, arm, now))
        success = str(world.catalogue.actions[arm.action].outcome)
        kind = answer_kind(world.catalogue.channels[arm.channel], accepted, success, float(self._rng.random()))
        if kind is None:
            return None
        outcome: dict[str, Any] = {
            "outcome_id": self._name("o"),
            "decision_id": answer["decision_id"],
            "kind": kind,
            "occurred_at": format_time(now),
        }
        if accepted:
            outcome["value"] = max(0.01, round(float(true_values(world, [customer], arm.action)[0]), 2))
        self._post("/v1/outcomes", outcome)
        if accepted:
            bought = self._event(customer, "purchase", arm.channel, outcome["value"])
            self._post("/v1/events", {"events": [bought]})
        return outcome

    def _count_reward(self, world: World, customer: str, answer: Mapping[str, Any]) -> None:
        """True expected reward of what was chosen, against a uniform draw and the best of what was allowed then.

        Where nothing was chosen (holdout, no time left) there is nothing to compare.
        """
        if answer["reason"] == "holdout":
            return
        told = self._client.get(f"/v1/decisions/{answer['decision_id']}", timeout=_LIMITS)
        told.raise_for_status()
        possible = [arm_of(c) for c in told.json()["candidates"] if c["stage"] is None]
        arms = [arm for arm in possible if arm == DO_NOTHING or arm in world.arm_truth]
        chosen = arm_of(first_item(answer))
        if chosen in arms:
            rewards = expected_rewards(world, [customer], arms, self._clock())[0]
            self.score.reward(float(rewards[arms.index(chosen)]), rewards)

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


def arm_of(item: Mapping[str, Any]) -> Arm:
    """The arm that an item, or a candidate, names."""
    return DO_NOTHING if item["action"] == DO_NOTHING.action else Arm(item["action"], item["channel"])


def reason(error: Exception) -> str:
    """Why a step failed, in a few words: the address and the code of a refusal, or what kind of fault it was."""
    if isinstance(error, httpx.HTTPStatusError):
        try:
            code = str(error.response.json()["error"]["code"])
        except (ValueError, KeyError, TypeError):
            code = error.response.reason_phrase
        return f"{error.request.url.path.split('/d-')[0]} answered {error.response.status_code} {code}"[:120]
    if isinstance(error, httpx.HTTPError):
        return f"the service did not answer ({type(error).__name__})"
    return f"an answer was not understood ({type(error).__name__})"
