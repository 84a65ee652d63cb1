from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from rich.console import Console
from rich.live import Live

from experiments.editions import Read, kept_by, nobody_knows
from experiments.homes import Population
from experiments.live import line, panel
from experiments.once import send_once
from experiments.play import Screen, play, wait
from experiments.processes import Children
from experiments.score import Score
from experiments.simulator import World, expected_rewards, response_probabilities
from experiments.traffic import Traffic
from features.catalogue import Catalogue, load_catalogue, parse_catalogue
from features.clock import DAY, parse_time
from features.domain import DO_NOTHING, Arm
from features.errors import LedgerUnavailable, NotReady
from features.ledger import open_ledger
from features.settings import SHIPPED

SMALL = """
[[group]]
id = "drinks"
[[channel]]
id = "web"
outbound = false
[[action]]
id = "tea"
group = "drinks"
value = 2.0
treatment = [{ channel = "web", content = "tea" }]
"""
CATALOGUE = load_catalogue(SHIPPED / "catalogue")
WORLD = World(3, CATALOGUE, 60)
NOW = 20_000 * DAY


class Service:
    """A decision service by hand: keeps what it is told; offers every arm of the channels asked for.

    `choose` picks the arm among those; customers in `holdout` get nothing.
    """

    def __init__(self, choose: Any, holdout: tuple[str, ...] = ()) -> None:
        self.choose, self.holdout = choose, holdout
        self.catalogue = CATALOGUE
        self.instead: dict[str, httpx.Response] = {}
        self.out_of_time = self.empty = False
        self.decided: dict[str, dict[str, Any]] = {}
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.down = False

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://segue", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("nobody there")
        for path, response in self.instead.items():
            if request.url.path.startswith(path):
                return httpx.Response(response.status_code, content=response.content, request=request)
        if request.method == "GET":
            return httpx.Response(200, json=self.decided[request.url.path.rsplit("/", 1)[1]])
        body = json.loads(request.content)
        self.heard.append((request.url.path, body))
        if request.url.path == "/v1/decide":
            return httpx.Response(200, json=self.decide(body))
        return httpx.Response(200, json={"accepted": 1, "duplicates": 0, "rejected": []})

    def decide(self, body: dict[str, Any]) -> dict[str, Any]:
        arms = [a for a in self.catalogue.arms() if a.channel in body.get("channels", self.catalogue.channels)]
        held = body["customer_id"] in self.holdout
        arm = DO_NOTHING if held else self.choose(body["customer_id"], arms)
        name = f"d-{len(self.decided)}"
        considered = [DO_NOTHING] if held else [*arms, DO_NOTHING]
        reason, fallback = ("holdout" if held else None), None
        if self.out_of_time:
            arm, considered, reason, fallback = DO_NOTHING, [], "deadline_exceeded", "deadline_exceeded"
        self.decided[name] = {"candidates": [wire(a) | {"stage": None} for a in considered]}
        return {
            "decision_id": name,
            "customer_id": body["customer_id"],
            "items": [] if self.empty else [wire(arm) | {"rank": 1}],
            "reason": reason,
            "fallback_reason": fallback,
            "versions": {"policy": "p/1", "bundle": None, "catalogue": self.catalogue.version},
        }

    def said(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.heard if where == path]


def wire(arm: Arm) -> dict[str, Any]:
    return {"action": arm.action, "channel": None if arm == DO_NOTHING else arm.channel}


def best(customer: str, arms: list[Arm]) -> Arm:
    return arms[int(expected_rewards(WORLD, [customer], arms)[0].argmax())]


def best_of_those(customer: str, arms: list[Arm]) -> Arm:
    return best(customer, [arm for arm in arms if arm in WORLD.arms])


def traffic(service: Service, seed: int = 0, read: Read = nobody_knows) -> Traffic:
    ids = WORLD.customer_ids
    return Traffic(service.client(), WORLD, ids, np.random.default_rng(seed), lambda: NOW, "run", read)


def drawn(one: Traffic) -> str:
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(panel(one.score, "http://segue", 60.0, []))
    return console.export_text()


