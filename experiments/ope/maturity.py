"""When a decision can be judged: when every window that its catalogue has is closed, whatever was drawn or answered.

Were a decision taken as soon as its own arm's window is closed, arms with short windows would be in the log before the
others, and the logged probabilities no longer be those of the rows taken. What catalogue decides is settled before the
draw, so that by it decisions may be chosen; and a window of another catalogue holds nothing back.
"""

from __future__ import annotations

import msgspec

from features.catalogue import parse_catalogue
from features.clock import DAY
from features.domain import Versions
from features.errors import CatalogueError
from features.figures import moment
from features.ledger import read_arrow
from features.rewards import longest_window
from serving.strategy import WITHOUT_MODEL

_CATALOGUES = "SELECT version, files FROM catalogues"
_LONGEST = "SELECT max(closes_at - decided_at) AS longest FROM decision_items WHERE reward_state <> 'imported'"
_EARLIEST = """
SELECT position, decided_at, record FROM decisions
WHERE origin = 'live' AND {drawn} AND record IS NOT NULL AND position > {after:d}
ORDER BY position LIMIT {limit:d}
"""
#: Decisions that a policy drew, with its own probabilities, a model or not; other fallbacks are none of its choices.
DRAWN = f"(fallback_reason IS NULL OR fallback_reason IN {WITHOUT_MODEL})"
#: Records read at once: about 10 kB each.
_BLOCK = 1_000


class _Made(msgspec.Struct):
    """By which versions a decision was made, and whether anything was drawn."""

    candidates: dict[str, msgspec.Raw] | None = None
    versions: Versions | None = None


class Horizons:
    """Microseconds from a decision until all windows are closed, by the version of the catalogue that decided.

    Of a catalogue that was not kept, or not in a form of today, nothing is known but what was drawn: there it is the
    longest window of any decision.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        longest = read_arrow(url, _LONGEST).to_pylist()[0]["longest"]
        self._unknown = longest or 0
        #: Whether anything was ever decided here.
        self.any = longest is not None
        self._known = {}
        for row in read_arrow(url, _CATALOGUES).to_pylist():
            files = msgspec.json.decode(row["files"], type=dict[str, str])
            try:
                catalogue = parse_catalogue({name: text.encode() for name, text in files.items()})
            except CatalogueError:
                continue
            self._known[row["version"]] = longest_window(catalogue)

    @property
    def shortest(self) -> int:
        """What is younger cannot be judged, whatever made it."""
        return min([self._unknown, *self._known.values()])

    def of(self, versions: Versions | None) -> int:
        """Of a decision made by these versions."""
        return self._unknown if versions is None else self._known.get(versions.catalogue, self._unknown)

    def told(self) -> str:
        """Why nothing can be judged yet: which window is open, and when the first closes."""
        if not self.any:
            return "no decision was made here yet: nothing can be judged"
        first = self._first()
        if first is None:
            return "no decision was drawn here yet, only holdouts and fallbacks: nothing can be judged"
        closes_at, horizon, catalogue = first
        return (
            f"no decision made here is older than the longest attribution window of the catalogue that made it, "
            f"{horizon / DAY:g} days (catalogue {catalogue}): nothing can be judged before {moment(closes_at)} (UTC)"
        )

    def _first(self) -> tuple[int, int, str] | None:
        """When the first decision can be judged, its horizon, and its catalogue; None where nothing was drawn."""
        found: tuple[int, int, str] | None = None
        after = 0
        while rows := read_arrow(self._url, _EARLIEST.format(drawn=DRAWN, after=after, limit=_BLOCK)).to_pylist():
            for row in rows:
                if found is not None and row["decided_at"] + self.shortest >= found[0]:
                    return found
                one = _made(row["record"])
                if one is not None and one.candidates is not None:
                    horizon = self.of(one.versions)
                    this = (row["decided_at"] + horizon, horizon, one.versions.catalogue if one.versions else "unknown")
                    found = this if found is None else min(found, this)
            after = rows[-1]["position"]
        return found


def _made(text: bytes) -> _Made | None:
    """None for a record of an older form."""
    try:
        return msgspec.json.decode(text, type=_Made)
    except msgspec.ValidationError:
        return None
