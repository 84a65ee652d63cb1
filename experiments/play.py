"""Playing traffic until told to stop, at a steady pace, with the summary in sight."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live

from experiments.live import line, panel
from experiments.processes import Children
from experiments.traffic import Traffic
from features.ledger import Ledger

#: Decisions a second: quick until there is something to see, then slower, because the shipped contact policy allows two
#: contacts a day, and 2,500 customers would all be at that limit within five minutes.
PACE, SLOWER_PACE = 20.0, 5.0
_SLOWER_FROM = 2_000
_LOG_SECONDS = 10.0
_SIMULATED = "Customers' responses are simulated; rewards are true expected money, known only in simulation."


def play(traffic: Traffic, address: str, children: Children, console: Console, seconds: float | None) -> int:
    """Steps until `seconds` are over, or for ever. Raises NotReady when a child is gone or the service fails."""
    began, shown = time.monotonic(), 0.0
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while seconds is None or time.monotonic() - began < seconds:
            step_began = time.monotonic()
            traffic.step()
            children.check()
            passed = time.monotonic() - began
            if console.is_terminal:
                live.update(panel(traffic.score, address, passed, [_SIMULATED, "Ctrl-C stops everything."]))
            elif passed - shown >= _LOG_SECONDS:
                shown = passed
                console.print(line(traffic.score, passed), soft_wrap=True)
            pace = PACE if traffic.score.decisions < _SLOWER_FROM else SLOWER_PACE
            time.sleep(max(0.0, 1.0 / pace - (time.monotonic() - step_began)))
        passed = time.monotonic() - began
        live.update(panel(traffic.score, address, passed, [_SIMULATED]))
    return 0


def wait(ledger: Ledger, children: Children, console: Console, seconds: float | None) -> int:
    """Waits for others to ask, and shows how many decisions there are. Raises NotReady when a child is gone."""
    began = time.monotonic()
    with console.status("waiting for requests; Ctrl-C stops everything") as status:
        while seconds is None or time.monotonic() - began < seconds:
            children.check()
            made = ledger.count("decisions")
            status.update(f"{made:,} decisions in the ledger; Ctrl-C stops everything")
            time.sleep(1.0)
    return 0
