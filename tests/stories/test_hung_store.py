"""The feature store hangs: every request is answered and says what it went without; when it is back nobody must act."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.settings import load_settings
from features.store import open_feature_store

PROXY = Path(__file__).resolve().parents[1] / "bench" / "proxy.py"
#: Reads of the store wait for half of it.
DEADLINE_SECONDS = 1.0
MARKS = {"features_unavailable", "features_stale", "deadline_exceeded"}

#: `freeze` or `thaw`: done when this returns.
Tell = Callable[[str], None]


@pytest.fixture
def proxied(redis_address: str) -> Iterator[tuple[str, Tell]]:
    """(an address of Redis behind a proxy, a way to freeze and thaw that)."""
    address, project = redis_address.split(",")
    command = [sys.executable, str(PROXY), *address.split(":")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdin is not None
        assert proxy.stdout is not None
        asked, told = proxy.stdin, proxy.stdout

        def tell(word: str) -> None:
            asked.write(f"{word}\n")
            asked.flush()
            assert told.readline().strip() == word

        yield f"127.0.0.1:{told.readline().strip()},{project}", tell
        asked.close()


def test_while_the_store_hangs_every_answer_is_marked_and_once_it_is_back_none_is(
    new_home: Callable[..., Path], serve: Any, proxied: tuple[str, Tell]
) -> None:
    address, tell = proxied
    home = new_home(online_store=address, deadline_seconds=DEADLINE_SECONDS)
    open_feature_store(load_settings(home, environment={})).materialise()
    tell("freeze")
    with serve(home) as service, service.client() as client:
        ask = Asking(client)
        assert ask.marks(20) <= MARKS, "a service that starts while its store hangs decides without it"
        tell("thaw")
        ask.until_unmarked()
        for _ in range(2):
            ask.marks(30)
            tell("freeze")
            marks = ask.marks(60)
            assert marks <= MARKS
            assert marks & {"features_stale", "features_unavailable"}
            assert "segue_feature_store_given_up 1.0" in ask.metrics_until("segue_feature_store_given_up 1.0")
            tell("thaw")
            ask.until_unmarked()
            ask.metrics_until("segue_feature_store_given_up 0.0")


class Asking:
    """Asks for decisions, for one customer after another, always with new requests."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._asked = 0

    def marks(self, requests: int) -> set[str | None]:
        """The fallback reasons of so many answers, all of which are decisions."""
        return {self._mark() for _ in range(requests)}

    def until_unmarked(self) -> None:
        for _ in range(600):
            if self._mark() is None:
                return
            time.sleep(0.1)
        raise AssertionError("answers are still marked though the store is back")

    def metrics_until(self, line: str) -> str:
        for _ in range(600):
            text = self._client.get("/metrics").text
            if line in text:
                return text
            time.sleep(0.1)
        ours = "\n".join(told for told in text.splitlines() if told.startswith("segue_") and "bucket" not in told)
        raise AssertionError(f"the metrics never said {line}, but\n{ours}")

    def _mark(self) -> str | None:
        self._asked += 1
        body = {
            "request_id": f"hung-{self._asked}",
            "customer_id": f"sim-{1 + self._asked % 40:06d}",
            "channels": ["web"],
        }
        answer = self._client.post("/v1/decide", json=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["items"]
        mark = told["fallback_reason"]
        assert mark is None or isinstance(mark, str)
        return mark
