"""The command `segue experiment study NAME`: prints the tables, writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from experiments.studies.answer import Answer, answer, in_words
from experiments.studies.page import (
    BALANCE_HEADINGS,
    HEADINGS,
    balance_rows,
    share_headings,
    share_rows,
    value_rows,
    write_page,
)
from experiments.studies.study import load_study
from experiments.studies.units import read_units
from features.clock import now
from features.ledger import existing_ledger
from features.screen import screen
from features.settings import load_settings


def print_study(name: str, home: Path | None, seed: int) -> None:
    """Studies, prints and writes; exit status 1 when the balance test says not to read further.

    Raises NotFound or InvalidInput for a study at fault, NoData when the home has nothing to study.
    """
    study, settings, console = load_study(name), load_settings(home), screen()
    existing_ledger(settings.ledger, f"nothing to study; run `segue import {study.name} SOURCE` first").close()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading the ledger", total=1.0)
        units = read_units(settings.ledger, study, now())
        bar.update(task, description="learning policies, out of fold")
        found = answer(study, units, seed, lambda share: bar.update(task, completed=share))
    html, machine = write_page(found, settings.report_folder)
    _print(found, console)
    console.print(f"page {html}\ndata {machine}", soft_wrap=True)
    if not found.balance.passed:
        raise typer.Exit(1)


def _print(found: Answer, console: Console) -> None:
    study = found.study
    console.print(Text.assemble((study.name, "bold"), f" ({study.label}): {study.about}"))
    title = f"Were the arms drawn at random? {found.rows:,} rows, {found.customers:,} customers ({study.label})"
    console.print(_table(title, BALANCE_HEADINGS, balance_rows(found)))
    console.print(_table(f"Shares of the arms ({study.label})", share_headings(found), share_rows(found)))
    console.print(found.balance.meaning())
    for reward, valuation in zip(study.rewards, found.valuations, strict=False):
        rows = value_rows(valuation, reward)
        console.print(_table(f"{reward.name}: {reward.plain} ({study.label})", HEADINGS, rows))
        console.print(found.verdict(valuation), style="bold")
        for claim in valuation.claims:
            console.print(f"  {in_words(claim, reward)}")


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 or heading == "plays" else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
