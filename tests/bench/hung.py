"""Decisions while the feature store hangs, beside those while it is well: Redis behind a proxy that can be frozen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import redis

from features.settings import load_settings
from features.store import open_feature_store
from tests.bench.load import Body, latencies

REDIS_URL = os.environ.get("SEGUE_TEST_REDIS_URL", "redis://127.0.0.1:6379")
ROUNDS = 6
#: Requests of a block: at a few hundred a second it takes some seconds, as a store that hangs does at least.
REQUESTS = 1_000
#: After a thaw: the probe beside the decisions comes once a second.
RECOVERY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class HungTimes:
    """Seconds of each request, blocks of (n,) while the store is well and while it hangs; and what was marked."""

    healthy: list[np.ndarray]
    hung: list[np.ndarray]
    #: fallback_reason -> answers of the hung blocks, and of the healthy ones.
    marks: Counter[str | None]
    marks_healthy: Counter[str | None]
    #: The longest time from the thaw to an answer that is not marked.
    recovery_seconds: float


def redis_answers() -> bool:
    try:
        return bool(redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2).ping())
    except redis.RedisError:
        return False


@contextlib.contextmanager
def redis_home(home: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """(a copy of the home with its features in Redis behind a proxy, a way to `freeze` and `thaw` that)."""
    host, _, port = REDIS_URL.removeprefix("redis://").split("/")[0].partition(":")
    project = f"bench_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as scratch, frozen_at_will(host, port) as (near, tell):
        copy = Path(scratch) / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("mlruns", "*.log"))
        (copy / "segue.toml").write_text(f'online_store = "127.0.0.1:{near},project={project}"\n')
        try:
            open_feature_store(load_settings(copy, environment={})).materialise()
            yield copy, tell
        finally:
            client = redis.Redis.from_url(REDIS_URL)
            for key in client.scan_iter(f"*{project}*", count=10_000):
                client.delete(key)


@contextlib.contextmanager
def frozen_at_will(host: str, port: str) -> Iterator[tuple[int, Callable[[str], None]]]:
    """(the port of a proxy to this address, a way to `freeze` and `thaw` it)."""
    command = [sys.executable, str(Path(__file__).with_name("proxy.py")), host, port or "6379"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdin is not None
        assert proxy.stdout is not None
        asked, told = proxy.stdin, proxy.stdout

        def tell(word: str) -> None:
            asked.write(f"{word}\n")
            asked.flush()
            if told.readline().strip() != word:
                raise RuntimeError("the proxy is gone")

        yield int(told.readline()), tell
        asked.close()


def hung_times(port: int, tell: Callable[[str], None], body: Body) -> HungTimes:
    """Blocks in turn: well, hung, well, ..."""
    latencies(port, body, 300)  # warm
    healthy, hung, recoveries = [], [], []
    marks, marks_healthy = Counter[str | None](), Counter[str | None]()
    for _ in range(ROUNDS):
        healthy.append(_block(port, body, marks_healthy))
        tell("freeze")
        hung.append(_block(port, body, marks))
        tell("thaw")
        recoveries.append(_recovery(port, body))
    return HungTimes(healthy, hung, marks, marks_healthy, max(recoveries))


def _block(port: int, body: Body, marks: Counter[str | None]) -> np.ndarray:
    answers: list[bytes] = []
    taken = latencies(port, body, REQUESTS, answers)
    marks.update(json.loads(answer)["fallback_reason"] for answer in answers)
    return taken


def _recovery(port: int, body: Body) -> float:
    """Seconds until an answer is not marked any more."""
    start = time.perf_counter()
    while time.perf_counter() - start < RECOVERY_SECONDS:
        answers: list[bytes] = []
        latencies(port, body, 1, answers)
        if json.loads(answers[0])["fallback_reason"] is None:
            return time.perf_counter() - start
        time.sleep(0.01)
    raise RuntimeError(f"answers are still marked {RECOVERY_SECONDS:.0f} s after the store is back")
