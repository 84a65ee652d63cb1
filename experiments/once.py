"""One decision and one outcome over HTTP, printed: the proof that a home works."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import numpy as np
from rich.console import Console

from experiments.editions import Editions, Read, nobody_knows
from experiments.history import answer_kind
from experiments.homes import Population
from experiments.score import first_item
from experiments.simulator import response_probability
from experiments.traffic import arm_of
from features import clock
from features.domain import DO_NOTHING
from features.errors import NotReady

#: Customers asked about until one gets an action; one in twenty is in the holdout, some allow no channel.
_TRIES = 50


def send_once(
    client: httpx.Client, population: Population, run: str, console: Console, read: Read = nobody_knows
) -> int:
    """Decides for customers until one gets an action, reports an outcome, prints both. 1 when none gets one.

    Raises NotReady when the service does not answer as it should.
    """
    answer: dict[str, Any] = {}
    reasons: Counter[str] = Counter()
    for n, customer in enumerate(population.customer_ids[:_TRIES]):
        answer = _post(client, "/v1/decide", {"request_id": f"{run}-{n}", "customer_id": customer})
        if arm_of(first_item(answer)) != DO_NOTHING:
            break
        reasons[answer["reason"] or "doing nothing was drawn"] += 1
    console.print("decision")
    console.print_json(data=answer)
    if not answer or arm_of(first_item(answer)) == DO_NOTHING:
        told = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
        console.print(
            f"segue: none of {reasons.total()} customers got an action ({told}); `segue explain` says why",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return 1
    outcome = _outcome(population, answer, run, read)
    taken = _post(client, "/v1/outcomes", outcome)
    console.print("outcome")
    console.print_json(data={"sent": outcome, "answer": taken})
    return 0 if taken["accepted"] == 1 else 1


def _outcome(population: Population, answer: dict[str, Any], run: str, read: Read) -> dict[str, Any]:
    """A simulated customer answers as its world says; of a real one only that the message was seen is reported."""
    arm, now = arm_of(first_item(answer)), clock.now()
    world = Editions(population.world, read).of(answer["versions"].get("catalogue"))
    kind: str | None = None
    if population.simulated and arm in world.arm_truth:
        u = np.random.default_rng(now).random(2)
        accepted = bool(u[0] < response_probability(world, answer["customer_id"], arm, now))
        success = str(world.catalogue.actions[arm.action].outcome)
        kind = answer_kind(world.catalogue.channels[arm.channel], accepted, success, float(u[1]))
    return {
        "outcome_id": f"{run}-outcome",
        "decision_id": answer["decision_id"],
        "kind": kind or "seen",
        "occurred_at": clock.format_time(now),
    }


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        response = client.post(path, json=body, timeout=10.0)
    except httpx.HTTPError as error:
        raise NotReady(f"the service does not answer {path}: {type(error).__name__}") from error
    if response.status_code != 200:
        raise NotReady(f"the service answers {path} with status {response.status_code}: {response.text[:500]}")
    found: dict[str, Any] = response.json()
    return found
