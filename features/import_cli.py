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
    from features.importing.reasons import Reason

#: Sorts of reasons that are printed; the file of rejects has every row with its own.
_REASONS = 5


def commands(app: typer.Typer) -> None:
    """Registers it on `app`."""
    app.command("import")(import_files)


def import_files(
    mapping: Annotated[str, typer.Argument(help="A mapping file, or the name of a shipped one, like starbucks.")],
    source: Annotated[Path, typer.Argument(help="The file or the folder to import.")],
    home: Home = None,
    allow_rejects: Annotated[
        float,
        typer.Option(
            help="The share of rows of each section that may be rejected; beyond it the exit status is 3.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.1,
) -> None:
    """Turn foreign files into customers, events, catalogue entries, past decisions and outcomes, by a mapping file.

    What can be read is taken whatever the exit status: 1 where no row could be taken, 3 where more of a section was
    rejected than --allow-rejects, 2 where the mapping or a file is not what it should be.
    """
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
    too_many = {what: share for what, share in report.lost.items() if share > allow_rejects}
    for what, share in too_many.items():
        typer.echo(
            f"{_percent(share)} of the rows for {what} were rejected, more than {_percent(allow_rejects)}:"
            " mend the file or the mapping and import again, or say --allow-rejects",
            err=True,
        )
    if report.taken == 0 and (report.rejects or report.unreadable):
        raise typer.Exit(1)
    if too_many:
        raise typer.Exit(3)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _print(report: ImportReport) -> None:
    from rich.console import Console

    console = Console()
    console.print(_table(report))
    # Reasons hold what stands in the files: no markup, and no breaks within a line that is to be copied.
    console.print(_summary(report), markup=False, highlight=False, soft_wrap=True)


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
    lines += [f"left out by `where` ({target}s): {count:,}" for target, count in report.left_out.items()]
    if report.contacts:
        lines.append(
            f"{report.contacts:,} past contacts now count for the contact limits, but for those whose delivery failed"
        )
    lines += report.notes
    if report.rejects is not None:
        lines += ["rows were rejected, most of them because:", *map(_reason, report.reasons[:_REASONS])]
        if len(report.reasons) > _REASONS:
            lines.append(f"  and for {len(report.reasons) - _REASONS:,} other reasons")
        lines.append(f"rejected rows with their reasons: {report.rejects}")
    for seems, written in report.hints:
        lines += [f"{seems}, and import again:", *(f"  {line}" for line in written.splitlines())]
    if report.example_catalogue is not None:
        lines.append(
            "\nThis source has no actions, so what will be offered to these customers is Segue's example catalogue.\n"
            f"Write your own actions, channels and limits in {report.example_catalogue} and check them with\n"
            "`segue catalogue check`, or add [[action]] tables to the mapping and import again."
        )
    return "\n".join(lines)


def _reason(reason: Reason) -> str:
    rows = "1 row" if reason.count == 1 else f"{reason.count:,} rows"
    what = f" for {reason.target}s" if reason.target else ""
    return f"  {rows}{what}: {reason.text} (first: {reason.file}, line {reason.line})"


def _peak_megabytes() -> float:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1024)  # macOS counts in bytes, Linux in KiB
