"""A challenger tried on customers over real HTTP: in the shadow, on a share of them, and back again when it does harm.

Every step is a command or a request a user would give; what turns it back is `segue work` alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from features.clock import format_time, now

CUSTOMERS = [f"sim-{n:06d}" for n in range(1, 401)]
SHARE = 0.25
#: A challenger that spreads what it does, so that everybody hears from it sometimes.
CHALLENGER = "uniform"


def segue(*arguments: str, home: Path) -> str:
    """What a command that succeeds prints, on one line."""
    command = [sys.executable, "-m", "features.cli", *arguments, "--home", str(home)]
    wide = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=wide)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def bundles(home: Path) -> set[str]:
    return {folder.name for folder in (home / "bundles").iterdir() if folder.is_dir()}


def ask(client: httpx.Client, name: str) -> dict[str, dict[str, Any]]:
    """Customer -> the decision of a request of this name."""
    found = {}
    for customer in CUSTOMERS:
        answer = client.post("/v1/decide", json={"request_id": f"{name}-{customer}", "customer_id": customer})
        assert answer.status_code == 200, answer.text
        found[customer] = answer.json()
    return found


def strategies(decisions: dict[str, dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    """(bundle, rule of drawing) -> the customers that it decided for."""
    found: dict[tuple[str, str], set[str]] = {}
    for customer, decision in decisions.items():
        versions = decision["versions"]
        found.setdefault((versions["bundle"], versions["policy"].split("/")[0]), set()).add(customer)
    return found


def until_share(client: httpx.Client, share: float) -> None:
    """Waits for the service to have taken the step in; how long that takes is no part of the claim."""
    end = time.monotonic() + 60.0
    while f"segue_ramp_share {share}" not in client.get("/metrics").text:
        assert time.monotonic() < end, client.get("/metrics").text
        time.sleep(0.1)


def send(client: httpx.Client, decisions: list[dict[str, Any]], kinds: tuple[str, ...]) -> int:
    """Reports these outcomes of every contact among the decisions; how many were taken."""
    told = [
        {
            "outcome_id": f"{kind}-{decision['decision_id']}",
            "decision_id": decision["decision_id"],
            "kind": kind,
            "occurred_at": format_time(now()),
        }
        for decision in decisions
        for kind in kinds
        if decision["items"][0]["action"] != "do_nothing"
    ]
    answer = client.post("/v1/outcomes", json={"outcomes": told})
    assert answer.json() == {"accepted": len(told), "duplicates": 0, "rejected": []}
    return len(told)


def test_a_challenger_that_harms_is_tried_on_its_share_and_turned_back_by_the_worker(
    new_home: Callable[..., Path], serve: Any
) -> None:
    # Steps may end at once, and this machine's speed is no part of the story.
    home = new_home(policy="epsilon-greedy", probability_floor=0.0, ramp_step_hours=0.0, gate_latency_ratio=100.0)
    (first,) = bundles(home)
    segue("train", "--no-promote", home=home)
    (second,) = bundles(home) - {first}
    champion, challenger = (first, "epsilon-greedy-0.1"), (second, CHALLENGER)

    with serve(home) as service, service.client() as client:
        told = segue("ramp", "start", second, "--policy", CHALLENGER, "--first-share", str(SHARE), home=home)
        assert f"bundle {second}, policy {CHALLENGER}" in told
        assert "in the shadow" in told
        assert strategies(ask(client, "shadow")) == {champion: set(CUSTOMERS)}
        segue("work", "--once", home=home)
        until_share(client, SHARE)

        # Exactly those whose keyed hash falls into the share, and again the same ones.
        ramp = json.loads((home / "ramp.json").read_text())["name"]
        tried = {
            customer
            for customer in CUSTOMERS
            if int.from_bytes(sha256(f"segue:{ramp}|{customer}".encode()).digest(), "big") % 10**6 < SHARE * 10**6
        }
        expected = {champion: set(CUSTOMERS) - tried, challenger: tried}
        rounds = [ask(client, name) for name in ("once", "twice")]
        for made in rounds:
            assert strategies(made) == expected
            groups = {customer: decision["variants"][ramp] for customer, decision in made.items()}
            assert {customer for customer, group in groups.items() if group == "challenger"} == tried
        assert ask(client, "once") == rounds[0], "the same requests have the same answers"

        # A decision of the challenger is told, and made again from its record, bit for bit.
        one = rounds[0][min(tried)]["decision_id"]
        assert client.get(f"/v1/decisions/{one}").json()["versions"]["bundle"] == second
        assert "same │ 1 " in segue("replay", one, home=home)

        # Whoever the challenger contacts complains and opts out; the champion's customers accept.
        decided = [decision for made in rounds for decision in made.items()]
        assert send(client, [d for c, d in decided if c in tried], ("complained", "opted_out")) > 50
        send(client, [d for c, d in decided if c not in tried], ("accepted",))
        segue("work", "--once", home=home)
        until_share(client, 0.0)

        after = ask(client, "after")
        assert strategies(after) == {champion: set(CUSTOMERS)}
        assert all(set(decision["variants"]) == {"holdout"} for decision in after.values())
        status = segue("ramp", "status", home=home)
        assert status.startswith("rolled back, share 0%: ")
        assert "opt-outs worse: +" in status
        assert "complaints worse: +" in status
        assert "same │ 1,600 " in segue("replay", "--all", home=home)
