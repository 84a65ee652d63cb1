"""The loop, told once over real files, real stores, real models and real HTTP.

A shop has its customers, their visits and its past campaigns in foreign files. It imports them, builds features,
trains, and serves. Customers turn the favourite offer down, the worker learns it, and the service decides differently.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import httpx
import pytest

from experiments.history import history
from experiments.population import customers as customers_of
from experiments.processes import Children, choose_port, wait_until_ready
from experiments.simulator import World
from features.catalogue import Catalogue, load_catalogue
from features.clock import format_time, now
from features.settings import SHIPPED

MAPPING = """
about = "A shop's own files."

[file.people]
path = "people.jsonl"
[file.visits]
path = "visits.csv"
[file.campaigns]
path = "campaigns.csv"
[file.answers]
path = "answers.jsonl"

[[customer]]
from = "people"
customer_id = "who"
created_at = { column = "since", time = "iso" }
zone = "zone"
consents.email = { column = "mail_ok", map = { yes = "granted", no = "denied" } }
consents.push = { column = "mail_ok", map = { yes = "granted", no = "denied" } }

[[event]]
from = "visits"
event_id = "id"
customer_id = "who"
type = "what"
occurred_at = { column = "when", time = "iso" }
value = "worth"

[[decision]]
from = "campaigns"
decision_id = "id"
customer_id = "who"
action = "offer"
channel = "by"
decided_at = { column = "when", time = "iso" }
action_probability = "chance"

[[outcome]]
from = "answers"
outcome_id = "id"
decision_id = "campaign"
kind = "answer"
occurred_at = { column = "when", time = "iso" }
"""


def segue(*arguments: str, home: Path) -> str:
    """Runs the command as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "features.cli", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "SEGUE_HOLDOUT_SHARE": "0.0",
            "SEGUE_POLL_SECONDS": "0.2",
            "SEGUE_LEARN_SECONDS": "0.2",
            "SEGUE_DEADLINE_SECONDS": "60",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's files: customers whose tastes show in what they did."""
    folder = tmp_path_factory.mktemp("shop")
    catalogue: Catalogue = load_catalogue(SHIPPED / "catalogue")
    world = World(seed=7, catalogue=catalogue, size=700)
    past = history(world, days=120, now=now())
    (folder / "mapping.toml").write_text(MAPPING)
    with (folder / "people.jsonl").open("w") as out:
        for person in customers_of(world, now()):
            row = {"who": person.customer_id, "since": format_time(person.created_at or 0), "zone": person.zone}
            out.write(json.dumps(row | {"mail_ok": "yes"}) + "\n")
    write_csv(
        folder / "visits.csv",
        [
            {
                "id": e.event_id,
                "who": e.customer_id,
                "what": e.type,
                "when": format_time(e.occurred_at),
                "worth": e.value,
            }
            for e in past.events
        ],
    )
    write_csv(
        folder / "campaigns.csv",
        [
            {
                "id": d.decision_id,
                "who": d.customer_id,
                "offer": d.arm.action,
                "by": d.arm.channel,
                "when": format_time(d.decided_at),
                "chance": repr(d.action_probability),
            }
            for d in past.decisions
        ],
    )
    with (folder / "answers.jsonl").open("w") as out:
        for o in past.outcomes:
            row = {"id": o.outcome_id, "campaign": o.decision_id, "answer": o.kind, "when": format_time(o.occurred_at)}
            out.write(json.dumps(row) + "\n")
    return folder


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@contextlib.contextmanager
def running(home: Path) -> Iterator[httpx.Client]:
    """The service and the worker, as processes of their own."""
    port = choose_port("127.0.0.1", 0, insist=False)
    segue_command = [sys.executable, "-m", "features.cli"]
    quick = {
        "SEGUE_HOLDOUT_SHARE": "0.0",
        "SEGUE_POLL_SECONDS": "0.2",
        "SEGUE_LEARN_SECONDS": "0.2",
        "SEGUE_DEADLINE_SECONDS": "60",
    }
    # Only for these two: what stays in the environment overrules the settings of every later test.
    with pytest.MonkeyPatch.context() as patch, Children(home / "logs") as children:
        for name, value in quick.items():
            patch.setenv(name, value)
        service = children.start("service", [*segue_command, "serve", "--home", str(home), "--port", str(port)])
        children.start("worker", [*segue_command, "work", "--home", str(home)])
        wait_until_ready(f"http://127.0.0.1:{port}", service)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client


