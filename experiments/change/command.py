"""`segue simulate --replay`: a change of strategy on the recorded requests, as tables and as a page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.change import lines as told
from experiments.change.finding import Asked, Finding, simulate_change
from experiments.change.page import HEADS, write_finding
from experiments.steps import Steps
from features.clock import now
from features.errors import InvalidInput
from features.ledger import existing_ledger
from features.settings import Settings


def simulate_replay(
    settings: Settings, catalogue: Path | None, bundle: str | None, policies: Sequence[str], console: Console
) -> Finding:
    """Simulates, prints and writes. Without a catalogue the home's own is replayed.

    Raises InvalidInput for more than one policy, and what `simulate_change` raises.
    """
    if len(policies) > 1:
        raise InvalidInput("--replay tries one policy at a time", field="policy")
    asked = Asked(catalogue or settings.catalogue_folder, bundle, policies[0] if policies else None)
    ledger = existing_ledger(settings.ledger)
    try:
        total, began = max(1, ledger.count_live()), time.monotonic()
        with Steps(console) as steps, steps.step("Deciding again") as tell:
            found = simulate_change(
                settings, ledger, asked, now(), lambda done: tell(done / total, f"{done:,} of {total:,}")
            )
        found = replace(found, seconds=time.monotonic() - began)
    finally:
        ledger.close()
    show(found, console)
    html, machine = write_finding(found, settings.report_folder)
    console.print(f"page {html}\ndata {machine}", soft_wrap=True)
    return found


def show(found: Finding, console: Console) -> None:
    """The tables, and what they come to."""
    then, new = found.then, found.new
    console.print(_table("Reach and contacts", [line.cells() for line in told.summary(found)]))
    console.print(_table("Money a decision, 95 % intervals", told.estimates(found)))
    console.print(_table("Actions, share of all shown", [x.cells() for x in told.mix(then.actions, new.actions)]))
    console.print(_table("Channels, share of all shown", [x.cells() for x in told.mix(then.channels, new.channels)]))
    console.print(_table("Arms removed, of 1,000 considered", [line.cells() for line in told.drop_off(found)]))
    held = told.limits(found)
    if held:
        console.print(_table("Decisions in which a limit held back an arm", [line.cells() for line in held]))
    for caveat in told.caveats(found):
        console.print(caveat, style="dim")
    console.print(Text.assemble((told.verdict(found), "bold"), f": {told.in_words(found)}"))
    speed = found.then.decisions / max(found.seconds, 1e-9)
    console.print(f"{found.then.decisions:,} decisions in {found.seconds:.1f} s, {speed:,.0f} a second", style="dim")


def _table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(HEADS):
        table.add_column(heading, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
