from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from experiments.homes import fill_home, populate
from experiments.processes import Child, Children, choose_port, tail, unhurried, wait_until_ready
from experiments.steps import Steps
from experiments.up import Stopped, models_trained, stoppable
from features.clock import DAY
from features.domain import Customer
from features.errors import Conflict, InvalidInput, NotReady
from features.home import prepare_home
from features.ledger import open_ledger
from features.settings import Settings
from training.evaluate import Metrics, Verdict
from training.report import ModelReport, TrainingReport

NOW = 20_000 * DAY
READY = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def silent(_share: float) -> None:
    pass


def test_a_home_without_a_catalogue_gets_the_shipped_one_and_an_own_one_stays(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert prepare_home(settings)
    (tmp_path / "catalogue" / "actions.toml").write_text("# mine\n")
    assert not prepare_home(settings)
    assert (tmp_path / "catalogue" / "actions.toml").read_text() == "# mine\n"


def test_an_empty_home_gets_a_world_and_the_next_run_finds_the_same(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    made = populate(settings, ledger, 15, NOW, silent)
    events = ledger.count("events")
    again = populate(settings, ledger, 99, NOW + DAY, silent)
    assert made.simulated
    assert again.customer_ids == made.customer_ids
    assert (again.world.seed, again.world.size) == (made.world.seed, made.world.size)
    assert ledger.count("events") == events
    ledger.close()


def test_a_history_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)

    class Interrupted(Exception):
        pass

    def interrupt(share: float) -> None:
        if share > 0.2:
            raise Interrupted

    with pytest.raises(Interrupted):
        populate(settings, ledger, 15, NOW, interrupt)
    assert ledger.count("outcomes") == 0
    populate(settings, ledger, 15, NOW + DAY, silent)
    counts = [ledger.count(name) for name in ("customers", "events", "decisions", "outcomes")]
    whole = open_ledger(f"sqlite:///{tmp_path / 'whole.db'}")
    populate(settings, whole, 15, NOW, silent)
    assert counts == [whole.count(name) for name in ("customers", "events", "decisions", "outcomes")]
    whole.close()
    ledger.close()


def test_imported_customers_are_adopted_and_nothing_is_written_to_their_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("anna"), Customer("bert")])
    population = populate(settings, ledger, 15, NOW, silent)
    assert not population.simulated
    assert population.customer_ids == ("anna", "bert")
    assert ledger.count("events") == 0
    ledger.close()
    with pytest.raises(Conflict, match="imported"):
        fill_home(settings, 15, NOW, Console(quiet=True))


def test_a_taken_port_is_changed_or_refused_when_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port("127.0.0.1", port, insist=False) != port
        with pytest.raises(InvalidInput, match=f"port {port} of 127.0.0.1 is in use"):
            choose_port("127.0.0.1", port, insist=True)
    assert choose_port("127.0.0.1", port, insist=True) == port


def test_a_child_is_waited_for_and_stopped_with_everything_it_started(tmp_path: Path) -> None:
    port = choose_port("127.0.0.1", 0, insist=False)
    grandchild = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {READY!r}, '{port}']); p.wait()"
    with Children(tmp_path) as children:
        child = children.start("service", [sys.executable, "-c", grandchild])
        wait_until_ready(f"http://127.0.0.1:{port}", child, 10.0)
        children.check()
    assert child.process.poll() is not None
    assert wait_for(lambda: choose_port("127.0.0.1", port, insist=False) == port)


def test_a_child_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("worker", [sys.executable, "-c", "raise SystemExit('no ledger here')"])
        with pytest.raises(NotReady, match=r"worker ended with status 1(.|\n)*no ledger here"):
            wait_until_ready("http://127.0.0.1:9", child, 10.0)


