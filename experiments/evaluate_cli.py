"""The command `segue experiment evaluate LOG --target ...`: prints the tables, writes the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from experiments.ope.columns import column_names
from experiments.ope.estimators import BIASED
from experiments.ope.evaluation import Evaluation, evaluate, silent_places
from experiments.ope.feedback import LoggedFeedback
from experiments.ope.log_file import feedback_of
from experiments.ope.log_ledger import LedgerLog, ledger_log
from experiments.ope.log_table import read_table
from experiments.ope.page import between, in_words, shown_name, title_of, tuned_to, write_page
from experiments.ope.slates import Slates, told
from experiments.ope.target import Target
from experiments.ope.targets import parse_targets
from features.clock import now
from features.errors import InvalidInput
from features.figures import number
from features.ledger import existing_ledger
from features.screen import screen
from features.settings import Settings, load_settings
from serving.replay import Archive

#: Said of a file without a column that names the decision.
UNNAMED = "no column names the decision, so one that is there twice is not found: say --column decision=COLUMN"


@dataclass(frozen=True, slots=True)
class Question:
    """What the command was asked: LOG is a file or `ledger`."""

    log: str
    targets: Sequence[str]
    home: Path | None = None
    columns: Sequence[str] = ()
    context: Sequence[str] = ()
    reward: str = "value"
    model: bool = True
    #: Of a CSV file; None finds it out.
    delimiter: str | None = None
    #: Every estimator of every target, not only the one to read first.
    everything: bool = False


def print_evaluation(question: Question) -> None:
    """Evaluates, prints and writes; exit status 1 when every target is insufficient.

    Raises InvalidInput for a log or a target at fault, NotFound for no file, NoData for an empty ledger.
    """
    console, settings = screen(), load_settings(question.home)
    with _bar(console) as step:
        log, targets, notes = _read(question, settings, step("reading"))
        found = evaluate(log, targets, model=question.model, progress=step("reward models, intervals"))
    name = "evaluation-" + (question.log if question.log == "ledger" else Path(question.log).stem)
    html, machine = write_page(found, name, settings.report_folder)
    _print(console, found, notes, question.everything)
    console.print(f"page {html}\ndata {machine}", soft_wrap=True)
    if all(one.insufficient is not None for one in found):
        raise typer.Exit(1)


def _print(console: Console, found: Sequence[Evaluation], notes: Sequence[str], everything: bool) -> None:
    """What was found in a sentence each, then the numbers; every estimator only where asked for."""
    for one in found:
        console.print(Text.assemble((str(one.verdict), "bold"), f": {in_words(one)}"))
    for note in notes:
        console.print(note)
    console.print(summary(found))
    if not everything:
        console.print("every estimator: --all, or the page")
        return
    for one in found:
        console.print(table_of(one))
    if any(one.insufficient is None for one in found):
        console.print(BIASED)
    for reason in _left_out(found):
        console.print(f"insufficient: {reason}")


def summary(found: Sequence[Evaluation]) -> Table:
    """One row for each target: the estimate to read first, and the verdict."""
    first = {one.place: one for one in reversed(found)}
    earned = [
        ("" if place is None else f"place {place}: ")
        + f"{one.diagnostics.rows:,} rows, {number(one.logged_value)} earned a decision"
        for place, one in sorted(first.items(), key=lambda kept: kept[0] or 0)
    ]
    table = Table(title="; ".join(earned))
    for heading in ("target", "value", "95 % interval", "difference to the log", "verdict"):
        table.add_column(heading, justify="left" if heading in ("target", "verdict") else "right")
    for one in found:
        best = one.headline
        shown = (number(best.value), between(best.interval), between(one.gain.interval))
        table.add_row(title_of(one), *shown, str(one.verdict))
    return table


def table_of(one: Evaluation) -> Table:
    """Every estimator of one target, under the diagnostics of its weights."""
    d = one.diagnostics
    table = Table(
        title=title_of(one),
        caption=f"effective sample {d.effective_sample_size:,.0f} of {d.rows:,} rows, largest weight "
        f"{number(d.largest_weight)}, mean weight {d.mean_weight:.3f} ± {d.mean_weight_error:.3f}, "
        f"support {d.support:.1%}"
        + ("" if d.effective_responses is None else f", payments of one size {d.effective_responses:,.0f}"),
    )
    if one.insufficient is not None:
        table.add_column("no number is given")
        table.add_row(one.insufficient)
        return table
    for heading in ("estimator", "value", "95 % interval", "bootstrap", "Bernstein", "tuned to"):
        table.add_column(heading, justify="left" if heading == "estimator" else "right")
    for e in one.estimates:
        if e.insufficient is None:
            shown = (between(e.interval), between(e.bootstrap), between(e.bernstein), tuned_to(e))
            table.add_row(shown_name(e), number(e.value), *shown)
    return table


def _left_out(found: Sequence[Evaluation]) -> list[str]:
    """Why single estimators give no number where others do, each reason once."""
    reasons = {f"{e.estimator.name}: {e.insufficient}" for one in found if one.insufficient is None
               for e in one.estimates if e.insufficient is not None}  # fmt: skip
    return sorted(reasons)


def _read(
    question: Question, settings: Settings, progress: Callable[[float], None]
) -> tuple[LoggedFeedback, list[Target], list[str]]:
    """The log, the targets on it, and what of the log is not judged."""
    if question.log == "ledger":
        existing_ledger(settings.ledger, "nothing was decided here; `segue up` or `segue serve` make decisions").close()
        log, notes = _ledger(settings, question.reward)
        feedback = log.feedback
        targets = parse_targets(question.targets, feedback, rescore=lambda name: log.rescored(name, progress))
    else:
        table, feedback = _of_file(Path(question.log), question)
        targets, notes = parse_targets(question.targets, feedback, table), []
    notes += [f"place {place} is not judged: {why}" for place, why in silent_places(feedback).items()]
    return feedback, targets, notes + [UNNAMED] * (feedback.decision_id is None)


def _of_file(path: Path, question: Question) -> tuple[pa.Table, LoggedFeedback]:
    """Raises NotFound, and InvalidInput that names the file whatever is wrong in it."""
    names = column_names(question.columns)
    table = read_table(path, names, question.delimiter)
    try:
        return table, feedback_of(table, names, question.context or None)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", field=error.field, code=error.code) from error


def _ledger(settings: Settings, reward: str) -> tuple[LedgerLog, list[str]]:
    ledger = existing_ledger(settings.ledger)
    try:
        slates = Slates(Archive(ledger, settings.bundle_folder))
        return ledger_log(settings.ledger, now(), reward, slates=slates), told(slates.left_out)
    finally:
        ledger.close()


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str], Callable[[float], None]]]:
    """Names a step, and gives what tells its share done; gone when all is done."""
    with Progress(console=console, transient=True) as progress:

        def step(name: str) -> Callable[[float], None]:
            task: Any = progress.add_task(name, total=1.0)
            return lambda share: progress.update(task, completed=share)

        yield step
