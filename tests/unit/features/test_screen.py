"""What the terminal shows is what was written, whoever wrote it."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.table import Table

from features.screen import screen
from features.settings import SHIPPED

#: Files that mark up words of their own, and escape those of others.
OWN_MARKUP = {"live.py", "play.py", "steps.py"}


def test_brackets_and_colons_of_names_stay() -> None:
    file = io.StringIO()
    console = screen(file=file, width=80)
    table = Table("[arm]", title="[all] of them")
    table.add_row("[red]offer[/red] :smile:")
    console.print(table)
    console.print("seen: [] needed: [1, 2]")
    shown = file.getvalue()
    for text in ("[arm]", "[all] of them", "[red]offer[/red] :smile:", "seen: [] needed: [1, 2]"):
        assert text in shown


def test_nothing_is_marked_up_within_texts() -> None:
    packages = (SHIPPED.parent / name for name in ("features", "serving", "training", "experiments"))
    files = [file for package in packages for file in package.rglob("*.py") if file.name not in OWN_MARKUP]
    marked = re.compile(r"\[/?(bold|dim|italic|red|green|yellow|cyan)\]")
    assert [str(Path(file).name) for file in files if marked.search(file.read_text())] == []
