"""What stories share: a small home with trained models, a service over it, and processes that decide at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from experiments.processes import Child, Children, choose_port, wait_until_ready

HERE = Path(__file__).resolve().parent
#: No story is about the holdout or about a slow machine.
SETTINGS: dict[str, Any] = {
    "holdout_share": 0.0,
    "deadline_seconds": 60.0,
    "poll_seconds": 0.5,
    "learn_seconds": 0.5,
    "decision_log": False,
}


@dataclass(frozen=True, slots=True)
class Service:
    """A running `segue serve`."""

    home: Path
    address: str
    child: Child

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=60.0, trust_env=False)

    def kill(self) -> None:
        """`kill -9` of all its processes, the first one first: it would start the others again."""
        first = psutil.Process(self.child.process.pid)
        for one in [first, *first.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


#: (home) -> the service, for as long as the `with` block lasts.
Serve = Callable[..., AbstractContextManager[Service]]
#: (requests) -> answers in the same order, decided at the same moment by several processes.
Contend = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, also where several test processes run side by side. Not to be written to: take `home`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "small-home"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            command = [sys.executable, str(HERE / "small_home.py"), str(making)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            making.rename(folder)
    return folder


def copy_home(trained_home: Path, home: Path, **settings: Any) -> Path:
    """A home of one's own with these settings over `SETTINGS`."""
    shutil.copytree(trained_home, home, ignore=shutil.ignore_patterns("mlruns", "mlflow.db"))
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**SETTINGS, **settings}.items()]
    (home / "segue.toml").write_text("\n".join(lines))
    return home


@pytest.fixture
def new_home(trained_home: Path, tmp_path: Path) -> Callable[..., Path]:
    """(**settings) -> a trained home of the test's own."""
    return lambda **settings: copy_home(trained_home, tmp_path / "home", **settings)


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Service]:
    port = choose_port("127.0.0.1", 0, insist=False)
    with Children(home / "logs") as children:
        command = [sys.executable, "-m", "features.cli", "serve", "--home", str(home), "--port", str(port)]
        child = children.start("service", command)
        wait_until_ready(f"http://127.0.0.1:{port}", child)
        yield Service(home, f"http://127.0.0.1:{port}", child)


@pytest.fixture(scope="session")
def serve() -> Serve:
    return serving


@pytest.fixture(scope="module")
def service(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two worker processes over one home, for all tests of a module."""
    with serving(copy_home(trained_home, tmp_path_factory.mktemp("serving") / "home", workers=2)) as running:
        yield running


@pytest.fixture
def contend() -> Iterator[Callable[..., Contend]]:
    """(home, processes) -> a way to decide many requests at once."""
    running: list[subprocess.Popen[str]] = []

    def start(home: Path, processes: int) -> Contend:
        command = [sys.executable, str(HERE / "contenders.py"), str(home), str(processes)]
        with (home / "contenders.log").open("w") as errors:
            one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        running.append(one)
        assert one.stdin is not None
        assert one.stdout is not None
        told, asked = one.stdout, one.stdin
        assert told.readline() == "ready\n", (home / "contenders.log").read_text()

        def decide(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
            asked.write(json.dumps(requests) + "\n")
            asked.flush()
            line = told.readline()
            assert line, (home / "contenders.log").read_text()
            answers: list[dict[str, Any]] = json.loads(line)
            return answers

        return decide

    yield start
    for one in running:
        with one:  # closes its input, which ends it, and waits
            pass
