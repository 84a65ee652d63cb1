"""`segue up` on a busy machine, with its catalogue edited all the while: two minutes in which nothing may end it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from experiments.processes import choose_port
from features.ledger import read_arrow
from tests.stories.up_running import Up, running

#: Seconds between two edits, of which there are ten.
PAUSE = 12.0
NEW = """
[[action]]
id = "{name}"
group = "growth"
value = 55.0
window_days = 7
treatment = [{{ channel = "web", content = "new/banner" }}, {{ channel = "push", content = "new/push" }}]
"""

pytestmark = pytest.mark.slow


def edits(shipped: str) -> Iterator[tuple[str, str]]:
    """What is done to the actions, and what the file then says."""
    yield "an action is added", shipped + NEW.format(name="brand_new")
    yield "it is renamed", shipped + NEW.format(name="brand_newer")
    yield "the file is no TOML any more", shipped + "[[action"
    yield "it is repaired", shipped + NEW.format(name="brand_new")
    yield "an old action is taken away", shipped.replace('id = "loyalty_points"', 'id = "points_renamed"')
    yield "a rule asks for a feature that is none", shipped.replace("purchases_90d", "purchases_never")
    yield "it is repaired", shipped
    yield "a value is edited", shipped.replace("value = 40.0", "value = 400.0")
    yield "nothing is left", ""
    yield "all is back, with one more", shipped + NEW.format(name="at_last")


class Visitor(threading.Thread):
    """Asks the service all the while, and counts what it answers."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address, self.found, self.over = address, Counter[object](), threading.Event()

    def run(self) -> None:
        number = 0
        with httpx.Client(base_url=self.address, timeout=20.0, trust_env=False) as client:
            while not self.over.wait(0.1):
                number += 1
                body = {"request_id": f"visitor-{number}", "customer_id": f"sim-{number % 400 + 1:06d}"}
                for call in (lambda: client.get("/livez"), lambda body=body: client.post("/v1/decide", json=body)):
                    try:
                        self.found[call().status_code] += 1
                    except httpx.HTTPError as error:
                        self.found[type(error).__name__] += 1


def test_a_busy_machine_and_ten_edits_of_the_catalogue_end_nothing(tmp_path: Path) -> None:
    home, port = tmp_path / "home", choose_port("127.0.0.1", 0, insist=False)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with running(home, 400, port, SEGUE_DEADLINE_SECONDS="0.01") as up:
            visitor = Visitor(up.address)
            visitor.start()
            file = home / "catalogue" / "actions.toml"
            for _, text in edits(file.read_text()):
                file.write_text(text)
                time.sleep(PAUSE)
                assert up.process.poll() is None, up.said
            visitor.over.set()
            visitor.join(30.0)
            up.process.send_signal(signal.SIGINT)
            assert up.process.wait(60) == 0
            said = up.said
    finally:
        busy.kill()
        busy.wait()
    assert "Traceback" not in said
    assert set(visitor.found) == {200}
    assert visitor.found[200] > 200
    answered_new_offers(up)


def answered_new_offers(up: Up) -> None:
    """Offers added meanwhile were shown, and answered by some."""
    rows = read_arrow(
        f"sqlite:///{up.home / 'ledger.db'}",
        "SELECT i.action, o.kind FROM decision_items i LEFT JOIN outcomes o ON o.decision_id = i.decision_id "
        "WHERE i.action LIKE 'brand%' OR i.action = 'at_last'",
    ).to_pylist()
    assert {row["action"] for row in rows} == {"brand_new", "brand_newer", "at_last"}
    assert any(row["kind"] for row in rows)
