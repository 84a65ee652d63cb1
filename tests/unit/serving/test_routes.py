"""The HTTP door over a real ledger: answers by the contract, and one shape for every error."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from features.catalogue import EMPTY_CATALOGUE
from features.clock import HOUR, format_time, now
from features.domain import Customer
from features.errors import LedgerUnavailable
from features.ledger import engine, open_ledger
from features.settings import Settings
from serving import runner
from serving.assignment import holdout_layer
from serving.decider import Decider
from serving.intake import Intake
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.routes import READY, Door, Rooms
from serving.runner import Runner

CATALOGUE = """
[[group]]
id = "growth"
[[channel]]
id = "email"
[[channel]]
id = "web"
outbound = false
reports = "responses"
[[action]]
id = "upgrade"
group = "growth"
value = 40.0
treatment = [{channel = "email", content = "upgrade/email"}, {channel = "web", content = "upgrade/web"}]
[[contact_policy]]
id = "one-a-day"
scope = "all"
limit = 1
window_days = 1
[[content]]
id = "upgrade/email"
title = "Twice as fast"
data = { image = "/fast.png" }
"""
SECRET = "anna-4711"


class Client:
    """Sends one request after another to the door, without a network between."""

    def __init__(self, door: Door) -> None:
        self._app = door.app()

    def __call__(self, method: str, path: str, content: Any = None, headers: Any = None) -> Any:
        body = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://segue") as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(send())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    settings = Settings(home=tmp_path, holdout_share=0.0, deadline_seconds=60.0)
    settings.catalogue_folder.mkdir()
    (settings.catalogue_folder / "all.toml").write_text(CATALOGUE)
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer(SECRET, consents={"email": "granted"})])
    live = Live(settings, ledger, lambda: None)
    live.refresh()
    door = Door()
    metrics = Metrics()
    decider = Decider(settings, ledger, live, [holdout_layer(0.0)], metrics, Journal(None))
    door.open(
        Rooms(
            decider,
            Intake(ledger),
            ledger,
            metrics,
            lambda: live.strategy.catalogue,
            Runner(4),
            settings.max_body_bytes,
        )
    )
    yield Client(door)
    door.close()
    ledger.close()


def ask(request_id: str = "r1", **more: Any) -> dict[str, Any]:
    return {"request_id": request_id, "customer_id": SECRET} | more


def test_a_decision_is_answered_by_the_contract(client: Client) -> None:
    body = client("POST", "/v1/decide", ask()).json()
    assert set(body) == {
        *("decision_id", "request_id", "customer_id", "decided_at", "items", "result", "reason", "fallback_reason"),
        *("defer_until", "variants", "versions", "replayed"),
    }
    assert set(body["items"][0]) == {
        *("rank", "action", "channel", "content", "action_probability", "p_accept", "expected_value", "priority"),
        "expires_at",
    }
    assert 0 < body["items"][0]["action_probability"] <= 1
    assert body["fallback_reason"] == "features_unavailable"


def test_the_same_request_again_gets_the_same_bytes(client: Client) -> None:
    first, second = client("POST", "/v1/decide", ask()), client("POST", "/v1/decide", ask())
    assert first.content == second.content
    assert (first.headers.get("segue-replayed"), second.headers.get("segue-replayed")) == (None, "true")


def test_the_order_of_keys_does_not_make_another_request(client: Client) -> None:
    first = client("POST", "/v1/decide", ask())
    turned = json.dumps({"customer_id": SECRET, "request_id": "r1"}).encode()
    assert client("POST", "/v1/decide", turned).content == first.content


def test_the_same_id_with_another_body_is_a_conflict(client: Client) -> None:
    client("POST", "/v1/decide", ask())
    other = client("POST", "/v1/decide", ask(limit=2))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")


def test_the_contact_limit_holds_from_one_request_to_the_next(client: Client) -> None:
    channels = [
        client("POST", "/v1/decide", ask(f"r{i}", channels=["email"])).json()["items"][0]["channel"] for i in range(30)
    ]
    assert channels.count("email") == 1


def test_an_unknown_customer_is_a_result(client: Client) -> None:
    answer = client("POST", "/v1/decide", {"request_id": "r", "customer_id": "nobody"})
    assert (answer.status_code, answer.json()["reason"]) == (200, "unknown_customer")


def test_an_unknown_channel_is_a_result_that_names_it(client: Client) -> None:
    answer = client("POST", "/v1/decide", ask(channels=["emial"])).json()
    assert (answer["result"], answer["reason"]) == ("do_nothing", "unknown_channel")
    told = client("GET", f"/v1/decisions/{answer['decision_id']}").json()["summary"]
    assert told[1] == "The catalogue had nothing on emial, which the request asked for; it had email, web."
    known = client("POST", "/v1/decide", ask("r2", channels=["emial", "web"])).json()
    assert known["reason"] is None  # what is known is still decided


def test_an_unknown_intent_or_placement_is_decided_all_the_same_and_said(client: Client) -> None:
    answer = client("POST", "/v1/decide", ask(intent="cancle", placement="nowhere", explain=True)).json()
    assert (answer["reason"], answer["warnings"]) == (None, ["unknown_intent", "unknown_placement"])
    told = client("GET", f"/v1/decisions/{answer['decision_id']}").json()
    assert told["warnings"] == answer["warnings"]
    assert [line for line in told["summary"] if "which the request named" in line] == [
        "The catalogue has no intent cancle, which the request named: it weighed nothing.",
        "No action is made for the placement nowhere, which the request named.",
    ]
    assert answer["summary"][:3] == told["summary"][:3]
    again = client("POST", "/v1/decide", ask(intent="cancle", placement="nowhere", explain=True))
    assert again.json() == answer


def test_a_misspelt_field_is_named(client: Client) -> None:
    answer = client("POST", "/v1/decide", ask() | {"chanels": ["web"]})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "chanels")


def test_a_decision_explains_every_arm(client: Client) -> None:
    decided = client("POST", "/v1/decide", ask(channels=["web"])).json()
    told = client("GET", f"/v1/decisions/{decided['decision_id']}").json()
    assert {(c["action"], c["channel"], c["stage"]) for c in told["candidates"]} == {
        ("upgrade", "email", "catalogue"),
        ("upgrade", "web", None),
        ("do_nothing", None, None),
    }
    assert any("upgrade by email was not on offer" in line for line in told["summary"])
    assert sum(c["probability"] for c in told["candidates"]) == pytest.approx(1.0)
    assert told["items"][0]["reward"]["state"] in ("open", "final")  # final where doing nothing was drawn
    assert told["items"][0]["reward"]["outcomes"] == []


def test_an_outcome_that_belongs_to_no_decision_is_kept_and_said_so(client: Client) -> None:
    stray = {"outcome_id": "stray", "kind": "accepted", "occurred_at": format_time(now()), "action": "upgrade"}
    told = client("POST", "/v1/outcomes", stray | {"customer_id": "nobody"}).json()
    assert (told["accepted"], told["rejected"]) == (1, [])
    assert [one["outcome_id"] for one in told["unattributed"]] == ["stray"]


def test_an_outcome_is_taken_once_and_counted(client: Client) -> None:
    decided = client("POST", "/v1/decide", ask()).json()
    outcome = {
        "outcome_id": "o1",
        "decision_id": decided["decision_id"],
        "kind": "accepted",
        "occurred_at": format_time(now()),
    }
    first = client("POST", "/v1/outcomes", outcome).json()
    again = client("POST", "/v1/outcomes", {"outcomes": [outcome, outcome | {"outcome_id": "o2", "decision_id": "x"}]})
    assert first == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert again.json()["duplicates"] == 1
    assert [(r["outcome_id"], r["code"]) for r in again.json()["rejected"]] == [("o2", "unknown_decision")]


def test_events_and_displays_are_taken(client: Client) -> None:
    decided = client("POST", "/v1/decide", ask()).json()
    event = {
        "event_id": "e1",
        "customer_id": "new",
        "type": "purchase",
        "occurred_at": format_time(now()),
        "value": 5.0,
    }
    assert client("POST", "/v1/events", event).json()["accepted"] == 1
    assert client("POST", "/v1/events", {"events": [event]}).json()["duplicates"] == 1
    other = client("POST", "/v1/events", event | {"type": "login"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "event_id_taken")
    assert client("POST", "/v1/shown", {"decision_id": decided["decision_id"]}).status_code == 200


LATER = format_time(now() + HOUR)
OUTCOME = {"outcome_id": "o", "decision_id": "nope", "kind": "accepted", "occurred_at": "2026-01-01T00:00:00Z"}
BAD = [
    ("POST", "/v1/decide", b"{", 400, "malformed_json"),
    ("POST", "/v1/decide", b"", 400, "malformed_json"),
    ("POST", "/v1/decide", b'{"request_id": NaN}', 400, "malformed_json"),
    (
        "POST",
        "/v1/decide",
        b'{"request_id": "r", "customer_id": "c", "context": {"x": Infinity}}',
        400,
        "malformed_json",
    ),
    ("POST", "/v1/decide", {"request_id": "r"}, 422, "invalid_value"),
    ("POST", "/v1/decide", ask(colour="red"), 422, "invalid_value"),
    ("POST", "/v1/decide", {"request_id": 5, "customer_id": SECRET}, 422, "invalid_value"),
    ("POST", "/v1/decide", {"request_id": "r", "customer_id": SECRET * 1200}, 422, "invalid_value"),
    ("POST", "/v1/decide", b'{"request_id": "' + b"x" * 2_000_000 + b'"}', 413, "too_large"),
    ("POST", "/v1/outcomes", OUTCOME, 404, "unknown_decision"),
    ("POST", "/v1/outcomes", OUTCOME | {"occurred_at": LATER}, 422, "in_the_future"),
    ("POST", "/v1/outcomes", OUTCOME | {"occurred_at": "soon enough"}, 422, "invalid_value"),
    ("POST", "/v1/outcomes", {"outcomes": []}, 422, "invalid_value"),
    ("POST", "/v1/shown", {"decision_id": "nope"}, 404, "unknown_decision"),
    ("POST", "/v1/events", {"event_id": "e", "type": "x y", "occurred_at": LATER}, 422, "invalid_value"),
    ("GET", "/v1/decisions/nope", None, 404, "unknown_decision"),
    ("GET", "/v1/nowhere", None, 404, "not_found"),
    ("GET", "/v1/decide", None, 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), BAD, ids=lambda x: str(x)[:40])
def test_every_error_has_one_shape(
    client: Client, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any, status: int, code: str
) -> None:
    with caplog.at_level(logging.DEBUG, logger="segue"):
        answer = client(method, path, body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["code"] == code
    assert "Traceback" not in answer.text
    assert SECRET not in answer.text + caplog.text


def test_a_fault_of_ours_is_told_without_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def decide(self, *_: object) -> None:
            raise RuntimeError(f"no place for {SECRET}")

    door = Door()
    door.open(Rooms(Broken(), None, None, Metrics(), lambda: EMPTY_CATALOGUE, Runner(), 1000))  # type: ignore[arg-type]
    answer = Client(door)("POST", "/v1/decide", ask())
    door.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert SECRET not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_a_closed_door_says_come_back() -> None:
    answer = Client(Door())("POST", "/v1/decide", ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


def test_the_description_and_its_page_are_there(client: Client) -> None:
    described = client("GET", "/v1/openapi.json").json()
    assert set(described["paths"]) == {
        *("/v1/decide", "/v1/shown", "/v1/outcomes", "/v1/events", "/v1/decisions/{decision_id}"),
        *("/v1/catalogue", "/v1/content/{key}"),
    }
    assert "v1/openapi.json" in client("GET", "/docs").text
    assert client("GET", "/").headers["location"] == "/docs"


SEEN = (
    'segue_candidates_dropped_total{stage="catalogue"}',
    'segue_fallbacks_total{reason="features_unavailable"}',
    'segue_errors_total{code="malformed_json"}',
    "segue_replayed_total",
)


def figures(client: Client) -> dict[str, float]:
    """What the metrics page says now; processes that share a folder add up, so only the difference is ours."""
    lines = [line.rsplit(" ", 1) for line in client("GET", "/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_operators_see_decisions_drops_and_errors(client: Client) -> None:
    before = figures(client)
    client("POST", "/v1/decide", ask(channels=["web"]))
    client("POST", "/v1/decide", ask(channels=["web"]))
    client("POST", "/v1/decide", b"{")
    after = figures(client)
    assert [after[name] - before.get(name, 0.0) for name in SEEN] == [1.0] * 4
    assert SECRET not in client("GET", "/metrics").text


def test_readiness_says_what_the_ledger_cannot_do_and_when_to_ask_again() -> None:
    class Full:
        trouble = LedgerUnavailable("the disk is full", code="ledger_full")

    door, well = Door(), Door()
    door.open(Rooms(None, None, Full(), Metrics(), lambda: EMPTY_CATALOGUE, Runner(), 1000))  # type: ignore[arg-type]
    decider = SimpleNamespace(missing_models=())
    well.open(Rooms(decider, None, SimpleNamespace(trouble=None), Metrics(), lambda: EMPTY_CATALOGUE, Runner(), 1000))  # type: ignore[arg-type]
    answer = Client(door)("GET", READY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_full")
    assert int(answer.headers["retry-after"]) > 0
    assert Client(well)("GET", READY).json() == {"ready": True}
    assert Client(Door())("GET", READY).status_code == 503
    door.close()
    well.close()


def test_a_ledger_held_by_somebody_else_is_a_reason_to_come_back(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "WAIT_SECONDS", 0.05)
    other = engine.create(f"sqlite:///{tmp_path / 'ledger.db'}")
    event = {"event_id": "e", "customer_id": "c", "type": "session", "occurred_at": "2026-01-01T00:00:00Z"}
    with engine.writing(other):
        told = [client("POST", "/v1/decide", ask()), client("POST", "/v1/events", event)]
    other.dispose()
    assert [(t.status_code, t.json()["error"]["code"]) for t in told] == [(503, "ledger_busy")] * 2
    assert all("retry-after" in answer.headers for answer in told)
    assert client("POST", "/v1/decide", ask()).headers.get("segue-replayed") is None
    assert client("POST", "/v1/events", event).json()["accepted"] == 1


def test_a_look_over_http_is_marked_and_counted_by_itself(client: Client) -> None:
    before = figures(client)
    look = client("POST", "/v1/decide", ask(dry_run=True, channels=["web"])).json()
    after = figures(client)
    assert (look["dry_run"], look["decision_id"]) == (True, None)
    moved = {name for name in after if name.startswith("segue_") and after[name] != before.get(name, 0.0)}
    assert {name for name in moved if "created" not in name} == {"segue_dry_runs_total"}
    answer = client("POST", "/v1/decide", ask(channels=["web"]))
    assert "segue-replayed" not in answer.headers
    assert answer.json()["items"][0]["action"] == look["items"][0]["action"]


def test_apps_need_not_guess_what_the_catalogue_has(client: Client) -> None:
    told = client("GET", "/v1/catalogue").json()
    assert [channel["id"] for channel in told["channels"]] == ["email", "web"]
    assert told["actions"][0]["treatments"][0] == {
        "channel": "email",
        "content": "upgrade/email",
        "content_kept": True,
    }
    content = client("GET", "/v1/content/upgrade/email").json()
    assert (content["title"], content["data"]) == ("Twice as fast", {"image": "/fast.png"})
    assert (
        content["catalogue"] == told["version"] == client("POST", "/v1/decide", ask()).json()["versions"]["catalogue"]
    )
    missing = client("GET", "/v1/content/upgrade/web")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_content")
