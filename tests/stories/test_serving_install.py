"""A machine that only serves installs requirements-serving.lock: enough to decide, to learn and to import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stories.conftest import Serve
from tests.stories.serving_only.locks import listed

SERVING_ONLY = Path(__file__).with_name("serving_only")


def segue(*words: str) -> subprocess.CompletedProcess[str]:
    """One command, where nothing but the serving lock is installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SERVING_ONLY), *sys.path])}
    command = [sys.executable, "-m", "features.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_the_serving_lock_is_a_part_of_the_whole_one_with_the_same_versions() -> None:
    assert listed("requirements-serving.lock").items() <= listed("requirements.lock").items()


@pytest.mark.parametrize("library", ["mlflow", "evidently", "scikit-learn", "matplotlib", "dask"])
def test_libraries_of_training_and_reports_are_not_in_it(library: str) -> None:
    assert library in listed("requirements.lock")
    assert library not in listed("requirements-serving.lock")


def test_it_decides_learns_refreshes_features_and_decides_again_from_its_records(new_home: Callable[..., Path]) -> None:
    home = str(new_home())
    for words in (
        ["decide", "sim-000001"],
        ["work", "--once"],
        ["features", "build"],
        ["features", "materialise"],
        ["catalogue", "check"],
        ["replay", "--all"],
    ):
        done = segue(*words, "--home", home)
        assert done.returncode == 0, (words, done.stdout + done.stderr)


def test_the_service_answers_with_nothing_more(
    new_home: Callable[..., Path], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SERVING_ONLY), *sys.path]))
    with serve(new_home()) as service, service.client() as client:
        answer = client.post("/v1/decide", json={"request_id": "r-1", "customer_id": "sim-000001"})
        assert answer.status_code == 200
        assert answer.json()["fallback_reason"] is None


def test_a_command_that_needs_more_says_which_installation_has_it(new_home: Callable[..., Path]) -> None:
    done = segue("train", "--home", str(new_home()))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "requirements.lock" in done.stderr
