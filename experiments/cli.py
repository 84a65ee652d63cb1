"""The sub-commands of `experiments`: `segue experiment review`, `segue up`."""

from __future__ import annotations

from typing import Annotated

import typer

from features.cli import Home


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
    experiment = typer.Typer(help="What experiments show.", no_args_is_help=True)

    @experiment.callback()
    def group() -> None:
        """What experiments show."""

    @experiment.command()
    def review(
        name: Annotated[str, typer.Argument(help="The experiment: holdout.")],
        home: Home = None,
        window_days: Annotated[
            float | None, typer.Option(help="Count only so many days from a customer's first decision.", min=0.0)
        ] = None,
    ) -> None:
        """Compare the holdout with everyone else: effect, interval, verdict, and a page to pass on."""
        from experiments.review_cli import print_review

        print_review(name, home, window_days)

    app.add_typer(experiment, name="experiment")
    app.command()(up)
    app.command()(simulate)


def up(
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="One decision and one outcome over HTTP, then stop.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the service; refuses one that is in use.")] = None,
    customers: Annotated[int, typer.Option(help="Customers to simulate in an empty home.", min=1)] = 2_500,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds of traffic.", min=0.0)] = None,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Play simulated responses in a home of imported customers too.")
    ] = False,
) -> None:
    """Bring up the whole thing: customers, features, models, service, worker, live traffic. Ctrl-C stops it."""
    from rich.console import Console

    from experiments.up import Plan
    from experiments.up import up as run
    from features.settings import load_settings

    raise typer.Exit(run(Plan(load_settings(home), customers, port, once, seconds, traffic), Console()))


def simulate(
    home: Home = None,
    customers: Annotated[int, typer.Option(help="How many customers.", min=1)] = 2_500,
) -> None:
    """Fill an empty home with simulated customers and their past."""
    from rich.console import Console

    from experiments.homes import fill_home
    from features.clock import now
    from features.settings import load_settings

    fill_home(load_settings(home), customers, now(), Console())
