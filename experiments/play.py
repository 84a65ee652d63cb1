"""Playing traffic until told to stop, at a steady pace, with the summary in sight."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from experiments.live import line, panel
from experiments.processes import Children
from experiments.score import Score
from experiments.traffic import Traffic
from features.ledger import Ledger

#: Decisions a second: quick until there is something to see, then slower, because the shipped contact policy allows two
#: contacts a day, and 2,500 customers would all be at that limit within five minutes.
PACE, SLOWER_PACE = 20.0, 5.0
_SLOWER_FROM = 2_000
_LOG_SECONDS, _DRAWN_SECONDS = 10.0, 0.25
_SIMULATED = "Customers' responses are simulated; rewards are true expected money, known only in simulation."


#: Where the service fails again and again, it is asked once a second: it may be starting anew.
_FAILING, _FAILING_PACE = 5, 1.0


def play(traffic: Traffic, address: str, children: Children, console: Console, seconds: float | None) -> int:
    """Steps until `seconds` are over, or for ever. Raises NotReady when the service is gone; all else is shown."""
    began = time.monotonic()
    # Drawn by this thread, four times a second: nothing of the screen can come in between.
    with Live(console=console, auto_refresh=False, transient=False) as live:
        screen = Screen(live, console, traffic.score, address)
        while seconds is None or time.monotonic() - began < seconds:
            step_began = time.monotonic()
            traffic.step()
            screen.show(time.monotonic() - began, children.check())
            time.sleep(max(0.0, 1.0 / _pace(traffic) - (time.monotonic() - step_began)))
        screen.end(time.monotonic() - began)
    return 0


def _pace(traffic: Traffic) -> float:
    """Steps a second."""
    if traffic.failures >= _FAILING:
        return _FAILING_PACE
    return PACE if traffic.score.decisions < _SLOWER_FROM else SLOWER_PACE


class Screen:
    """The panel where there is a terminal that can be drawn on, a line now and then where there is none."""

    def __init__(self, live: Live, console: Console, score: Score, address: str) -> None:
        self._live, self._console, self._score, self._address = live, console, score, address
        self._bar = "█" if console.encoding.lower().startswith("utf") else "#"
        self._due = 0.0

    def show(self, passed: float, notes: Sequence[str]) -> None:
        """What there is to see by now. A screen that is gone (a closed pipe, a lost terminal) is drawn on no more."""
        if passed >= self._due:
            with contextlib.suppress(OSError, SystemExit):  # rich takes a closed pipe for the end of everything
                self._draw(passed, notes)

    def _draw(self, passed: float, notes: Sequence[str]) -> None:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._due = passed + _DRAWN_SECONDS
            notes = [*notes, _SIMULATED, "Ctrl-C stops everything."]
            self._live.update(panel(self._score, self._address, passed, notes, self._bar), refresh=True)
            return
        self._due = (passed // _LOG_SECONDS + 1.0) * _LOG_SECONDS
        if passed >= _LOG_SECONDS:
            for told in (line(self._score, passed), *notes):
                self._console.print(told, soft_wrap=True, markup=False)

    def end(self, passed: float) -> None:
        self._live.update(panel(self._score, self._address, passed, [_SIMULATED], self._bar), refresh=True)


def wait(ledger: Ledger, children: Children, console: Console, seconds: float | None) -> int:
    """Waits for others to ask, and shows how many decisions there are. Raises NotReady when the service is gone."""
    began, made = time.monotonic(), 0
    with console.status("waiting for requests; Ctrl-C stops everything") as status:
        while seconds is None or time.monotonic() - began < seconds:
            notes = children.check()
            # A database that is away for a moment is the service's to report, and no reason to take it down.
            with contextlib.suppress(Exception):
                made = ledger.count("decisions")
            told = [f"{made:,} decisions in the ledger; Ctrl-C stops everything", *notes]
            status.update(escape("; ".join(told)))
            time.sleep(1.0)
    return 0
