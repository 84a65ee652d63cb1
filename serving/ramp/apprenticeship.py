"""How often Segue agreed with the incumbent whose choices it answered with."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from features.figures import percent
from features.ledger import read_arrow
from serving.apprentice import FOLLOWED, NOT_ALLOWED

#: Decisions looked at, the latest.
LATEST = 5_000
_FOLLOWED = f"""
SELECT record FROM decisions
WHERE origin = 'live' AND reason IN ('{FOLLOWED}', '{NOT_ALLOWED}') AND record IS NOT NULL
ORDER BY position DESC LIMIT {LATEST}
"""


class _Told(msgspec.Struct):
    agreed: bool
    incumbent_probability: float


class _Record(msgspec.Struct):
    reason: str
    apprentice: _Told


@dataclass(frozen=True, slots=True)
class Apprenticed:
    """Of the latest decisions that an incumbent made: how many, in how many its arm was Segue's favourite, the chance
    of drawing alike, and how often its arm was not allowed."""

    decisions: int
    agreed: float
    overlap: float
    not_allowed: float

    def told(self, threshold: float) -> str:
        """In a sentence, with the switch offered from the threshold on."""
        said = (
            f"apprentice: agreed with the incumbent in {percent(self.agreed)} of {self.decisions:,} decisions (drawn "
            f"alike in {percent(self.overlap)}); {percent(self.not_allowed)} of its choices broke a rule or limit"
        )
        if self.agreed < threshold:
            return f"{said}; the switch is offered from {percent(threshold, 0)} on"
        return f"{said}. Segue may decide now: set apprentice = false in segue.toml and start the service again"


def apprenticed(url: str) -> Apprenticed | None:
    """None where no incumbent ever decided."""
    texts = read_arrow(url, _FOLLOWED).column("record").to_pylist()
    found = [msgspec.json.decode(text, type=_Record) for text in texts]
    if not found:
        return None
    n = len(found)
    return Apprenticed(
        n,
        sum(one.apprentice.agreed for one in found) / n,
        sum(one.apprentice.incumbent_probability for one in found) / n,
        sum(one.reason == NOT_ALLOWED for one in found) / n,
    )
