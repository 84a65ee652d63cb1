"""Steps with a progress bar and the time each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

#: Told the share done of a step, 0 to 1, and what is being done now.
Told = Callable[[float, str], None]


class Steps:
    """Runs steps one after the other under one set of bars; `seconds` maps each step's name to its time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Steps:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[Told]:
        """One step. On a screen that is no terminal its name is printed, with its time when it is done."""
        task, began = self._bars.add_task(name, total=1.0, note=""), time.monotonic()
        yield lambda share, note: self._tell(task, share, note)
        self.seconds[name] = time.monotonic() - began
        self._bars.update(task, completed=1.0)
        self._bars.refresh()
        if not self._console.is_terminal:
            self._console.print(f"{name}: {self.seconds[name]:.1f} s")

    def _tell(self, task: TaskID, share: float, note: str) -> None:
        self._bars.update(task, completed=min(0.999, share), note=escape(note))

    def table(self) -> Table:
        """The times of all steps, and their sum."""
        table = Table("step", "seconds")
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_section()
        table.add_row("ready", f"{sum(self.seconds.values()):.1f}")
        return table
