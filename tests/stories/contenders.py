"""Run as a script: several processes that decide at the same moment over one ledger.

    python contenders.py HOME PROCESSES

Each process joins its own stores, decider and door, and decides in as many threads as the service does. A line read is
a list of requests; request k goes to process k modulo their number, all begin at the same moment, and the line written
back holds their answers in the same order. The processes are forked once the libraries are loaded, before anything is
opened.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from features import clock
from features.errors import SegueError
from features.settings import load_settings
from serving.decider import Decider
from serving.routes import Door
from serving.schema import DecideRequest
from serving.wiring import THREADS, build, threads_of


def main(home: Path, processes: int) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is written goes with the errors, so that a line is always an answer
    ends = [start(home) for _ in range(processes)]
    for end in ends:
        end.recv()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        requests = json.loads(line)
        at = time.monotonic() + 0.003
        for n, end in enumerate(ends):
            end.send((at, requests[n::processes]))
        told: list[Any] = [None] * len(requests)
        for n, end in enumerate(ends):
            told[n::processes] = end.recv()
        print(json.dumps(told), file=answers, flush=True)
    for end in ends:
        end.send(None)


def start(home: Path) -> Connection:
    """A process that decides what is sent to it; its first word says that it is ready."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    context.Process(target=contend, args=(home, theirs), daemon=True).start()
    return ours


def contend(home: Path, end: Connection) -> None:
    parts = build(load_settings(home), Door())
    with ThreadPoolExecutor(threads_of(parts.settings, parts.ledger) or THREADS) as pool:
        end.send("ready")
        while (task := end.recv()) is not None:
            end.send(list(pool.map(partial(decide, parts.decider, task[0]), task[1])))
    parts.close()


def decide(decider: Decider, at: float, request: dict[str, Any]) -> dict[str, Any]:
    """The answer as it would go over the wire, or the code of the error; not before `at` on the monotonic clock."""
    message = msgspec.convert(request, DecideRequest)
    time.sleep(max(0.0, at - time.monotonic()))
    try:
        answer = decider.decide(message, clock.now())
    except SegueError as error:
        return {"error": error.code}
    return {"body": answer.body.decode(), "replayed": answer.replayed}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
