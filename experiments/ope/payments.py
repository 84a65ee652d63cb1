"""What rewards in money differ by: a few large payments may be all that an estimate rests on."""

from __future__ import annotations

import numpy as np

from experiments.ope.feedback import Floats, Integers, LoggedFeedback

#: Amounts closer than this part of the largest are the same: what is left is rounding.
_ALIKE = 1e-9


def payments(log: LoggedFeedback) -> Floats | None:
    """(n,) `paid` of a log."""
    return paid(log.reward, log.arm, len(log.arms))


def paid(reward: Floats, arm: Integers, arms: int) -> Floats | None:
    """(n,) how far each reward lies from what its arm mostly earns (the median): nothing, where nobody responded, less
    what the contact cost. `arm` is (n,) the arm drawn, 0 .. arms - 1. None where all that differ do so by the same
    amount: a response or none, whatever its unit. A single response that is not 1 may be any amount.
    """
    if _one_amount(np.abs(reward)):
        return None
    usual = np.zeros(arms)
    order = np.argsort(arm, kind="stable")
    ends = np.bincount(arm, minlength=arms).cumsum()
    for number, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            usual[number] = np.median(reward[rows])
    away = np.abs(reward - usual[arm])
    return None if _one_amount(away) else away


def effective_responses(weight: Floats, payment: Floats, unit: Integers | None = None) -> float:
    """(Σ w y)² / Σ (w y)² of (n,) weights and payments: how many equal payments they are worth, 0 where there is none.

    What one customer paid counts as one payment; `unit` is (n,) the customer's number, None: every row its own.

    >>> effective_responses(np.ones(4), np.array([0.0, 5.0, 5.0, 0.0]))
    2.0
    """
    weighed = weight * payment if unit is None else np.bincount(unit, weight * payment)
    squares = float(weighed @ weighed)
    return float(weighed.sum()) ** 2 / squares if squares > 0.0 else 0.0


def _one_amount(away: Floats) -> bool:
    most = float(away.max())
    alike, none = (int(np.count_nonzero(one)) for one in (away >= most * (1.0 - _ALIKE), away <= _ALIKE * most))
    return alike + none >= len(away) and (alike > 1 or most == 1.0)
