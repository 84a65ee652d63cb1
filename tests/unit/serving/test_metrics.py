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
