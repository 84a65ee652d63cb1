"""How customers answer what they were never sent: whether by the model, how as others answered the same arm.

The model says how probably a simulated contact succeeds. Everything else about it (was it displayed, when; was it
seen, rejected, did they opt out) is copied from a recorded contact by the same arm with the same success, else one on
the same channel: a hot deck (Andridge, Little 2010, A Review of Hot Deck Imputation for Survey Non-response).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.change.recorded import Became
from features.domain import Arm, OutcomeKind

#: Recorded answers kept of each arm, and of each channel: the latest.
KEPT = 64
_SUCCESS = frozenset({str(OutcomeKind.ACCEPTED), str(OutcomeKind.CONVERTED)})


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a contact, in microseconds after its decision: when displayed (None: nobody said), and heard."""

    shown_after: int | None
    heard_after: tuple[tuple[str, int], ...] = ()


#: Of a channel that nobody ever answered nothing is known: the contact counts as made at once, as limits are strict.
DELIVERED = Answer(0)


class Answers:
    """Recorded answers by arm, by channel, and by whether they were a success."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bool], deque[Answer]] = defaultdict(lambda: deque(maxlen=KEPT))

    def learn(self, arm: Arm, decided_at: int, became: Became) -> None:
        """Takes what became of a recorded contact."""
        heard = tuple((told.kind, max(0, told.occurred_at - decided_at)) for told in became.told)
        shown = None if became.shown_at is None else max(0, became.shown_at - decided_at)
        succeeded = not _SUCCESS.isdisjoint(kind for kind, _ in heard)
        for name in (arm.key, arm.channel):
            self._kept[name, succeeded].append(Answer(shown, heard))

    def imagine(self, arm: Arm, p_accept: float, success: str, key: Iterable[object]) -> Answer:
        """The answer to a contact nobody made; the same key gives the same. `success` is the outcome that is one."""
        first, second = _uniform(key)
        succeeded = first < p_accept
        for name in (arm.key, arm.channel):
            pool = self._kept.get((name, succeeded))
            if pool:
                return pool[int(second * len(pool))]
        known = (arm.channel, not succeeded) in self._kept
        silent = Answer(None) if known else DELIVERED
        return Answer(0, ((success, 0),)) if succeeded else silent


def _uniform(key: Iterable[object]) -> tuple[float, float]:
    """Two numbers in [0, 1), fixed by the key and independent of the draw of the arm."""
    digest = hashlib.sha256("|".join(map(str, ("answer", *key))).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53, (int.from_bytes(digest[8:16]) >> 11) / 2**53
