"""The command `segue import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.cli import Home

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from features.importing import ImportReport


def commands(app: typer.Typer) -> None:
    """Registers it on `app`."""
    app.command("import")(import_files)


def import_files(
    mapping: Annotated[str, typer.Argument(help="A mapping file, or the name of a shipped one, like starbucks.")],
    source: Annotated[Path, typer.Argument(help="The file or the folder to import.")],
    home: Home = None,
) -> None:
    """Turn foreign files into customers, events, catalogue entries, past decisions and outcomes, by a mapping file."""
    from features.clock import now
    from features.importing import load_mapping, planned_bytes, run_import
    from features.ledger import open_ledger
    from features.settings import load_settings

    settings = load_settings(home)
    checked = load_mapping(mapping)
    total = planned_bytes(checked, source)
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = open_ledger(settings.ledger)
    with _progress() as progress:
        task = progress.add_task("reading", total=total)

        def watch(file: str, read: int) -> None:
            progress.update(task, description=file, advance=read)

        report = run_import(checked, source, ledger=ledger, settings=settings, now=now(), watch=watch)
        progress.update(task, description=checked.name, completed=total)
    ledger.close()
    _print(report)
    if report.taken == 0 and (report.rejects or report.unreadable):
        raise typer.Exit(1)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _print(report: ImportReport) -> None:
    from rich.console import Console

    console = Console()
    console.print(_table(report))
    console.print(_summary(report))


def _table(report: ImportReport) -> Table:
    from rich.table import Table

    table = Table(title=f"Imported by {report.mapping}")
    table.add_column("what")
    for heading in ("read", "added", "already there", "rejected"):
        table.add_column(heading, justify="right")
    for target, tally in report.tallies.items():
        counts = (tally.read, tally.added, tally.there, tally.rejected)
        table.add_row(f"{target}s", *(f"{count:,}" for count in counts))
    if report.unreadable:
        table.add_row("unreadable rows", f"{report.unreadable:,}", "", "", f"{report.unreadable:,}")
    return table


def _summary(report: ImportReport) -> str:
    lines = [f"{report.seconds:.1f} seconds, {_peak_megabytes():,.0f} MB of memory at most"]
    if report.shift:
        lines.append(f"all times moved by {report.shift / 86_400e6:+,.2f} days")
    if report.rejects is not None:
        lines.append(f"rejected rows with their reasons: {report.rejects}")
    if report.example_catalogue is not None:
        lines.append(
            "\nThis source has no actions, so what will be offered to these customers is Segue's example catalogue.\n"
            f"Write your own actions, channels and limits in {report.example_catalogue} and check them with\n"
            "`segue catalogue check`, or add [[action]] tables to the mapping and import again."
        )
    return "\n".join(lines)


def _peak_megabytes() -> float:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1024)  # macOS counts in bytes, Linux in KiB