def test_what_a_decision_log_says_is_no_reason_for_an_end(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("listening\n" + "x" * 70_000 + "\nno room left on the disk\n" + '{"decision_id": "d-1"}\n' * 40)
    assert tail(log).splitlines()[-1].strip() == "no room left on the disk"
    assert "decision_id" not in tail(log)
    assert "not to be read" in tail(tmp_path / "none.log")


def test_a_killed_child_is_named_with_its_signal(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("service", [sys.executable, "-c", "import time; time.sleep(60)"])
        child.process.kill()
        child.process.wait()
        with pytest.raises(NotReady, match="service ended by signal SIGKILL"):
            children.check()


def test_a_child_that_stays_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        service = children.start("service", [sys.executable, "-c", "import time; time.sleep(60)"])
        worker = children.start("worker", [sys.executable, "-c", "print('hello', flush=True); 1 / 0"], stays=True)
        worker.process.wait()
        assert children.check() == []
        worker.started -= 10.0
        (told,) = children.check()
        assert "worker ended and was started again, 1 times" in told
        worker.process.wait()
        assert worker.log.read_text().count("hello") == 2
        assert service.process.poll() is None


def test_a_stop_that_comes_while_a_child_is_started_waits_until_it_is_on_the_list(tmp_path: Path) -> None:
    def starts() -> None:
        with stoppable(), Children(tmp_path) as children, unhurried():
            os.kill(os.getpid(), signal.SIGTERM)
            started.append(children.start("service", [sys.executable, "-c", "import time; time.sleep(60)"]))

    started: list[Child] = []
    with pytest.raises(Stopped):
        starts()
    assert started[0].process.poll() is not None


def test_a_stop_that_comes_while_children_are_taken_down_waits_until_they_are(tmp_path: Path) -> None:
    def takes_down() -> None:
        with stoppable(), unhurried():
            os.kill(os.getpid(), signal.SIGINT)
            children.stop()

    children = Children(tmp_path)
    child = children.start("service", [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(Stopped):
        takes_down()
    assert child.process.poll() is not None


def test_a_closed_terminal_stops_everything_unless_that_was_to_be_ignored() -> None:
    def hangs_up() -> None:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.1)

    with pytest.raises(Stopped):
        hangs_up()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        hangs_up()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_child_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("service", [sys.executable, "-c", "import time; time.sleep(60)"])
        with pytest.raises(NotReady, match="not ready after"):
            wait_until_ready("http://127.0.0.1:9", child, 0.3)


def test_ctrl_c_stops_once_and_a_second_one_is_not_heard() -> None:
    heard, before = [], signal.getsignal(signal.SIGINT)  # a job in the background may be told to ignore it
    with stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.0)
        except Stopped:
            heard.append("stopped")
            os.kill(os.getpid(), signal.SIGINT)
    assert heard == ["stopped"]
    assert signal.getsignal(signal.SIGINT) == before


def test_of_every_model_it_is_said_whether_it_was_released_and_why_not() -> None:
    numbers = Metrics(auc=0.8123, average_precision=0.5, log_loss=0.4, brier=0.2, calibration_error=0.01)
    models = (
        ModelReport("churn", Verdict.PASS, "better than both", metrics={"model": numbers}),
        ModelReport("propensity", Verdict.INSUFFICIENT, "too little history: 12 [past] decisions"),
    )
    assert models_trained(TrainingReport(models, 30.0, NOW)).splitlines() == [
        "churn: released (AUC 0.812)",
        "propensity: not released, because too little history: 12 [past] decisions",
    ]


def test_steps_keep_their_times_and_name_them_where_there_is_no_terminal() -> None:
    console = Console(record=True, width=100)
    with Steps(console) as steps, steps.step("Customers") as told:
        told(0.5, "half")
    console.print(steps.table())
    assert list(steps.seconds) == ["Customers"]
    assert "Customers: 0.0 s" in console.export_text()


def test_the_command_says_what_it_can_do() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from features.cli import main; main()", "up", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    for option in ("--once", "--port", "--customers", "--seconds", "--traffic", "--home"):
        assert option in told.stdout


def wait_for(condition, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
