"""The sub-commands of `serving`: serve, work, decide, explain, replay, suppress, catalogue check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.cli import Home
from features.errors import InvalidInput, NoData
from features.ids import typed_id
from serving import batch_cli, feature_changes, replay_cli, suppression_cli
from serving.ramp import command as ramp_command


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
    app.command()(serve)
    app.command()(work)
    app.command()(decide)
    app.command()(explain)
    app.command()(replay_cli.replay)
    app.command()(suppression_cli.suppress)
    ramp_command.commands(app)
    feature_changes.commands(app)
    catalogue = typer.Typer(help="The catalogue of actions, channels and contact rules.", no_args_is_help=True)

    @catalogue.callback()
    def root() -> None:
        """Check what product teams wrote."""

    catalogue.command()(check)
    app.add_typer(catalogue, name="catalogue")


def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Answer decisions over HTTP until stopped."""
    import json
    import os
    import sys

    from features.home import prepare_home
    from features.ledger import open_ledger
    from features.online_address import parse_online_address
    from features.settings import load_settings

    settings = load_settings(home)
    # What is wrong is better said here, once, than by every worker.
    if settings.online_store:
        parse_online_address(settings.online_store)
    prepare_home(settings)
    open_ledger(settings.ledger).close()
    address = (host or settings.host, port or settings.port)
    _refuse_taken(*address)
    os.environ["SEGUE_HOME"] = str(settings.home)
    # BentoML empties its folder of figures when it starts, by default one for all services of a user.
    os.environ["BENTOML_HOME"] = str(settings.home / "bentoml" / str(address[1]))
    # Its --api-workers is for services of before 1.2; for ours it would start one process whatever it says.
    os.environ["BENTOML_CONFIG_OVERRIDES"] = json.dumps({"services": {"segue": {"workers": settings.workers}}})
    command = [sys.executable, "-m", "serving.server", "serve", "serving.service:Segue"]
    command += ["--host", address[0], "--port", str(address[1])]
    os.execv(sys.executable, command)


def _refuse_taken(host: str, port: int) -> None:
    import socket

    from features.errors import InvalidInput

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            message = f"cannot listen on {host}:{port} ({error}); give another --port, or stop what uses it"
            raise InvalidInput(message, field="port") from error


def work(
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then stop.")] = False,
) -> None:
    """Learn from outcomes, refresh touched customers, release expired contact slots, until stopped."""
    import logging
    import signal
    import threading

    from features import clock
    from features.ledger import open_ledger
    from features.settings import load_settings
    from serving.sole_worker import sole_worker
    from serving.wiring import calm_garbage, end_calm, features_opener
    from serving.worker import Worker, work_forever

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    settings = load_settings(home)
    ledger = open_ledger(settings.ledger)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    worker = Worker(settings, ledger, features_opener(settings))
    calm_garbage()
    try:
        with sole_worker(ledger, clock.now, stop.wait, stop.set):
            work_forever(worker, clock.now, lambda: once or stop.wait(settings.poll_seconds))
    finally:
        end_calm()
        ledger.close()


