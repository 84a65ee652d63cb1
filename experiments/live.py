"""What people watch while traffic runs: the totals as a rich panel."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from experiments.score import RECENT, Score


def panel(score: Score, address: str, seconds: float, notes: Sequence[str], bar: str = "█") -> RenderableType:
    """The live summary: decisions, rewards against random, channels, the policy's snapshot, and what goes wrong."""
    rate = score.decisions / max(seconds, 1e-9)
    lead = Text.assemble(
        (f"{score.decisions:,}", "bold"),
        f" decisions in {_clock(seconds)} ({rate:.0f} a second), {score.contacts:,} contacts, ",
        (f"{score.accepted / max(1, score.contacts):.1%}", "bold"),
        f" accepted; {score.reasons['no_eligible_action']:,} with nothing allowed (contact limits, consent, rules), "
        f"{score.holdout:,} in the holdout, {score.errors:,} errors",
    )
    model = score.bundle or "no model yet"
    learned = Text.assemble(
        "policy ", (score.policy or "-", "bold"), f" (its number grows as it learns), model {model}"
    )
    below = [Text(note, style="dim") for note in notes]
    wrong = [Text(one, style="yellow") for one in troubles(score)]
    parts: list[RenderableType] = [lead, learned, rewards(score), shares(score, bar), *wrong, *below]
    return Panel(Group(*parts), title=f"segue  {escape(address)}", title_align="left")


def troubles(score: Score) -> list[str]:
    """What went wrong so far, in sentences; the playing goes on all the same."""
    told = [f"{score.errors:,} steps failed, the latest because {score.last_error}"] if score.errors else []
    if score.unknown:
        told.append(
            f"shown, but unknown to the simulated world and so not answered: {', '.join(sorted(score.unknown))}"
        )
    return told


def rewards(score: Score) -> Table:
    """True expected reward for each decision that had a choice: chosen, and what others would have earned."""
    table = Table(box=None, pad_edge=False)
    for heading in ("reward per decision", "all", f"last {RECENT}"):
        table.add_column(heading, justify="left" if heading.startswith("reward") else "right")
    chosen, random = score.recent_rewards
    table.add_row("[bold]segue[/bold]", f"[bold]{_money(score.per_decision(score.chosen_sum))}[/bold]", _money(chosen))
    table.add_row("random, same arms", _money(score.per_decision(score.random_sum)), _money(random))
    table.add_row("doing nothing", "0.00", "0.00")
    table.add_row("best possible", _money(score.per_decision(score.best_sum)), "")
    return table


def shares(score: Score, bar: str = "█") -> Table:
    """Where decisions went."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for channel, count in score.channels.most_common():
        share = count / max(1, score.decisions)
        table.add_row(Text(channel), f"{share:.0%}", bar * round(30 * share))
    for reason, count in score.fallbacks.most_common():
        table.add_row(Text(f"fallback: {reason}"), f"{count / max(1, score.decisions):.0%}", "")
    return table


def line(score: Score, seconds: float) -> str:
    """The same in one line, for a log."""
    chosen, random = score.per_decision(score.chosen_sum), score.per_decision(score.random_sum)
    channels = ", ".join(f"{c} {n / max(1, score.decisions):.0%}" for c, n in score.channels.most_common())
    return (
        f"{_clock(seconds)} {score.decisions:,} decisions, reward {_money(chosen)} (random {_money(random)}), "
        f"{score.accepted / max(1, score.contacts):.1%} accepted, policy {score.policy}, {channels}, "
        f"{score.errors:,} errors{f' ({score.last_error})' if score.errors else ''}"
    )


def _money(amount: float) -> str:
    """Two places, and no nothing with a minus."""
    return f"{round(amount, 2) + 0.0:.2f}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
