from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from rich.console import Console

from experiments.homes import Population
from experiments.live import line, panel
from experiments.once import send_once
from experiments.play import play, wait
from experiments.processes import Children
from experiments.simulator import World, expected_rewards
from experiments.traffic import Traffic
from features.catalogue import load_catalogue
from features.clock import DAY, parse_time
from features.domain import DO_NOTHING, Arm
from features.errors import NotReady
from features.ledger import open_ledger
from features.settings import SHIPPED

CATALOGUE = load_catalogue(SHIPPED / "catalogue")
WORLD = World(3, CATALOGUE, 60)
NOW = 20_000 * DAY


class Service:
    """A decision service by hand: keeps what it is told; offers every arm of the channels asked for.

    `choose` picks the arm among those; customers in `holdout` get nothing.
    """

    def __init__(self, choose: Any, holdout: tuple[str, ...] = ()) -> None:
        self.choose, self.holdout = choose, holdout
        self.decided: dict[str, dict[str, Any]] = {}
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.down = False

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://segue", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("nobody there")
        if request.method == "GET":
            return httpx.Response(200, json=self.decided[request.url.path.rsplit("/", 1)[1]])
        body = json.loads(request.content)
        self.heard.append((request.url.path, body))
        if request.url.path == "/v1/decide":
            return httpx.Response(200, json=self.decide(body))
        return httpx.Response(200, json={"accepted": 1, "duplicates": 0, "rejected": []})

    def decide(self, body: dict[str, Any]) -> dict[str, Any]:
        arms = [a for a in CATALOGUE.arms() if a.channel in body.get("channels", CATALOGUE.channels)]
        held = body["customer_id"] in self.holdout
        arm = DO_NOTHING if held else self.choose(body["customer_id"], arms)
        name = f"d-{len(self.decided)}"
        considered = [DO_NOTHING] if held else [*arms, DO_NOTHING]
        self.decided[name] = {"candidates": [wire(a) | {"stage": None} for a in considered]}
        return {
            "decision_id": name,
            "customer_id": body["customer_id"],
            "items": [wire(arm) | {"rank": 1}],
            "reason": "holdout" if held else None,
            "fallback_reason": None,
            "versions": {"policy": "p/1", "bundle": None},
        }

    def said(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.heard if where == path]


def wire(arm: Arm) -> dict[str, Any]:
    return {"action": arm.action, "channel": None if arm == DO_NOTHING else arm.channel}


def best(customer: str, arms: list[Arm]) -> Arm:
    return arms[int(expected_rewards(WORLD, [customer], arms)[0].argmax())]


def traffic(service: Service, seed: int = 0) -> Traffic:
    ids = WORLD.customer_ids
    return Traffic(service.client(), WORLD, ids, np.random.default_rng(seed), lambda: NOW, "run")


def played(service: Service, steps: int) -> Traffic:
    one = traffic(service)
    for _ in range(steps):
        assert one.step() is not None
    return one


def test_a_service_that_knows_the_truth_earns_more_than_random_and_close_to_the_best() -> None:
    score = played(Service(best), 200).score
    assert score.compared == score.decisions == 200
    assert score.chosen_sum > 2 * score.random_sum > 0
    assert score.chosen_sum == pytest.approx(score.best_sum, rel=0.05)


def test_the_same_seed_plays_the_same_traffic() -> None:
    one, other = Service(best), Service(best)
    assert played(one, 50).score == played(other, 50).score
    assert one.heard == other.heard


def test_doing_nothing_is_neither_shown_nor_answered() -> None:
    service = Service(lambda _customer, _arms: DO_NOTHING)
    score = played(service, 40).score
    assert service.said("/v1/shown") == service.said("/v1/outcomes") == []
    assert (score.contacts, score.accepted, score.chosen_sum) == (0, 0, 0.0)
    assert score.channels == Counter({"(nothing)": 40})


def test_the_holdout_is_counted_apart_and_not_compared() -> None:
    score = played(Service(best, holdout=WORLD.customer_ids), 30).score
    assert (score.holdout, score.compared) == (30, 0)


def test_customers_visit_and_are_written_to() -> None:
    service = Service(best)
    played(service, 200)
    asked = Counter(tuple(body.get("channels", ["any"])) for body in service.said("/v1/decide"))
    assert asked[("web",)] > 60
    assert asked[("email", "sms", "push")] > 30
    assert asked[("any",)] > 5
    assert all(body["explain"] is False for body in service.said("/v1/decide"))


