"""The apprentice: the incumbent's choice is the answer, and Segue's own is only written down beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.domain import Apprenticeship, Arm
from serving.exploration import Draw

#: Why an answer is what it is: the incumbent chose it; or chose what a rule or limit does not allow.
FOLLOWED, NOT_ALLOWED = "apprentice", "incumbent_not_allowed"


def follow(
    incumbent: Arm, survivors: Sequence[Arm], nothing: int, drawn: Draw, shares: np.ndarray
) -> tuple[Draw, np.ndarray, Apprenticeship, str]:
    """(the draw that is answered, its distribution, what Segue would have done, the reason).

    `shares`, (n,), is Segue's own distribution over the `survivors`, and `drawn` what it drew. The incumbent's arm is
    taken for certain; one that did not survive the filters is not, and then nothing is done: an apprentice does not act
    by itself.
    """
    index = survivors.index(incumbent) if incumbent in survivors else None
    taken = nothing if index is None else index
    certain = np.zeros(len(shares))
    certain[taken] = 1.0
    told = Apprenticeship(
        incumbent.key,
        survivors[drawn.index].key,
        drawn.probability,
        0.0 if index is None else float(shares[index]),
        index is not None and bool(shares[index] >= shares.max()),
    )
    return Draw(taken, 1.0), certain, told, NOT_ALLOWED if index is None else FOLLOWED