def decide(
    customer_id: Annotated[str | None, typer.Argument(help="The customer to decide for.")] = None,
    home: Home = None,
    channel: Annotated[list[str] | None, typer.Option(help="Allow only this channel; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=20, help="Places to fill, for one customer.")] = 1,
    everybody: Annotated[bool, typer.Option("--all-customers", help="Decide for every customer, into a file.")] = False,
    out: Annotated[Path | None, typer.Option(help="The Parquet file for --all-customers.")] = None,
    record: Annotated[
        bool, typer.Option("--record/--dry-run", help="Dry: a look, of which nothing is recorded.")
    ] = True,
    run: Annotated[str | None, typer.Option(help="A name for the batch: the same again goes on with it.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The answer as the service gives it, with every arm.")
    ] = False,
) -> None:
    """Decide for one customer, as the service would, and say what and why; or for all of them."""
    import uuid
    from dataclasses import replace

    import msgspec
    from rich.console import Console

    from features import clock
    from features.settings import load_settings
    from serving.routes import Door
    from serving.schema import DecideRequest
    from serving.telling import tell
    from serving.wiring import build, looking

    channels = tuple(channel) if channel else None
    if everybody != (customer_id is None) or everybody != (out is not None):
        raise InvalidInput("name one customer, or say --all-customers and --out FILE.parquet")
    if out is not None:
        batch_cli.decide_all(load_settings(home), out, channels, run, record)
        return
    name = typed_id(customer_id or "")
    message = DecideRequest(f"cli-{uuid.uuid4()}", name, channels, limit=limit, explain=as_json)
    if not record:
        with looking(load_settings(home)) as decider:
            if as_json:
                typer.echo(decider.look(message, clock.now()).body)
                return
            tell(msgspec.json.decode(msgspec.json.encode(decider.preview(message, clock.now()))), Console())
        typer.echo("Nothing was recorded: this was a look.")
        return
    parts = build(replace(load_settings(home), decision_log=False), Door())
    try:
        body = parts.decider.decide(message, clock.now()).body
        if as_json:
            typer.echo(body)
            return
        decision_id = msgspec.json.decode(body)["decision_id"]
        tell(msgspec.json.decode(parts.ledger.decision(decision_id).record or b""), Console())
        typer.echo(f"Recorded as {decision_id}; `segue explain {decision_id} --all` tells of every arm.")
    finally:
        parts.close()


def explain(
    decision_id: Annotated[str, typer.Argument(help="The decision to explain.")],
    home: Home = None,
    everything: Annotated[bool, typer.Option("--all", help="Every arm, one by one.")] = False,
    technical: Annotated[bool, typer.Option("--technical", help="Every number, as JSON.")] = False,
) -> None:
    """Say in plain English why a decision was made, and why not otherwise."""
    import msgspec
    from rich.console import Console

    from features.errors import NotFound
    from features.ledger import existing_ledger
    from features.settings import load_settings
    from serving.explain import explanation
    from serving.telling import tell

    ledger = existing_ledger(load_settings(home).ledger)
    try:
        stored = ledger.decision(typed_id(decision_id, "decision_id"))
        if stored.record is None:
            raise NotFound("this decision was imported: there is no record of how it was made")
        record = msgspec.json.decode(stored.record)
    finally:
        ledger.close()
    if technical:
        _print_json(explanation(record, stored.items))
    else:
        tell(record, Console(), everything=everything, came_of=stored.items)


def check(
    home: Home = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Rules mean what their features mean now, where that has changed.")
    ] = False,
) -> None:
    """Name every fault of the catalogue with file, line and key. Exit status 1 where there is one; notes are none."""
    from contextlib import closing

    from features import clock
    from features.catalogue import notes, read_catalogue
    from features.contract import read_contract
    from features.ledger import open_ledger
    from features.settings import load_settings
    from serving.binding import binding_faults, unbind
    from serving.expressions import compile_catalogue
    from serving.whereabouts import warnings_of

    settings = load_settings(home)
    if not settings.catalogue_folder.is_dir():
        raise NoData(f"{settings.home} has no catalogue: is --home right? `segue import` or `segue up` makes one")
    if not any(settings.catalogue_folder.glob("*.toml")):
        raise NoData(f"there is no TOML file in {settings.catalogue_folder}")
    catalogue, faults = read_catalogue(settings.catalogue_folder)
    contract = read_contract(settings.feature_folder)
    names = None if contract is None else contract.names
    compiled, wrong = compile_catalogue(catalogue, names)
    changed = []
    if contract is not None:  # or nothing can have meant anything else
        with closing(open_ledger(settings.ledger)) as ledger:
            if accept:
                unbind(ledger, compiled.customer_names)
            changed = binding_faults(ledger, compiled, contract)
    found = sorted([*faults, *wrong, *changed], key=lambda f: (f.file, f.line))
    for one in found:
        typer.echo(str(one), err=True)
    if found:
        raise typer.Exit(1)
    arms = len(list(catalogue.arms()))
    warned = warnings_of(settings.ledger, catalogue, clock.now())
    beware = "" if not warned else f", {len(warned)} warning" + "s" * (len(warned) > 1)
    typer.echo(
        f"{len(catalogue.actions)} actions on {len(catalogue.channels)} channels, {arms} arms: no faults{beware}"
    )
    for one in warned:
        typer.echo(f"warning: {one}")
    for one in notes(catalogue):
        typer.echo(f"note: {one}")
    if names is None:
        typer.echo("(features are not built yet: names after `customer.` were not checked)")


def _print_json(value: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
