"""A contest as pictures and one page: cumulative regret in each world, and the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

import numpy as np

from experiments.worlds.contest import BASELINES, ORACLE
from experiments.worlds.named import SAYS
from experiments.worlds.play import Run
from experiments.worlds.table import Score, Summary
from experiments.worlds.vowpal import EXPLORERS

_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #d7dde5; }
th:first-child, td:first-child { text-align: left; } .soft { color: #5b6676; }"""
#: Heads of the tables; money is a decision's.
HEADS = ("player", "reward", "regret", "95 %", "/ VW", "way", "at end", "broken")
SUMMARY_HEADS = ("player", "/ VW, median", "/ VW, worst", "least way", "at end", "mean way", "broken")
LEGEND = (
    "regret: true expected money a decision lost against the oracle; / VW: that over the regret of the best Vowpal "
    "Wabbit explorer; way: from random (0 %) to the oracle (100 %), at end: over the last tenth, least: of the "
    "stationary worlds; broken: contact limits."
)


def cells(row: Score) -> tuple[str, ...]:
    """One score as people read it; money is a decision's."""
    return (
        row.player,
        f"{row.reward:.3f}",
        f"{row.regret:.3f}",
        "–" if row.interval is None else "{:.3f}-{:.3f}".format(*row.interval),
        _number(row.ratio),
        f"{row.share:.1%}",
        f"{row.final_share:.1%}",
        str(row.cap_violations),
    )


def summary_cells(row: Summary) -> tuple[str, ...]:
    """One summary as people read it."""
    return (
        row.player,
        _number(row.median_ratio),
        _number(row.worst_ratio),
        _percent(row.least_stationary_share),
        _percent(row.least_stationary_final_share),
        f"{row.mean_share:.1%}",
        str(row.cap_violations),
    )


def write_page(folder: Path, runs: Sequence[Run], rows: Sequence[Score], totals: Sequence[Summary]) -> Path:
    """Writes `worlds.html` and `worlds.png` into `folder`; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "worlds.png", runs)
    seeds, decisions = max(row.seeds for row in rows), runs[0].decisions
    worlds = "".join(
        f"<h2>{escape(world)}</h2><p class='soft'>{escape(SAYS[world])}.</p>"
        + _table(HEADS, [cells(row) for row in rows if row.world == world])
        for world in dict.fromkeys(row.world for row in rows)
    )
    file = folder / "worlds.html"
    file.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Policies in known worlds</title>'
        f"<style>{_STYLE}</style></head><body><h1>Policies in worlds whose truth is known</h1>"
        f"<p>{decisions:,} decisions, {seeds} seeds. Money is a decision's; {escape(LEGEND)}</p>"
        f"{_table(SUMMARY_HEADS, [summary_cells(total) for total in totals])}"
        '<h2>Regret as it grows</h2><img src="worlds.png" alt="Cumulative regret in each world">'
        f"{worlds}</body></html>\n"
    )
    return file


def draw(file: Path, runs: Sequence[Run]) -> None:
    """Cumulative regret, mean over seeds, a panel for each world; the shade is two standard errors."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worlds = list(dict.fromkeys(run.world for run in runs))
    columns = min(3, len(worlds))
    lines = -(-len(worlds) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * lines + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, world in enumerate(worlds, 1):
        panel = figure.add_subplot(lines, columns, place)
        mine = [run for run in runs if run.world == world]
        oracle = {run.seed: np.array(run.curve) for run in mine if run.player == ORACLE}
        for player in dict.fromkeys(run.player for run in mine if run.player != ORACLE):
            lost = [oracle[run.seed] - np.array(run.curve) for run in mine if run.player == player]
            _line(panel, player, np.array(lost), mine[0].decisions)
        panel.set_title(world)
        panel.set_xlabel("decisions")
        panel.set_ylabel("regret, money")
        if place == 1:
            panel.legend(fontsize=7)
    figure.savefig(file, dpi=110)


def _line(panel: object, player: str, lost: np.ndarray, decisions: int) -> None:
    x = np.linspace(0, decisions, lost.shape[1] + 1)[1:]
    mean, error = lost.mean(axis=0), lost.std(axis=0) / np.sqrt(len(lost))
    style = ":" if player in BASELINES else "--" if player in EXPLORERS else "-"
    (line,) = panel.plot(x, mean, style, label=player, linewidth=1.3)  # type: ignore[attr-defined]
    panel.fill_between(x, mean - 2 * error, mean + 2 * error, color=line.get_color(), alpha=0.15, linewidth=0)  # type: ignore[attr-defined]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def as_json(rows: Sequence[Score], totals: Sequence[Summary]) -> Mapping[str, object]:
    """The same tables for machines."""
    return {"worlds": [asdict(row) for row in rows], "summary": [asdict(total) for total in totals]}