def edited(new: str | None = None, gone: str | None = None, value: float = 12.0) -> Catalogue:
    """The shipped catalogue with an action more, or one less."""
    actions = {name: action for name, action in CATALOGUE.actions.items() if name != gone}
    if new is not None:
        actions[new] = replace(CATALOGUE.actions["loyalty_points"], id=new, value=value)
    return replace(CATALOGUE, actions=actions, version=f"with {new} without {gone} at {value}")


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


def test_a_service_that_does_not_answer_is_waited_for_and_what_failed_is_counted() -> None:
    service = Service(best)
    one = traffic(service)
    service.down = True
    assert [one.step() for _ in range(100)] == [None] * 100
    assert one.failures == 100
    service.down = False
    assert one.step() is not None
    assert one.failures == 0
    assert one.score.errors == 100
    assert one.score.last_error == "the service did not answer (ConnectError)"
    assert "100 steps failed" in drawn(one)


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (httpx.Response(429, json={"error": {"code": "slow_down", "message": "", "field": None}}), "429 slow_down"),
        (httpx.Response(500, text="oh"), "500 Internal Server Error"),
        (httpx.Response(422, json=["not", "ours"]), "422"),
        (httpx.Response(200, text="<html>"), "not understood (JSONDecodeError)"),
        (httpx.Response(200, json={}), "not understood (KeyError)"),
        (httpx.Response(200, json=[1]), "not understood"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/decide", "/v1/shown", "/v1/outcomes", "/v1/events", "/v1/decisions"])
def test_no_answer_of_the_service_ends_the_traffic(answered: httpx.Response, said: str, path: str) -> None:
    service = Service(best)
    service.instead[path] = answered
    one = traffic(service)
    for _ in range(60):
        one.step()
    if answered.status_code != 200:
        assert one.score.errors > 0
        assert said in one.score.last_error
    drawn(one)


def test_a_decision_that_ran_out_of_time_is_counted_and_compared_with_nothing() -> None:
    service = Service(best)
    service.out_of_time = True
    one = played(service, 30)
    assert (one.score.decisions, one.score.compared, one.score.errors) == (30, 0, 0)
    assert one.score.fallbacks["deadline_exceeded"] == one.score.reasons["deadline_exceeded"] == 30
    assert service.said("/v1/shown") == []
    assert "fallback: deadline_exceeded" in drawn(one)


def test_an_answer_without_items_is_doing_nothing() -> None:
    service = Service(best)
    service.empty = True
    assert played(service, 20).score.channels == Counter({"(nothing)": 20})


def test_an_offer_added_while_traffic_plays_is_shown_and_answered_and_one_taken_away_is_not_missed() -> None:
    service = Service(lambda _customer, arms: next(a for a in arms if a.action in ("brand_new", "loyalty_points")))
    editions = {edition.version: edition for edition in (edited(new="brand_new"), edited(gone="loyalty_points"))}
    one = traffic(service, read=editions.get)
    for _ in range(50):
        assert one.step() is not None
    before = one.score.accepted
    service.catalogue = edited(new="brand_new")
    service.choose = lambda _customer, arms: next((a for a in arms if a.action == "brand_new"), DO_NOTHING)
    for _ in range(300):
        assert one.step() is not None
    assert one.score.actions["brand_new"] > 100
    assert one.score.accepted > before
    assert one.score.unknown == Counter()
    service.catalogue = edited(gone="loyalty_points")
    service.choose = best_of_those
    for _ in range(50):
        assert one.step() is not None
    assert one.score.errors == 0


def test_an_offer_that_nobody_can_explain_is_shown_not_answered_and_said() -> None:
    service = Service(lambda _customer, arms: next((a for a in arms if a.action == "brand_new"), DO_NOTHING))
    service.catalogue = edited(new="brand_new")
    one = played(service, 60)
    assert one.score.unknown["brand_new@web"] > 0
    assert service.said("/v1/shown")
    assert service.said("/v1/outcomes") == []
    assert "brand_new@web" in drawn(one)


def test_customers_stay_the_same_when_the_catalogue_is_edited() -> None:
    changed = WORLD.under(edited(new="brand_new", value=400.0))
    ids, arms = WORLD.customer_ids, list(WORLD.arms)
    assert (response_probabilities(changed, ids, arms, None) == response_probabilities(WORLD, ids, arms, None)).all()
    assert {arm.action for arm in changed.arm_truth} == {arm.action for arm in WORLD.arms} | {"brand_new"}
    new = response_probabilities(changed, ids, [Arm("brand_new", "web")], None)
    assert 0.0 < new.mean() < 1.0
    back = changed.under(edited(gone="loyalty_points")).under(CATALOGUE)
    assert (response_probabilities(back, ids, arms, None) == response_probabilities(WORLD, ids, arms, None)).all()


def test_an_edition_out_of_the_ledger_is_the_catalogue_that_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    files = {"all.toml": SMALL}
    version = parse_catalogue({name: text.encode() for name, text in files.items()}).version
    ledger.keep_catalogue(version, files)
    read = kept_by(ledger)
    found = read(version)
    assert found is not None
    assert list(found.actions) == ["tea"]
    assert read("never-kept") is None
    monkeypatch.setattr(ledger, "catalogue_files", away)
    assert read(version) is None
    ledger.close()


def away(_version: str) -> None:
    raise LedgerUnavailable("it does not answer")


@pytest.mark.parametrize("width", [1, 8, 20, 40, 200])
def test_the_summary_fits_any_terminal_and_starts_with_nothing(width: int) -> None:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(panel(Score(), "http://[::1]:3000", 0.0, ["a [bold]note"]))
    assert line(Score(), 0.0)
    if width > 100:
        assert "http://[::1]:3000" in console.export_text()


def test_names_with_brackets_are_shown_as_they_are() -> None:
    score = Score()
    score.channels["[red]web"], score.fallbacks["[x]"], score.decisions = 3, 1, 3
    console = Console(record=True, width=120)
    console.print(panel(score, "http://segue", 1.0, ["[note]"]))
    text = console.export_text()
    assert "[red]web" in text
    assert "fallback: [x]" in text
    assert "[note]" in text


def test_where_a_terminal_cannot_be_drawn_on_lines_are_written() -> None:
    for options in ({"force_terminal": False}, {"force_terminal": True, "_environ": {"TERM": "dumb"}}):
        console = Console(record=True, width=120, file=io.StringIO(), **options)
        with Live(console=console, auto_refresh=False) as live:
            screen = Screen(live, console, Score(), "http://segue")
            for passed in (0.0, 5.0, 10.1, 15.0, 20.0):
                screen.show(passed, ["[x] happened"])
        assert console.export_text().count("decisions, reward") == 2
        assert console.file.getvalue().count("[x] happened") == 2


@pytest.mark.parametrize("gone", [SystemExit(1), OSError(5, "Input/output error")])
def test_a_screen_that_is_gone_ends_nothing(
    tmp_path: Path, gone: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, one = Service(best), Console(width=100, file=io.StringIO(), force_terminal=True)
    with Children(tmp_path) as children, Live(console=one, auto_refresh=False) as live:
        screen = Screen(live, one, Score(), "http://segue")
        monkeypatch.setattr(live, "update", raising(gone))
        screen.show(1.0, children.check())
        screen.show(2.0, children.check())
    assert traffic(service).step() is not None


def raising(error: BaseException) -> Any:
    def update(*_: object, **__: object) -> None:
        raise error

    return update


def test_nothing_is_written_without_a_minus() -> None:
    score = Score()
    score.reward(-0.001, np.array([-0.001, 0.0]))
    console = Console(record=True, width=120)
    console.print(panel(score, "http://segue", 1.0, []))
    assert "-0.00" not in console.export_text() + line(score, 1.0)


def test_a_terminal_of_another_encoding_is_drawn_on_with_its_own_letters() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    console = Console(width=100, file=file, force_terminal=True)
    score = played(Service(best), 20).score
    with Live(console=console, auto_refresh=False) as live:
        screen = Screen(live, console, score, "http://segue")
        screen.show(1.0, [])
        screen.end(2.0)
    file.flush()
    assert b"####" in file.buffer.getvalue()


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
