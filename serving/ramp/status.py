"""How a ramp stands, as `segue ramp status` prints it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from features.catalogue import load_catalogue
from features.clock import HOUR, now
from features.figures import moment, number, percent
from features.ledger import Ledger, existing_ledger
from features.screen import screen
from features.settings import Settings, load_settings
from serving.contender import reigning
from serving.ramp import edits
from serving.ramp.apprenticeship import apprenticed
from serving.ramp.control import agreement, challenged
from serving.ramp.evidence import looks
from serving.ramp.sequential import Look
from serving.ramp.state import Ramp, Stage, read_ramp
from serving.ramp.verdict import Rules, missing
from serving.shadow import Agreement


def print_status(home: Path | None) -> None:
    """How the ramp stands, or that there is none; and what to do next. Raises NoData where nothing was ever decided."""
    settings, console = load_settings(home), screen()
    ramp = read_ramp(settings.home)
    ledger = existing_ledger(settings.ledger)
    try:
        learned = apprenticed(ledger.url)
        if learned is not None:
            console.print(learned.told(settings.apprentice_threshold))
        for part in report(settings, ledger, ramp, now()):
            console.print(part, soft_wrap=not isinstance(part, Table))
    finally:
        ledger.close()


def report(settings: Settings, ledger: Ledger, ramp: Ramp | None, at: int) -> Iterable[str | Text | Table]:
    """Sentences and tables; the last sentence says what comes next, or can be done."""
    if ramp is None:
        yield Text.assemble(("no ramp", "bold"), ": no challenger was tried here yet")
    else:
        share = 1.0 if ramp.stage is Stage.FINISHED else ramp.share
        yield Text.assemble((str(ramp.stage), "bold"), f", share {percent(share, 0)}: {ramp.told}")
        yield steps(ramp)
        yield from _so_far(settings, ledger, ramp)
    yield _next(settings, ledger, ramp, at)


def _so_far(settings: Settings, ledger: Ledger, ramp: Ramp) -> Iterable[str | Table]:
    """Who is compared with whom, and how they compare."""
    contender = challenged(settings)
    if contender is not None and ramp.active:
        champion = reigning(settings, ledger)
        yield f"challenger: {contender.told()}\nchampion:   {champion.told()}"
        if (edited := edits.told(ramp, contender, champion.catalogue)) is not None:
            yield edited
        yield told_of(agreement(settings, ledger, contender, ramp.steps[0].since))
    if len(ramp.steps) > 1:
        found = looks(ledger.url, ramp, load_catalogue(settings.catalogue_folder)).values()
        yield table_of(found, ramp, Rules.of(settings))


def told_of(found: Agreement) -> str:
    """How many decisions since the ramp began were made again by both, how many not, and how they agree."""
    looked = found.decisions + found.failed + found.idle
    if not looked:
        return "nothing was decided since it began"
    told = [f"of {looked + found.older:,} decisions since it began {found.decisions:,} were compared"]
    for count, what in (
        (found.failed, f"failed ({found.why})"),
        (found.idle, "left nothing to choose"),
        (found.older, f"were skipped, being older than the latest {looked:,}"),
    ):
        told += [f"{count:,} {what}"] if count else []
    said = ", ".join(told)
    if not found.decisions:
        return said
    alike, slower = percent(found.overlap), f"{found.latency_ratio:.2f}"
    return f"{said}; both would choose alike in {alike}; {slower} times the champion's time"


def _next(settings: Settings, ledger: Ledger, ramp: Ramp | None, at: int) -> str:
    if ramp is not None and ramp.active:
        if challenged(settings) is None:
            return "its challenger is not to be found: `segue ramp stop` ends the ramp, and so does `segue work`"
        left = max(0.0, Rules.of(settings).step_hours - (at - ramp.steps[-1].since) / HOUR)
        return (
            f"the next step, {percent(ramp.next_share, 0)}, comes in {left:.1f} hours at the earliest, when `segue "
            "work` (part of `segue up`) finds nothing missing; `segue ramp stop` ends the ramp now"
        )
    decides = reigning(settings, ledger)
    if decides.bundle is None:
        return "nothing decides here yet but the catalogue: `segue train` and `segue promote` make the first champion"
    told = f"for everybody decides {decides.told()}"
    if ramp is not None and ramp.stage is Stage.FINISHED:
        return (
            f"{told}; `segue promote --back` makes what decided before decide again, `segue ramp start` tries another"
        )
    return f"{told}; `segue ramp start` tries a challenger, `segue promote --ramp` one that passes every gate first"


def steps(ramp: Ramp) -> Table:
    """Every share so far, and since when."""
    table = Table("share", "since (UTC)")
    for step in ramp.steps:
        table.add_row("shadow" if not step.share else percent(step.share, 0), moment(step.since))
    return table


def table_of(found: Iterable[Look], ramp: Ramp, rules: Rules) -> Table:
    """The guardrails; intervals hold at every look at once."""
    table = Table(
        "guardrail", "customers", "champion", "challenger less champion", "at every look", "still to be shown"
    )
    for look in found:
        reach = "not known" if math.isinf(look.low) else f"{_signed(look.low)} to {_signed(look.high)}"
        lacking = (missing(look, ramp, rules) or "nothing") if ramp.active else "–"
        difference = _signed(look.difference)
        table.add_row(look.name, f"{look.customers:,}", number(look.champion), difference, reach, lacking)
    return table


def _signed(value: float) -> str:
    return number(value, sign=True)