def decide(client: httpx.Client, customer: str, request_id: str) -> dict[str, Any]:
    asked = {"request_id": request_id, "customer_id": customer, "channels": ["web"], "explain": True}
    answer = client.post("/v1/decide", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def best(decision: dict[str, Any]) -> str:
    """The action of the highest priority among those allowed."""
    return next(c["action"] for c in decision["candidates"] if c["stage"] is None)


def eventually(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for the system to come to it; how long that takes is no part of the claim."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.1)


def test_the_loop_from_foreign_files_to_a_decision_that_changed(shop: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    segue("import", str(shop / "mapping.toml"), str(shop), home=home)
    segue("features", "apply", home=home)
    segue("features", "build", home=home)
    segue("features", "materialise", home=home)
    segue("train", home=home)

    with running(home) as client:
        people = [f"sim-{n:06d}" for n in range(1, 701)]
        before = {p: decide(client, p, f"before-{p}") for p in people}
        assert {(d["fallback_reason"], d["reason"]) for d in before.values()} <= {
            (None, None),
            (None, "no_eligible_action"),
        }
        assert all(d["versions"]["bundle"] for d in before.values())
        assert all(sum(c["probability"] for c in d["candidates"]) == pytest.approx(1.0) for d in before.values())
        favourites = [best(d) for d in before.values() if best(d) != "do_nothing"]
        favourite = max(set(favourites), key=favourites.count)

        # Everyone who was offered the favourite turns it down.
        refused = [d for d in before.values() if d["items"][0]["action"] == favourite]
        assert len(refused) > 20
        report = [
            {
                "outcome_id": f"no-{d['decision_id']}",
                "decision_id": d["decision_id"],
                "kind": "rejected",
                "occurred_at": format_time(now()),
            }
            for d in refused
        ]
        taken = client.post("/v1/outcomes", json={"outcomes": report}).json()
        assert taken == {"accepted": len(report), "duplicates": 0, "rejected": []}

        # The worker learns, the service takes the new policy in.
        fans = [p for p, d in before.items() if best(d) == favourite]
        probe = iter(range(10**6))
        snapshot = before[fans[0]]["versions"]["policy"]
        eventually(lambda: decide(client, fans[0], f"probe-{next(probe)}")["versions"]["policy"] != snapshot)
        after = {p: decide(client, p, f"after-{p}") for p in fans}
        # Who is unlike all who refused may come out a little higher: the correction looks at who it was.
        lower = [chance(d, favourite) < chance(before[p], favourite) for p, d in after.items()]
        assert sum(lower) > 0.9 * len(lower)
        assert mean(chance(d, favourite) for d in after.values()) < mean(chance(before[p], favourite) for p in fans)
        changed = [p for p, d in after.items() if best(d) != favourite]
        assert changed, "nobody's best action changed"

        # What was answered before is answered again, byte for byte.
        again = decide(client, changed[0], f"before-{changed[0]}")
        assert again == before[changed[0]]
        told = client.get(f"/v1/decisions/{after[changed[0]]['decision_id']}").json()
        assert told["summary"]


def chance(decision: dict[str, Any], action: str) -> float:
    """The acceptance probability the decision gave this action, over its channels on average."""
    return mean(c["p_accept"] for c in decision["candidates"] if c["action"] == action and c["stage"] is None)
