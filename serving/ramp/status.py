"""How a ramp stands, as `segue ramp status` prints it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from features.catalogue import load_catalogue
from features.clock import HOUR, format_time, now
from features.errors import NoData
from features.ledger import Ledger, open_ledger
from features.settings import Settings, load_settings
from serving.contender import reigning
from serving.ramp.apprenticeship import apprenticed
from serving.ramp.control import agreement, challenged
from serving.ramp.evidence import looks
from serving.ramp.sequential import Look
from serving.ramp.state import Ramp, Stage, read_ramp
from serving.ramp.verdict import Rules, missing


def print_status(home: Path | None) -> None:
    """Raises NoData where there never was a ramp, nor an incumbent to learn from."""
    settings, console = load_settings(home), Console()
    ramp, ledger = read_ramp(settings.home), open_ledger(settings.ledger)
    try:
        learned = apprenticed(ledger.url)
        if learned is not None:
            console.print(learned.told(settings.apprentice_threshold), highlight=False)
        elif ramp is None:
            raise NoData("there is no ramp; `segue ramp start` or `segue promote --ramp` begins one")
        for part in () if ramp is None else report(settings, ledger, ramp, now()):
            console.print(part, highlight=False)
    finally:
        ledger.close()


def report(settings: Settings, ledger: Ledger, ramp: Ramp, at: int) -> Iterable[str | Table]:
    """Sentences and tables."""
    yield f"[bold]{ramp.stage}[/bold], share {ramp.share:.0%}: {ramp.told}"
    yield steps(ramp)
    rules, contender = Rules.of(settings), challenged(settings)
    if contender is not None and ramp.active:
        yield f"challenger: {contender.told()}\nchampion:   {reigning(settings, ledger).told()}"
        found = agreement(settings, ledger, contender, ramp.steps[0].since)
        yield (
            "nothing was decided since it began"
            if not found.decisions
            else (
                f"of the latest {found.decisions:,} decisions both would choose alike in {found.overlap:.1%}; "
                f"{found.failed} failed; {found.latency_ratio:.2f} times the champion's time"
            )
        )
    if ramp.stage is not Stage.SHADOW:
        yield table_of(looks(ledger.url, ramp, load_catalogue(settings.catalogue_folder)).values(), ramp, rules)
    if ramp.active:
        left = max(0.0, rules.step_hours - (at - ramp.steps[-1].since) / HOUR)
        yield f"the next step, {ramp.next_share:.0%}, comes in {left:.1f} hours at the earliest"


def steps(ramp: Ramp) -> Table:
    """Every share so far, and since when."""
    table = Table("share", "since")
    for step in ramp.steps:
        table.add_row("shadow" if not step.share else f"{step.share:.0%}", format_time(step.since))
    return table


def table_of(found: Iterable[Look], ramp: Ramp, rules: Rules) -> Table:
    """The guardrails; intervals hold at every look at once."""
    table = Table(
        "guardrail", "customers", "champion", "challenger less champion", "at every look", "still to be shown"
    )
    for look in found:
        reach = "not known" if math.isinf(look.low) else f"{look.low:+.4g} to {look.high:+.4g}"
        lacking = (missing(look, ramp, rules) or "nothing") if ramp.active else "–"
        table.add_row(
            look.name, f"{look.customers:,}", f"{look.champion:.4g}", f"{look.difference:+.4g}", reach, lacking
        )
    return table
