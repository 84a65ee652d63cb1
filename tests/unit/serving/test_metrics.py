"""The metrics page has our figures and the process's own, whoever else keeps some in the same place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = """
from prometheus_client import Counter
Counter("feast_things", "Not ours").inc()
from serving.metrics import Metrics
metrics = Metrics()
metrics.replayed()
print(metrics.text().decode())
"""


@pytest.mark.parametrize("shared", [True, False])
def test_only_our_figures_and_the_process_are_on_the_page(tmp_path: Path, shared: bool) -> None:
    more = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)} if shared else {}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PROMETHEUS")} | more
    told = subprocess.run([sys.executable, "-c", PAGE], env=environment, capture_output=True, text=True, check=True)
    names = {line.split("{")[0].split(" ")[0] for line in told.stdout.splitlines() if line and line[0] != "#"}
    assert {name.split("_")[0] for name in names} == {"segue", "process"}
    assert "segue_replayed_total 1.0" in told.stdout


#: One worker of two: it counts, tells its figures, and stays until its input ends.
WORKER = """
import sys
from serving.metrics import Metrics
metrics = Metrics()
for asked in sys.stdin:
    if asked.strip() == "count":
        metrics.replayed()
        metrics.stale({"catalogue": True})
        print("done", flush=True)
    else:
        print(metrics.text().decode(), "end", sep="\\n", flush=True)
"""


def asked(worker: subprocess.Popen[str], what: str) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{what}\n")
    worker.stdin.flush()
    lines = list(iter(lambda: worker.stdout.readline().strip(), "done" if what == "count" else "end"))  # type: ignore
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if x and x[0] != "#")}


def test_workers_add_up_and_one_that_was_killed_leaves_its_counts_but_no_alarm(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as other:  # type: ignore
        asked(other, "count")
        asked(killed, "count")
        asked(killed, "count")
        both = asked(other, "page")
        killed.kill()
        killed.wait()
        one = asked(other, "page")
        other.communicate()
    assert (both["segue_replayed_total"], one["segue_replayed_total"]) == (3, 3)
    assert (both["segue_workers"], one["segue_workers"]) == (2, 1)
    assert both["process_resident_memory_bytes"] > one["process_resident_memory_bytes"] > 0


def test_the_alarm_of_a_killed_worker_goes_with_it(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as other:  # type: ignore
        asked(killed, "count")
        assert asked(other, "page")['segue_stale{part="catalogue"}'] == 1
        killed.kill()
        killed.wait()
        assert asked(other, "page").get('segue_stale{part="catalogue"}', 0.0) == 0
        other.communicate()
