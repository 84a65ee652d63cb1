"""The whole thing in one command: prepare, learn, start the service and the worker, play traffic, show how it goes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

import httpx
import numpy as np
from rich.console import Console

from experiments.editions import kept_by
from experiments.homes import Population, populate
from experiments.once import send_once
from experiments.play import play, wait
from experiments.processes import STOPPING, Children, choose_port, wait_until_ready
from experiments.steps import Steps
from experiments.traffic import Traffic
from features import clock
from features.home import prepare_home
from features.ledger import Ledger, open_ledger
from features.refresh import refresh_features
from features.settings import Settings
from serving.assignment import holdout_layer
from training.bundle import Bundle, champion, load_bundle
from training.report import TrainingReport


@dataclass(frozen=True, slots=True)
class Plan:
    """What `segue up` was asked for. `seconds` None plays until stopped; `traffic` plays it in an imported home too."""

    settings: Settings
    customers: int = 2_500
    port: int | None = None
    once: bool = False
    seconds: float | None = None
    traffic: bool = False


class Stopped(BaseException):
    """Ctrl-C, or a polite kill. Not an Exception, so that nothing on the way takes it for a fault."""


def up(plan: Plan, console: Console) -> int:
    """Brings everything up, plays, and takes everything down. Gives the exit status.

    0 when it was stopped, timed out, or `once` went through; 1 when `once` got no action. Raises SegueError with the
    reason when something cannot start.
    """
    with stoppable():
        try:
            with Children(plan.settings.home / "logs") as children:
                return _until_stopped(plan, children, console)
        except Stopped:  # while everything was being taken down
            return 0


def _until_stopped(plan: Plan, children: Children, console: Console) -> int:
    try:
        return _run(plan, children, console)
    except Stopped:
        console.print("stopping")
        return 0


@contextmanager
def stoppable() -> Iterator[None]:
    """What asks us to stop raises Stopped, once: while everything is being taken down a second one is not heard.

    A closed terminal stays ignored where it was ignored (`nohup`).
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        for one in STOPPING:
            signal.signal(one, signal.SIG_IGN)
        raise Stopped

    hung_up = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heeded = [one for one in STOPPING if not (hung_up and one == signal.SIGHUP)]
    before = {one: signal.signal(one, stop) for one in heeded}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _run(plan: Plan, children: Children, console: Console) -> int:
    settings = plan.settings
    port = choose_port(settings.host, plan.port or settings.port, insist=plan.port is not None)
    if port != (plan.port or settings.port):
        console.print(f"port {settings.port} is in use; taking {port}")
    address = f"http://{settings.host}:{port}"
    prepare_home(settings)
    with closing(open_ledger(settings.ledger)) as ledger:
        with Steps(console) as steps:
            population = _prepare(plan, ledger, steps, console)
            with steps.step("Starting the service"):
                _start(settings, port, address, children)
        console.print(steps.table())
        _greet(population, address, settings, console)
        with httpx.Client(base_url=address, trust_env=False) as client:
            return _use(plan, population, client, children, ledger, console)


def _prepare(plan: Plan, ledger: Ledger, steps: Steps, console: Console) -> Population:
    settings = plan.settings
    with steps.step("Customers") as told:
        population = populate(settings, ledger, plan.customers, clock.now(), lambda share: told(share, "simulating"))
    with steps.step("Features") as told:
        refresh_features(settings, settings.ledger, clock.now(), lambda what, done, of: told(done / max(1, of), what))
    with steps.step("Training") as told:
        trained = _train(settings, ledger, told)
    console.print(trained, markup=False, highlight=False)
    return population


def _train(settings: Settings, ledger: Ledger, told: Callable[[float, str], None]) -> str:
    """Trains unless the champion has seen all but the last day of events; what there is to say of every model."""
    current = champion(settings.bundle_folder)
    if current is not None and (held := load_bundle(current)).created_at >= (ledger.latest_event_at() or 0) - clock.DAY:
        return models_held(held)
    from experiments.gate.command import promote_trained
    from training.pipeline import train

    report = train(settings, clock.now(), lambda what, share: told(share, what))
    told_of = models_trained(report)
    if report.bundle_id is not None and not report.promoted and current is not None and ledger.count_live():
        return f"{told_of}\n{promote_trained(settings, ledger, report.bundle_id)}"
    return f"{told_of}\n{report.note}" if report.note else told_of


def models_trained(report: TrainingReport) -> str:
    """A line for each model: how good it is, or why it was not released."""
    lines = []
    for model in report.models:
        good = f"released (AUC {model.metrics['model'].auc:.3f})" if model.name in report.released else ""
        lines.append(f"{model.name}: {good or f'not released, because {model.reason}'}")
    return "\n".join(lines)


def models_held(bundle: Bundle) -> str:
    """The same of the models that decide already."""
    trials = bundle.manifest.get("trials", {})
    lost = {name: trials.get(name, {}).get("reason", "it was not good enough") for name in bundle.base_rates}
    lines = [f"{name}: not released, because {why}" for name, why in lost.items() if name not in bundle.models]
    return "\n".join([f"models of {bundle.bundle_id}: {', '.join(bundle.models) or 'none'}", *lines])


def _start(settings: Settings, port: int, address: str, children: Children) -> None:
    segue = [sys.executable, "-m", "features.cli"]
    home = ["--home", str(settings.home)]
    children.start("worker", [*segue, "work", *home], stays=True)
    service = children.start("service", [*segue, "serve", *home, "--port", str(port)])
    wait_until_ready(address, service)


def _greet(population: Population, address: str, settings: Settings, console: Console) -> None:
    """The address, and a line to try that gets an action: with a customer who is not in the holdout."""
    layer = holdout_layer(settings.holdout_share)
    open_ones = (c for c in population.customer_ids if layer.assign(settings.assignment_salt, c) != layer.variant)
    body = f'{{"request_id": "try-{clock.now()}", "customer_id": "{next(open_ones, "nobody")}"}}'
    console.print(f"\nSegue decides at {address}  (pages: {address}/docs)\n", highlight=False, markup=False)
    console.print(
        f"curl -s {address}/v1/decide -H 'content-type: application/json' -d '{body}'\n",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _use(
    plan: Plan, population: Population, client: httpx.Client, children: Children, ledger: Ledger, console: Console
) -> int:
    now = clock.now()
    if plan.once:
        return send_once(client, population, f"once-{now}", console, kept_by(ledger))
    traffic = Traffic(
        client, population.world, population.customer_ids, np.random.default_rng([plan.settings.seed, now]), clock.now,
        f"live-{now}", kept_by(ledger),
    )  # fmt: skip
    if population.simulated or plan.traffic:
        return play(traffic, str(client.base_url), children, console, plan.seconds)
    console.print(
        "These customers are imported, so no made-up responses are written; --traffic plays them all the same."
    )
    return wait(ledger, children, console, plan.seconds)
