"""Load: requests over kept-alive connections, timed one by one, in blocks that alternate between two servers."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import numpy as np

Body = Callable[[], bytes]


def decide_body(customers: Sequence[str], channels: Sequence[str]) -> Body:
    """Bodies of decide requests for these customers, one after another, each with a request id of its own."""
    counter = iter(range(10**9))

    def body() -> bytes:
        customer = customers[next(counter) % len(customers)]
        return json.dumps(
            {
                "request_id": str(uuid.uuid4()),
                "customer_id": customer,
                "channels": list(channels),
                "context": {"hour": 9},
            }
        ).encode()

    return body


def latencies(port: int, body: Body, requests: int, answers: list[bytes] | None = None) -> np.ndarray:
    """(requests,) seconds each, over one connection; what is answered is added to `answers`.

    Raises when an answer is not 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    taken = np.empty(requests)
    for i in range(requests):
        content = body()
        start = time.perf_counter()
        connection.request("POST", "/v1/decide", content, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        taken[i] = time.perf_counter() - start
        if response.status != 200:
            raise RuntimeError(f"port {port} answered {response.status}: {answer[:300]!r}")
        if answers is not None:
            answers.append(answer)
    connection.close()
    return taken


def throughput(port: int, body: Body, connections: int, seconds: float) -> float:
    """Requests answered per second over so many connections at once."""
    stop = time.perf_counter() + seconds
    counts = [0] * connections

    def one(index: int) -> None:
        while time.perf_counter() < stop:
            latencies(port, body, 25)
            counts[index] += 25

    threads = [threading.Thread(target=one, args=(i,)) for i in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def ratio_interval(ours: list[np.ndarray], theirs: list[np.ndarray], quantile: float) -> tuple[float, float, float]:
    """(ratio of the quantiles, 95 % bootstrap interval over blocks), blocks being what varies together."""
    rng = np.random.default_rng(1)

    def ratio(mine: Sequence[np.ndarray], yours: Sequence[np.ndarray]) -> float:
        top, bottom = np.quantile(np.concatenate(mine), quantile), np.quantile(np.concatenate(yours), quantile)
        return float(top / bottom)

    draws = []
    for _ in range(500):
        picked = rng.integers(0, len(ours), len(ours))
        draws.append(ratio([ours[i] for i in picked], [theirs[i] for i in picked]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return ratio(ours, theirs), float(low), float(high)
