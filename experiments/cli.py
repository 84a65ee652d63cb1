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
