"""The command `segue replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from features.cli import Home
from features.errors import InvalidInput
from features.ids import typed_id
from features.screen import screen

if TYPE_CHECKING:
    from rich.table import Table

    from serving.replay import Tally

#: Decision ids shown for each reason.
SHOWN = 3


def replay(
    decision_id: Annotated[str | None, typer.Argument(help="The decision to make again.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every decision of the ledger that was made here.")] = False,
    home: Home = None,
) -> None:
    """Make recorded decisions again, and compare bit for bit. Exit status 0 only when all are the same."""
    from rich.progress import track

    from features.ledger import existing_ledger
    from features.settings import load_settings
    from serving.replay import Tally, replay

    if every == (decision_id is not None):
        raise InvalidInput("say which decision to replay, or --all of them")
    name = None if decision_id is None else typed_id(decision_id, "decision_id")
    settings = load_settings(home)
    ledger = existing_ledger(settings.ledger)
    tally, last = Tally(), None
    try:
        total = ledger.count_live() if every else 1
        verdicts = replay(ledger, settings.bundle_folder, name)
        for last in track(verdicts, "replaying", total, console=screen(stderr=True)):
            tally.add(last)
    finally:
        ledger.close()
    console = screen()
    console.print(_table(tally))
    if decision_id is not None and last is not None and last.why:
        console.print(f"{last.kind}: {last.why}")
    if not tally.all_same:
        raise typer.Exit(1)


def _table(tally: Tally) -> Table:
    from rich.table import Table

    table = Table("replayed", "decisions", "first difference, or what is missing", "such as", title="Replay")
    table.columns[1].justify = "right"
    for kind, count in tally.counts.items():
        table.add_row(kind, f"{count:,}")
    for (kind, why), ids in sorted(tally.reasons.items()):
        table.add_row(f"  {kind}", f"{len(ids):,}", why, ", ".join(ids[:SHOWN]))
    return table
