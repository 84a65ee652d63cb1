"""`make bench`: every figure as a ratio inside one run, printed as a table and written to data/local/bench.json."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from features.cli import QUIET
from features.settings import DEFAULT_HOME
from tests.bench.load import decide_body, latencies, ratio_interval, throughput

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME / "bench")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--requests", type=int, default=250, help="requests in a block")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each throughput block")
    options = parser.parse_args()
    os.environ.update(QUIET)
    from tests.bench.learn import learn_rows
    from tests.bench.ope import ope_rows
    from tests.bench.workload import CHANNELS, build_home

    console = Console()
    with console.status("workload W: simulating, building features, training ..."):
        customers = build_home(options.home)
    body = decide_body(customers, CHANNELS)
    batch = batch_rows(options.home)  # before the requests, whose contacts it would have to read
    with segue(options.home) as (ours, process, started), empty() as theirs:
        rows = http_rows(ours, theirs, body, options)
        rows.append(row("worker memory", resident_mb(process), "MB"))
        rows.append(row("start-up to first answer", started, "s"))
    rows += worker_rows(options.home, body, options.seconds)
    rows += batch
    rows += learn_rows()
    rows += append_rows(options.home)
    rows += hung_rows(options.home, body)
    rows += ope_rows(row)
    show(console, rows)
    DEFAULT_HOME.mkdir(parents=True, exist_ok=True)
    (DEFAULT_HOME / "bench.json").write_text(json.dumps(rows, indent=1))
    console.print(f"written: {(DEFAULT_HOME / 'bench.json').relative_to(ROOT)}")


def batch_rows(home: Path) -> list[dict[str, Any]]:
    """Everybody decided at once, beside LightGBM alone on the same rows; the interval is that of the rounds."""
    from tests.bench.batch import batch_seconds

    times = batch_seconds(home)
    ways = [seconds / times.bare for seconds in (times.recorded, times.squarecb, times.dry)]
    middle = [float(np.median(ratios)) for ratios in ways]
    spread = [(float(ratios.min()), float(ratios.max())) for ratios in ways]
    return [
        row("batch decisions, recorded / bare LightGBM predict", middle[0], "ratio", "<= 2.0", "<= 1.3", spread[0]),
        row("the same, policy squarecb", middle[1], "ratio", "<= 2.0", "<= 1.3", spread[1]),
        row("batch decisions, dry run / bare LightGBM predict", middle[2], "ratio", interval=spread[2]),
        row("batch decisions per second, recorded", times.customers / float(np.median(times.recorded)), "1/s"),
        row("rows predicted for a customer", times.rows / times.customers, "rows"),
    ]


def append_rows(home: Path) -> list[dict[str, Any]]:
    """Waiting for the disk together beside waiting for it each; the interval is that of the rounds."""
    from tests.bench.ledger import SLOW_SYNC_SECONDS, THREADS, append_rates

    rates = append_rates(home)
    ratios, slow = rates.gathered / rates.single, rates.slow_gathered / rates.slow_single
    share = 1.0 - float(np.median(rates.single)) / float(np.median(rates.unsafe))
    name = "acknowledged decisions per second, power-safe / one commit per row"
    simulated = f"the same, SIMULATED disk, {SLOW_SYNC_SECONDS * 1e3:.0f} ms more a commit"
    spread = [(float(some.min()), float(some.max())) for some in (ratios, slow)]
    return [
        row(name, float(np.median(ratios)), "ratio", ">= 10", ">= 50", spread[0]),
        row(f"decisions per second, power-safe, {THREADS} threads", float(np.median(rates.gathered)), "1/s"),
        row("decisions per second, power-safe, one commit per row", float(np.median(rates.single)), "1/s"),
        row("share of that which waits for the disk", share, "ratio"),
        row(simulated, float(np.median(slow)), "ratio", interval=spread[1]),
    ]


def worker_rows(home: Path, body: Any, seconds: float) -> list[dict[str, Any]]:
    """Two worker processes beside one; the interval is that of the rounds. The load takes a part of the same cores."""
    from tests.bench.workers import worker_rates

    rows = []
    for database, rates in worker_rates(home, body, seconds).items():
        ratios = rates.two / rates.one
        name = f"decisions per second on {database}"
        spread = (float(ratios.min()), float(ratios.max()))
        rows += [
            row(f"{name}, 2 workers / 1 worker", float(np.median(ratios)), "ratio", interval=spread),
            row(f"{name}, 1 worker", float(np.median(rates.one)), "1/s"),
            row(f"{name}, 2 workers", float(np.median(rates.two)), "1/s"),
        ]
    return rows


def hung_rows(home: Path, body: Any) -> list[dict[str, Any]]:
    """Decisions over HTTP while the feature store hangs; nothing where there is no Redis."""
    from tests.bench.hung import hung_times, redis_answers, redis_home

    name = "feature store hung: p99 / healthy p99"
    if not redis_answers():
        print(f"left out, because no Redis answers: {name}")
        return []
    with redis_home(home) as (copy, tell), segue(copy) as (port, _process, _started):
        times = hung_times(port, tell, body)
    ratio = ratio_interval(times.hung, times.healthy, 0.99)
    marked, asked = times.marks.total() - times.marks[None], times.marks.total()
    milliseconds = [np.concatenate(blocks) * 1e3 for blocks in (times.hung, times.healthy)]
    return [
        row(name, ratio[0], "ratio", "<= 1.5", "<= 1.0", ratio[1:]),
        row("feature store hung: share of answers marked", marked / asked, "ratio", ">= 1.0", ">= 1.0"),
        row("feature store hung: p99", float(np.quantile(milliseconds[0], 0.99)), "ms"),
        row("feature store well (Redis behind a proxy): p99", float(np.quantile(milliseconds[1], 0.99)), "ms"),
        row("feature store hung: longest", float(milliseconds[0].max()), "ms"),
        row("feature store back: seconds until answers are unmarked, longest", times.recovery_seconds, "s"),
    ]


def http_rows(ours: int, theirs: int, body: Any, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Latency and throughput beside the empty endpoint, in alternating blocks."""
    for port in (ours, theirs):
        latencies(port, body, 300)  # warm
    mine, empty_times = [], []
    for _ in range(options.blocks):
        mine.append(latencies(ours, body, options.requests))
        empty_times.append(latencies(theirs, body, options.requests))
    rates = [
        (throughput(ours, body, 16, options.seconds), throughput(theirs, body, 16, options.seconds)) for _ in range(3)
    ]
    all_mine, all_empty = np.concatenate(mine) * 1e3, np.concatenate(empty_times) * 1e3
    p50, p99 = ratio_interval(mine, empty_times, 0.5), ratio_interval(mine, empty_times, 0.99)
    ratios = sorted(a / b for a, b in rates)
    return [
        row("HTTP decide p50 / empty endpoint", p50[0], "ratio", "<= 1.7", "<= 1.0", p50[1:]),
        row("HTTP decide p99 / empty endpoint", p99[0], "ratio", "<= 1.5", "<= 0.7", p99[1:]),
        row("throughput at 16 connections / empty", ratios[1], "ratio", ">= 0.6", ">= 1.0", (ratios[0], ratios[2])),
        row("HTTP decide p50", float(np.quantile(all_mine, 0.5)), "ms"),
        row("HTTP decide p99", float(np.quantile(all_mine, 0.99)), "ms"),
        row("HTTP decide longest", float(all_mine.max()), "ms"),
        row("empty endpoint p50", float(np.quantile(all_empty, 0.5)), "ms"),
        row("empty endpoint p99", float(np.quantile(all_empty, 0.99)), "ms"),
        row("decisions per second, 16 connections", float(np.median([a for a, _ in rates])), "1/s"),
    ]


