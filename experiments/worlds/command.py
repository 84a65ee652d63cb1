"""`segue simulate --policy`: holds a contest, prints its tables, and writes the page."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.steps import Steps
from experiments.worlds.contest import Contest, hold, roster
from experiments.worlds.named import SAYS, WORLDS, make_world
from experiments.worlds.page import HEADS, LEGEND, SUMMARY_HEADS, as_json, cells, summary_cells, write_page
from experiments.worlds.table import Score, Summary, scores, summaries
from experiments.worlds.vowpal import installed
from features.errors import InvalidInput
from features.settings import Settings


def simulate_worlds(
    settings: Settings, asked: list[str], worlds: list[str], seeds: int, decisions: int, console: Console
) -> None:
    """Plays the policies asked for, and every reference, in the worlds (none given: all of them).

    Finished runs are kept in `HOME/reports/worlds.jsonl`; a contest that was stopped goes on where it was.
    """
    folder = settings.report_folder
    contest = Contest(tuple(worlds) or WORLDS, roster(asked, settings), seeds, decisions)
    _refuse_strangers(contest.worlds)
    if not installed():
        console.print("Vowpal Wabbit is not installed and not compared with: `pip install vowpalwabbit`")
    with Steps(console) as steps, steps.step("Worlds") as told:
        runs = hold(contest, settings, folder / "worlds.jsonl", told)
    rows = scores(runs)
    totals = summaries(rows, frozenset(name for name in contest.worlds if make_world(name, 1).stationary))
    _print(console, rows, totals)
    page = write_page(folder, runs, rows, totals)
    machine = folder / "worlds.json"
    machine.write_text(json.dumps(as_json(rows, totals), indent=1) + "\n")
    console.print(f"{_shown(page)} (worlds.png beside it), {_shown(machine)}")


def _refuse_strangers(worlds: tuple[str, ...]) -> None:
    for name in worlds:
        if name not in WORLDS:
            raise InvalidInput(f"unknown world {name!r}; one of {', '.join(WORLDS)}", field="worlds")


def _print(console: Console, rows: list[Score], totals: list[Summary]) -> None:
    for world in dict.fromkeys(row.world for row in rows):
        mine = [row for row in rows if row.world == world]
        console.print(_table(f"{world}: {SAYS[world]} (seeds: {mine[0].seeds})", HEADS, [cells(r) for r in mine]))
    console.print(_table("All worlds", SUMMARY_HEADS, [summary_cells(total) for total in totals]))
    console.print(LEGEND, style="dim")


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table


def _shown(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
