"""The command `segue ramp`: start, status, stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.cli import Home


def commands(app: typer.Typer) -> None:
    """Registers `segue ramp` on `app`."""
    ramp = typer.Typer(help="Try a challenger on live customers, a growing share of them.", no_args_is_help=True)
    ramp.command()(start)
    ramp.command()(status)
    ramp.command()(stop)
    app.add_typer(ramp, name="ramp")


def start(
    bundle_id: Annotated[
        str | None,
        typer.Argument(help="A bundle. Left out: the newest, or with --policy or --catalogue the champion's."),
    ] = None,
    home: Home = None,
    policy: Annotated[str | None, typer.Option(help="Another policy with it, such as thompson.")] = None,
    catalogue: Annotated[Path | None, typer.Option(help="Another catalogue with it: a folder of TOML files.")] = None,
    first_share: Annotated[
        float,
        typer.Option(
            help="Share of customers tried on after the shadow: 0.01, 0.05, 0.1, 0.25 or 0.5. A step ends with 100 of "
            "them at the soonest, so 0.01 is for homes of 10,000 customers and more."
        ),
    ] = 0.01,
) -> None:
    """Put a challenger in the shadow; `segue work` then takes it further, or back."""
    from features.clock import now
    from features.ledger import existing_ledger
    from features.settings import load_settings
    from serving.contender import challenger
    from serving.ramp.control import start as begin
    from serving.ramp.control import warning

    settings = load_settings(home)
    ledger = existing_ledger(settings.ledger)
    try:
        contender = challenger(settings, ledger, bundle_id, policy, catalogue)
        ramp = begin(settings, ledger, contender, now(), first_share)
        beware = warning(ledger, ramp)
    finally:
        ledger.close()
    typer.echo(f"{contender.told()}: {ramp.told}; `segue ramp status` tells how it goes")
    if beware is not None:
        typer.echo(f"beware: {beware}", err=True)


def status(home: Home = None) -> None:
    """How far the challenger has come, how it compares, and what is still to be shown."""
    from serving.ramp.status import print_status

    print_status(home)


def stop(home: Home = None) -> None:
    """End the ramp now: the champion decides for everybody again."""
    from features.settings import load_settings
    from serving.ramp.control import stop as end

    ramp = end(load_settings(home), "stopped by hand")
    ended = "no ramp was under way" if ramp is None else f"{ramp.name}: {ramp.stage}, {ramp.told}"
    typer.echo(f"{ended}; the champion decides for everybody, `segue ramp status` tells which")