def test_answers_come_as_the_channel_reports_and_an_acceptance_is_followed_by_a_purchase() -> None:
    service = Service(best)
    played(service, 300)
    outcomes = service.said("/v1/outcomes")
    kinds: dict[str, set[str]] = {}
    chosen = {f"d-{n}": body for n, body in enumerate(service.said("/v1/decide"))}
    for outcome in outcomes:
        asked = chosen[outcome["decision_id"]].get("channels", [])
        kinds.setdefault(",".join(asked), set()).add(outcome["kind"])
        assert parse_time(outcome["occurred_at"]) == NOW
    assert kinds["web"] == {"accepted", "rejected", "ignored"}
    accepted = [o for o in outcomes if o["kind"] == "accepted"]
    bought = [e for b in service.said("/v1/events") for e in b["events"] if e["type"] == "purchase"]
    values = [e["value"] for e in bought]
    assert accepted
    assert all(o["value"] in values for o in accepted)


def test_every_id_is_new() -> None:
    service = Service(best)
    played(service, 100)
    events = [e["event_id"] for b in service.said("/v1/events") for e in b["events"]]
    ids = events + [b["outcome_id"] for b in service.said("/v1/outcomes")]
    ids += [b["request_id"] for b in service.said("/v1/decide")]
    assert len(set(ids)) == len(ids)


def test_a_service_that_falters_is_forgiven_and_one_that_is_gone_is_not() -> None:
    service = Service(best)
    one = traffic(service)
    service.down = True
    assert [one.step() for _ in range(10)] == [None] * 10
    service.down = False
    assert one.step() is not None
    assert one.score.errors == 10
    service.down = True
    assert [one.step() for _ in range(24)] == [None] * 24
    with pytest.raises(NotReady, match="fails"):
        one.step()


def test_the_summary_names_decisions_rewards_channels_and_policy() -> None:
    score = played(Service(best), 60).score
    console = Console(record=True, width=120)
    console.print(panel(score, "http://127.0.0.1:3000", 61.0, ["a note"]))
    text = console.export_text()
    for words in ("60", "decisions in 1:01", "random, same arms", "doing nothing", "web", "p/1", "a note"):
        assert words in text
    assert "60 decisions, reward" in line(score, 61.0)


@pytest.mark.parametrize("simulated", [True, False])
def test_once_sends_a_decision_and_an_outcome_and_claims_no_response_of_a_real_customer(simulated: bool) -> None:
    service, console = Service(best, holdout=WORLD.customer_ids[:2]), Console(record=True)
    population = Population(WORLD, WORLD.customer_ids, simulated)
    assert send_once(service.client(), population, "once", console) == 0
    assert [b["customer_id"] for b in service.said("/v1/decide")] == list(WORLD.customer_ids[:3])
    (outcome,) = service.said("/v1/outcomes")
    assert simulated or outcome["kind"] == "seen"
    assert '"decision_id": "d-2"' in console.export_text()


def test_once_without_any_action_says_so_and_fails() -> None:
    service, console = Service(lambda _customer, _arms: DO_NOTHING), Console(record=True)
    assert send_once(service.client(), Population(WORLD, WORLD.customer_ids, True), "once", console) == 1
    assert "none of 50 customers got an action" in console.export_text()


def test_once_says_why_a_service_fails() -> None:
    population = Population(WORLD, WORLD.customer_ids, True)
    broken = httpx.Client(base_url="http://segue", transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    with pytest.raises(NotReady, match="status 503"):
        send_once(broken, population, "once", Console(quiet=True))
    service = Service(best)
    service.down = True
    with pytest.raises(NotReady, match="does not answer"):
        send_once(service.client(), population, "once", Console(quiet=True))


def test_playing_ends_when_its_time_is_over_and_shows_the_totals(tmp_path: Path) -> None:
    console, service = Console(record=True, width=120), Service(best)
    with Children(tmp_path) as children:
        assert play(traffic(service), "http://segue", children, console, 0.3) == 0
    assert len(service.decided) >= 3
    assert "decisions in 0:00" in console.export_text()


def test_waiting_counts_the_decisions_of_others(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with Children(tmp_path) as children:
        assert wait(ledger, children, Console(quiet=True), 0.0) == 0
    ledger.close()
