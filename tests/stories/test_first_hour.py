"""The first hour: within minutes of `segue up` in an empty home every command that learns or judges says something."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.processes import choose_port
from tests.stories.up_running import Up, running

SEGUE = [sys.executable, "-m", "features.cli"]
CUSTOMERS = 1_500

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A new home with its traffic running, in which new models were trained and are being tried on customers."""
    home = tmp_path_factory.mktemp("first") / "home"
    with running(home, CUSTOMERS, choose_port("127.0.0.1", 0, insist=False)) as one:
        yield one
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(60) == 0


@pytest.fixture(scope="module")
def trained(up: Up) -> str:
    return segue(up.home, "train")


def segue(home: Path, *command: str, status: tuple[int, ...] = (0,)) -> str:
    """What a command prints."""
    done = subprocess.run(
        [*SEGUE, *command, "--home", str(home)],
        capture_output=True, text=True, timeout=600, check=False, env={**Up.environment(), "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode in status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def count(pattern: str, text: str) -> int:
    """The number a sentence names."""
    found = re.search(pattern, text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def test_training_releases_models_and_compares_them_with_the_champions(trained: str) -> None:
    for name in ("churn", "conversion", "propensity"):
        assert re.search(rf"{name}: (pass|fail)", trained), trained
    assert "`segue promote` compares it with" in trained


@pytest.mark.usefixtures("trained")
def test_a_candidate_is_judged_on_recorded_decisions(up: Up) -> None:
    told = segue(up.home, "promote", "--dry-run", status=(0, 1, 2))
    assert count(r"on ([\d,]+) recorded decisions", told) > 500
    assert "no decision whose window has closed" not in told
    for gate in ("value", "opt-outs", "calibration", "latency"):
        assert gate in told


@pytest.mark.usefixtures("trained")
def test_a_ramp_is_compared_with_the_champion_on_live_decisions(up: Up) -> None:
    segue(up.home, "ramp", "start", "--first-share", "0.25")
    deadline = time.monotonic() + 120.0
    while "were compared" not in (told := segue(up.home, "ramp", "status")):
        assert time.monotonic() < deadline, told
        time.sleep(5.0)
    assert count(r"began ([\d,]+) were compared", told) > 0


def test_another_policy_is_valued_on_the_ledger(up: Up) -> None:
    told = segue(up.home, "experiment", "evaluate", "ledger", "--target", "thompson", status=(0, 1, 2))
    assert count(r"([\d,]+) rows", told) > 1_000
    assert re.search(r"(better|worse|insufficient): thompson would have earned -?\d", told), told


def test_the_holdout_is_reviewed(up: Up) -> None:
    told = segue(up.home, "experiment", "review", "holdout", status=(0, 1, 2))
    assert count(r"([\d,]+) customers against", told) > 1_000
    assert "customers who bought" in told


def test_recorded_requests_are_decided_again(up: Up) -> None:
    told = segue(up.home, "simulate", "--replay", status=(0, 1, 2))
    assert count(r"([\d,]+) decisions of", told) > 2_000
    assert segue(up.home, "replay", "--all").count("different") == 1
