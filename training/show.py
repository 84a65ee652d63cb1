"""What the commands of `training` print: a progress bar while they run, then tables in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from features.screen import screen as console_of
from training.drift import DriftReport
from training.evaluate import Metrics
from training.provenance import peak_memory
from training.report import ModelReport, TrainingReport

HEADS = ("model", "rows", "positives", "AUC", "AP", "log loss", "Brier", "ECE")
#: Features named in the table of drift.
WORST = 10


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar that is called with the step in words and the share done."""
    columns = (TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console_of(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)


def training(report: TrainingReport, seconds: float, console: Console | None = None) -> None:
    """One table: every model beside its baselines, on the slice later than all they learned from."""
    screen = console or console_of()
    heads = [Column(name, no_wrap=True, justify="left" if name == "model" else "right") for name in HEADS]
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for model in report.models:
        _model_rows(table, model)
    screen.print(table)
    for model in report.models:
        screen.print(f"{model.name}: {model.verdict}, {model.reason}", markup=False)
    screen.print(
        f"horizon {report.horizon_days:.2f} days · {seconds:.1f} s · peak memory {peak_memory() / 1e6:,.0f} MB · "
        f"commit {(report.commit or 'none')[:12]}"
    )
    if report.bundle_id is None:
        screen.print(report.note, markup=False)
    else:
        became = ["champion"] if report.promoted else []
        told = "; ".join([*became, *filter(None, [report.note])]) or "not promoted"
        screen.print(f"bundle {report.bundle_id}: {told}", markup=False)


def _model_rows(table: Table, model: ModelReport) -> None:
    if not model.metrics:
        table.add_row(model.name, f"{model.rows:,}", f"{model.positives:,}", end_section=True)
    for who, metrics in model.metrics.items():
        first = who == "model"
        head = (model.name, f"{model.rows:,}", f"{model.positives:,}") if first else (f"  {who}", "", "")
        table.add_row(*head, *_numbers(metrics), end_section=who == list(model.metrics)[-1])


def _numbers(metrics: Metrics) -> list[str]:
    return [f"{value:.4f}" for value in metrics.to_json().values()]


def drift(report: DriftReport, folder: Path, console: Console | None = None) -> None:
    """The share of drifted features, the worst of them, and where the whole report is."""
    screen = console or console_of()
    table = Table("feature", "compared", "method", "distance", "drifted")
    for feature in report.features[:WORST]:
        compared = "whether known" if feature.column != feature.name else "values"
        table.add_row(
            feature.name, compared, feature.method, f"{feature.distance:.3f}", "yes" if feature.drifted else ""
        )
    screen.print(table)
    screen.print(
        f"{report.share:.0%} of {len(report.features)} features drifted (alarm above {report.threshold:.0%}): "
        f"{report.decisions:,} decisions against {report.reference_rows:,} rows of {report.bundle_id}"
    )
    screen.print(f"{folder / 'drift.html'} and drift.json", soft_wrap=True)
