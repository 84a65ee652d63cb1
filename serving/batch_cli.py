"""`segue decide --all-customers`: a decision for every customer into a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import InvalidInput
from features.screen import screen

if TYPE_CHECKING:
    from rich.table import Table

    from features.settings import Settings


def decide_all(settings: Settings, out: Path, channels: tuple[str, ...] | None, run: str | None, record: bool) -> None:
    """Decides for every customer, writes the file, and prints how many got what."""
    import time
    import uuid

    from rich.progress import Progress

    from features import clock
    from features.home import prepare_home
    from features.ledger import existing_ledger, open_ledger
    from serving.assignment import holdout_layer
    from serving.batch import Batch, BatchRequest
    from serving.batch_file import DecisionFile
    from serving.refresh import Live
    from serving.wiring import calm_garbage, end_calm, features_opener

    refuse_file(out, again=run is not None or not record)
    if record:
        prepare_home(settings)
        ledger = open_ledger(settings.ledger, power_safe=settings.power_safe, tidy_aside=True)
    else:
        ledger = existing_ledger(settings.ledger)
    counts: Counter[tuple[str, str]] = Counter()
    request = BatchRequest(run or f"batch-{uuid.uuid4()}", channels, record)
    start, began, before = time.perf_counter(), clock.now(), 0
    try:
        live = Live(settings, ledger, features_opener(settings), looking=not record)
        live.refresh()
        layers = [holdout_layer(settings.holdout_share)]
        batch = Batch(settings, ledger, live.strategy, live.features, layers, live.ramp, live.whereabouts)
        calm_garbage()
        ids = ledger.customer_ids()
        with Progress(console=screen(stderr=True)) as progress, DecisionFile(out) as file:
            task = progress.add_task("deciding", total=len(ids))
            for decisions in batch.decide(request, ids, clock.now):
                file.write(decisions)
                counts.update((d.arm.action, d.arm.channel) for d in decisions)
                before += sum(d.decided_at < began for d in decisions)
                progress.advance(task, len(decisions))
    finally:
        end_calm()
        ledger.close()
    console = screen()
    console.print(_table(counts))
    console.print(f"{counts.total():,} decisions in {time.perf_counter() - start:.1f} seconds: {out}")
    if record:
        console.print(_recorded(counts.total() - before, before, request.run), soft_wrap=True)


def refuse_file(out: Path, again: bool) -> None:
    """A list that is there is written over only by the same run, or by a look: its customers have their contacts.

    Raises InvalidInput.
    """
    if out.suffix != ".parquet":
        raise InvalidInput(f"--out {out}: the decisions are written as Parquet, so name it .parquet", field="out")
    if out.exists() and not again:
        raise InvalidInput(
            f"--out {out} is there already, with contacts that stay reserved; name another file, or say --run and the "
            "name of the run that wrote it, which goes on with that run",
            field="out",
        )


def _recorded(now: int, before: int, run: str) -> str:
    """What a run recorded now, and what it had recorded before it was taken up again."""
    if not before:
        return f"recorded, with their contacts reserved, as run {run}"
    return f"run {run} had recorded {before:,} before, which are given again; {now:,} were decided and recorded now"


def _table(counts: Counter[tuple[str, str]]) -> Table:
    from rich.table import Table

    table = Table("action", "channel", "customers", title="Decided")
    table.columns[2].justify = "right"
    for (action, channel), count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        table.add_row(action, channel, f"{count:,}")
    return table
