"""What a log must not be. Each refusal has a code, says which rows (the first few, and how many), and what to do.

Rows are counted from 1, as they stand in the log; the heading of a file is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.figures import number

if TYPE_CHECKING:
    from experiments.ope.feedback import LoggedFeedback

#: Rows named in a message.
NAMED_ROWS = 5
#: Probabilities of a row must sum to 1 this closely; a column kept as 32-bit floats does.
SUM_TOLERANCE = 1e-5


def check(log: LoggedFeedback) -> None:
    """Raises InvalidInput for the first rule broken, in this order: shape, arms, probabilities, rewards, ids."""
    _shapes(log)
    _arms(log)
    _probabilities(log)
    refuse(
        ~np.isfinite(log.reward),
        "reward_missing",
        "no finite reward in {rows}; leave out decisions whose reward is not known yet",
        "reward",
    )
    _distribution(log)
    _ids(log)


def uninformative(log: LoggedFeedback) -> None:
    """Raises InvalidInput for a log from which nothing can be told, however it is weighted."""
    if len(log) < 2:
        rows = "row 1 is all there is" if len(log) else "there is no row"
        raise InvalidInput(f"one row tells nothing about a policy: {rows}", code="too_few_rows")
    if log.reward.min() == log.reward.max():
        raise InvalidInput(
            f"all {len(log):,} rewards (rows 1 to {len(log)}) are {number(float(log.reward[0]))}: "
            "nothing tells arms apart; look at what is counted as a reward",
            field="reward",
            code="constant_reward",
        )


def refuse(wrong: Any, code: str, message: str, field: str) -> None:
    """Raises InvalidInput where any of the (n,) truth values `wrong` holds; `{rows}` in the message becomes which."""
    if wrong.any():
        raise InvalidInput(message.format(rows=which(np.flatnonzero(wrong))), field=field, code=code)


def which(rows: NDArray[Any]) -> str:
    """The first few of these (m,) places, counted from 1, and how many there are.

    >>> which(np.array([4])), which(np.arange(10, 1010))
    ('data row 5', 'data rows 11, 12, 13, 14, 15 and 995 more (1,000 in all)')
    """
    if len(rows) == 1:
        return f"data row {rows[0] + 1}"
    named = ", ".join(str(row + 1) for row in rows[:NAMED_ROWS])
    more = len(rows) - NAMED_ROWS
    return f"data rows {named}" + (f" and {more:,} more ({len(rows):,} in all)" if more > 0 else "")


def distribution(table: NDArray[np.float64], allowed: NDArray[np.bool_] | None, name: str) -> None:
    """Raises InvalidInput unless each row of the (n, k) `table` is a distribution over its allowed arms."""
    sums = table.sum(axis=1)
    # One pass finds whether anything is wrong; which rows, only then.
    low, high = (table.min(), table.max()) if table.size else (0.0, 0.0)
    if not (low >= 0.0 and high <= 1.0 + SUM_TOLERANCE):
        wrong = ~((table >= 0.0) & (table <= 1.0 + SUM_TOLERANCE)).all(axis=1)
        refuse(wrong, "distribution_range", f"{name} below 0, above 1 or missing in {{rows}}", name)
    refuse(
        ~(np.abs(sums - 1.0) <= SUM_TOLERANCE),
        "distribution_sum",
        f"{name} does not sum to 1 over the arms in {{rows}}",
        name,
    )
    if allowed is not None:
        outside = ((table > 0.0) & ~allowed).any(axis=1)
        refuse(outside, "distribution_arm_not_allowed", f"{name} is on arms that were filtered out in {{rows}}", name)


def _shapes(log: LoggedFeedback) -> None:
    n, k = len(log.arm), len(log.arms)
    if len(set(log.arms)) != k:
        raise InvalidInput("every arm needs a name of its own", field="arms", code="duplicate_arm")
    wanted = {
        **dict.fromkeys(("arm", "action_probability", "reward", "unit", "decision_id", "decided_at", "place"), (n,)),
        "allowed": (n, k),
        "logging_probability": (n, k),
        "context": (n, log.context.shape[-1]),
    }
    for name, shape in wanted.items():
        column = getattr(log, name)
        if column is not None and column.shape != shape:
            raise InvalidInput(f"{name} has shape {column.shape}, not {shape}", field=name, code="wrong_shape")


def _arms(log: LoggedFeedback) -> None:
    unknown = (log.arm < 0) | (log.arm >= len(log.arms))
    refuse(unknown, "unknown_arm", "no arm of the log is the one drawn in {rows}", "arm")
    if log.allowed is not None:
        outside = ~log.allowed[np.arange(len(log)), log.arm]
        refuse(outside, "arm_not_allowed", "the arm drawn in {rows} is one that had been filtered out", "allowed")


def _probabilities(log: LoggedFeedback) -> None:
    p, name = log.action_probability, "action_probability"
    advice = "; log the probability with which the arm was drawn, or leave these rows out and say so"
    refuse(np.isnan(p), "probability_missing", "no probability in {rows}" + advice, name)
    refuse(p < 0.0, "probability_negative", "a probability below 0 in {rows}" + advice, name)
    refuse(p > 1.0, "probability_above_one", "a probability above 1 in {rows}: is it a percentage?", name)
    refuse(p == 0.0, "probability_zero", "probability 0 in {rows}, yet the arm was drawn" + advice, name)


def _distribution(log: LoggedFeedback) -> None:
    table, name = log.logging_probability, "logging_probability"
    if table is None:
        return
    distribution(table, log.allowed, name)
    drawn = table[np.arange(len(log)), log.arm]
    differs = ~(np.abs(drawn - log.action_probability) <= SUM_TOLERANCE)
    refuse(differs, "probability_differs", f"action_probability is not what {name} says in {{rows}}", name)


def _ids(log: LoggedFeedback) -> None:
    if log.place is not None:
        refuse(log.place < 1, "place_range", "places count from 1; look at {rows}", "place")
    if log.decision_id is None or not len(log):
        return
    key = np.unique(log.decision_id, return_inverse=True)[1].astype(np.int64)
    if log.place is not None:
        key = key * (int(log.place.max()) + 1) + log.place
    first = np.unique(key, return_index=True)[1]
    if len(first) == len(key):
        return
    repeated = np.ones(len(key), dtype=bool)
    repeated[first] = False
    example = log.decision_id[int(np.flatnonzero(repeated)[0])]
    message = f"a decision and place that came before ({str(example)[:40]!r}) again in {{rows}}; keep one of each"
    message += ", or name the column that tells decisions apart with --column decision=COLUMN"
    refuse(repeated, "duplicate_id", message, "decision_id")
