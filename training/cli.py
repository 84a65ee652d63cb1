"""The sub-commands of `training`: train, drift."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from features.cli import Home


def commands(app: typer.Typer) -> None:
    """Registers them on `app`. What is heavy is imported when a command runs."""

    @app.command()
    def train(
        home: Home = None,
        promote: Annotated[
            bool,
            typer.Option(
                help="Make the new bundle the champion where nothing was decided yet; then `segue promote` compares."
            ),
        ] = True,
    ) -> None:
        """Learn churn, conversion and propensity from the history, and release the models that are good enough."""
        from features.clock import now
        from features.settings import load_settings
        from training import show
        from training.pipeline import train as run

        started = time.monotonic()
        with show.progress() as step:
            report = run(load_settings(home), now(), step, promote=promote)
        show.training(report, time.monotonic() - started)

    @app.command()
    def drift(
        home: Home = None,
        threshold: Annotated[
            float, typer.Option(min=0.0, max=1.0, help="Share of features that may drift before the alarm.")
        ] = 0.3,
    ) -> None:
        """Compare the features served lately with those the champion was judged on.

        Exit status: 0 within the threshold, 1 past it, 2 when there is nothing to compare.
        """
        from features.clock import now
        from features.settings import load_settings
        from training import show
        from training.drift import watch

        settings = load_settings(home)
        report = watch(settings, now(), threshold)
        show.drift(report, settings.report_folder)
        if report.alarm:
            raise typer.Exit(1)
