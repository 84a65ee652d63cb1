"""The command `segue promote`: judges a candidate, prints and keeps the table, and moves the pointer on a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from experiments.gate.page import in_words, row, write_finding
from experiments.gate.promotion import Finding, find, install
from experiments.ope.log_ledger import MOST_DECISIONS
from features.clock import now
from features.ledger import Ledger, existing_ledger
from features.screen import screen
from features.settings import Settings, load_settings
from serving.contender import challenger, go_back
from serving.ramp.apprenticeship import apprenticed
from serving.ramp.control import dethroned, start, warning
from training.evaluate import Verdict
from training.explorer import make_explorer
from training.pointer import Pointer, read_pointer
from training.registry import MlflowTracker
from training.report import Tracker

_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INSUFFICIENT: "yellow"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What `segue promote` was asked for; None is what decides now, and the newest bundle where all three are None."""

    bundle: str | None = None
    policy: str | None = None
    catalogue: Path | None = None
    decisions: int = MOST_DECISIONS
    dry_run: bool = False
    ramp: bool = False


def promote(home: Path | None, asked: Asked) -> None:
    """Judges, prints, keeps, and promotes what passes; exit status 1 where it fails, 2 where too little is known.

    Raises NoData without any bundle, NotFound or UntrustedArtefact for one that is not whole.
    """
    console, settings = screen(), load_settings(home)
    tracker = MlflowTracker(settings)
    ledger = existing_ledger(settings.ledger)
    try:
        candidate = challenger(settings, ledger, asked.bundle, asked.policy, asked.catalogue)
        with _bar(console) as step:
            finding = find(settings, ledger, candidate, now(), step, asked.decisions)
        show(finding, console)
        if (learned := apprenticed(ledger.url)) is not None:
            console.print(learned.told(settings.apprentice_threshold))
        html, machine = keep(finding, settings, tracker)
        console.print(f"page {html}\ndata {machine}", soft_wrap=True)
        if finding.verdict is not Verdict.PASS:
            raise typer.Exit(1 if finding.verdict is Verdict.FAIL else 2)
        if asked.ramp and not asked.dry_run and not finding.first:
            ramp = start(settings, ledger, candidate, now())
            console.print(f"{candidate.bundle}: {ramp.told}")
            if (beware := warning(ledger, ramp)) is not None:
                console.print(f"beware: {beware}", soft_wrap=True)
        elif not asked.dry_run:
            install(settings, ledger, finding, tracker)
            console.print(f"champion: {candidate.bundle}")
            tell_ramp(settings, ledger, "`segue promote` replaced the champion", console)
    finally:
        ledger.close()


def promote_trained(settings: Settings, ledger: Ledger, bundle: str) -> str:
    """Judges a bundle just trained, promotes it on a pass, and says in a line what became of it."""
    tracker = MlflowTracker(settings)
    finding = find(settings, ledger, challenger(settings, ledger, bundle, None, None), now())
    keep(finding, settings, tracker)
    if finding.verdict is Verdict.PASS:
        install(settings, ledger, finding, tracker)
        dethroned(settings, ledger, "newly trained models replaced the champion")
    held = [f"{gate.name} {gate.verdict}" for gate in finding.gates if gate.verdict is not Verdict.PASS]
    return f"{bundle}: {finding.verdict}" + (f" ({', '.join(held)}); the champion stays" if held else "")


def tell_ramp(settings: Settings, ledger: Ledger, by: str, console: Console) -> None:
    """Ends the ramp that the champion just replaced was compared in, if any, and says so."""
    ended = dethroned(settings, ledger, by)
    if ended is not None:
        console.print(f"ramp {ended.stage}: {ended.told}", soft_wrap=True)


def back(home: Path | None) -> None:
    """The whole strategy before this one decides again, and a ramp under way ends. Raises NotFound where there was
    none."""
    settings, console = load_settings(home), screen()
    ledger = existing_ledger(settings.ledger)
    try:
        left = read_pointer(settings.bundle_folder)
        found = go_back(settings, ledger, MlflowTracker(settings))
        _tell_back(settings, found, left, console)
        tell_ramp(settings, ledger, "`segue promote --back` replaced the champion", console)
    finally:
        ledger.close()


def _tell_back(settings: Settings, found: Pointer, left: Pointer | None, console: Console) -> None:
    assert left is not None
    own = f"{make_explorer(settings).name} (the home's own)"
    catalogue = found.catalogue or "left as it is (that promotion changed none)"
    console.print(
        f"champion: {found.bundle_id}, as before\npolicy: {found.policy or own}\ncatalogue: {catalogue}\n"
        f"`segue promote --back` once more returns to {left.bundle_id} with policy {left.policy or own}",
        soft_wrap=True,
    )


def keep(finding: Finding, settings: Settings, tracker: Tracker) -> tuple[Path, Path]:
    """Writes the reports, and hangs them on the bundle's entry in the registry."""
    html, machine = write_finding(finding, settings.report_folder)
    tags = {"gate": str(finding.verdict)} | {f"gate.{_tag(g.name)}": str(g.verdict) for g in finding.gates}
    files = {"promotion.html": html.read_bytes(), "promotion.json": machine.read_bytes()}
    tracker.judged(settings.bundle_folder / str(finding.candidate.bundle), tags, files)
    return html, machine


def _tag(name: str) -> str:
    """What MLflow allows in the name of a tag."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)


def show(finding: Finding, console: Console) -> None:
    """The table of gates, and what it comes to."""
    table = Table(title=f"{finding.candidate.bundle} on {finding.decisions:,} recorded decisions")
    for heading, justify in (("gate", "left"), ("verdict", "left"), ("measured", "right"), ("limit", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("why", overflow="fold")
    for gate in finding.gates:
        name, verdict, *rest = row(gate)
        table.add_row(name, Text(verdict, _COLOURS[gate.verdict]), *rest)
    console.print(table)
    if finding.champion is not None:
        for what in finding.candidate.differences(finding.champion):
            new, old = getattr(finding.candidate, what), getattr(finding.champion, what)
            console.print(f"{what}: {new} instead of {old}")
    console.print(Text.assemble((str(finding.verdict), "bold"), f": {in_words(finding)}"))


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str], Callable[[float], None]]]:
    """Names a step, and gives what tells its share done; gone when all is done."""
    with Progress(console=console, transient=True) as progress:

        def step(name: str) -> Callable[[float], None]:
            task: Any = progress.add_task(name, total=1.0)
            return lambda share: progress.update(task, completed=share)

        yield step
