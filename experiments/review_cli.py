"""The command `segue experiment review NAME`: prints the tables, writes the page."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from experiments.inference import Verdict
from experiments.report import between, number, write_review
from experiments.review import Review, review_holdout
from features.clock import now as clock
from features.errors import NotFound
from features.figures import chance
from features.screen import screen
from features.settings import load_settings


def print_review(name: str, home: Path | None, window_days: float | None) -> None:
    """Reviews, prints and writes; exit status 1 when the sample ratio says not to read further.

    Raises NotFound for an experiment that does not exist, and NoData when there is nothing to review.
    """
    if name != "holdout":
        raise NotFound(f"no experiment {name!r}; the one there is: holdout", field="name")
    settings = load_settings(home)
    review = review_holdout(settings, clock(), window_days)
    html, machine = write_review(review, settings.report_folder)
    console = screen()
    console.print(table_of(review))
    console.print(Text.assemble((str(review.verdict), "bold"), f": {review.summary()}"))
    if review.simulated:
        console.print("These customers are simulated: this shows how Segue works, and nothing about your business.")
    console.print(f"page {html}\ndata {machine}", soft_wrap=True)
    if review.verdict == Verdict.STOP:
        raise typer.Exit(1)


def table_of(review: Review) -> Table:
    """One row for each metric; only the group sizes where the sample ratio stops the reading."""
    check = review.ratio_check
    table = Table(
        title=f"{review.name}: {check.treatment_units:,} customers against {check.control_units:,} "
        f"({check.observed_share:.2%}, designed {check.control_share:.2%}, p = {chance(check.p_value)})"
    )
    for heading in ("metric", "with Segue", review.design.control, "difference (95 % interval)", "relative", "verdict"):
        table.add_column(heading, justify="left" if heading in ("metric", "verdict") else "right")
    for e in review.estimates:
        table.add_row(
            e.metric.plain,
            number(e.treatment_mean, e.metric),
            number(e.control_mean, e.metric),
            between(e.effect, e.metric),
            between(e.relative_effect, None),
            str(e.verdict),
        )
    return table