def row(
    name: str,
    measured: float,
    unit: str,
    must: str | None = None,
    aim: str | None = None,
    interval: tuple[float, float] | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "measured": round(measured, 4),
        "must": must,
        "aim": aim,
        "unit": unit,
        "interval": None if interval is None else [round(x, 4) for x in interval],
    }


def show(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table("what", "measured", "95 % interval", "must", "aim", "unit", title="make bench")
    for one in rows:
        interval = "" if one["interval"] is None else "{:.2f} to {:.2f}".format(*one["interval"])
        shown = f"{one['measured']:.2f}"
        if one["must"]:
            sign, limit = one["must"].split()
            met = one["measured"] <= float(limit) if sign == "<=" else one["measured"] >= float(limit)
            shown = f"[{'green' if met else 'red'}]{shown}[/]" + ("" if met else " missed")
        table.add_row(one["name"], shown, interval, one["must"] or "", one["aim"] or "", one["unit"])
    console.print(table)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def segue(home: Path) -> Iterator[tuple[int, subprocess.Popen[bytes], float]]:
    port = free_port()
    start = time.perf_counter()
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Segue"]
    with serving(command, port, home / "bench-segue.log", SEGUE_HOME=str(home)) as process:
        yield port, process, time.perf_counter() - start


@contextlib.contextmanager
def empty() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "tests.bench.empty_service:Empty"]
    with serving(command, port, DEFAULT_HOME / "bench-empty.log"):
        yield port


@contextlib.contextmanager
def serving(command: list[str], port: int, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server on `port`, ready when this returns, gone with everything it started afterwards."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [*command, "--host", "127.0.0.1", "--port", str(port), "--api-workers", "1"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
        try:
            wait_ready(port, process, log)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server stopped; see {log}")
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not become ready; see {log}")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of the largest process of the server's session: the worker."""
    largest = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            stat = (status.parent / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) == process.pid:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
                largest = max(largest, float(lines.get("VmRSS", "0 kB").split()[0]) / 1024)
    return largest


if __name__ == "__main__":
    main()
