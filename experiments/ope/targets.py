"""Targets by name, as they are asked for: uniform, constant:ARM, constants, column:PREFIX, or a policy re-scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.log_file import per_arm
from experiments.ope.target import Target, Uniform, constant, distribution
from features.errors import InvalidInput

#: (name of a policy) -> (n, k) its probabilities on the log. Raises InvalidInput for a name that is none.
Rescore = Callable[[str], Floats]


def parse_targets(
    names: Sequence[str], log: LoggedFeedback, table: pa.Table | None = None, rescore: Rescore | None = None
) -> list[Target]:
    """The targets named. Raises InvalidInput that says what may be asked for."""
    found: list[Target] = []
    for name in names:
        kind, _, rest = name.partition(":")
        if name == "constants":
            found += [constant(log, arm) for arm in log.arms]
        elif name == "uniform":
            found.append(Uniform())
        elif kind == "constant" and rest:
            found.append(constant(log, rest))
        elif kind == "column" and rest and table is not None:
            found.append(_of_columns(log, table, rest))
        elif kind != "column" and rescore is not None:
            found.append(distribution(log, name, rescore(name)))
        else:
            raise InvalidInput(_advice(name, table is not None), field="target")
    return found


def _of_columns(log: LoggedFeedback, table: pa.Table, prefix: str) -> Target:
    columns = per_arm(table, prefix, log.arms)
    if columns is None:
        raise InvalidInput(
            f"no column begins with {prefix!r}; the probability of an arm is in column {prefix}ARM, for each of "
            f"{', '.join(log.arms[:20])}",
            field="target",
            code="no_column",
        )
    return distribution(log, prefix.rstrip("_"), columns)


def _advice(name: str, file: bool) -> str:
    known = "uniform, constants, constant:ARM"
    if file:
        return (
            f"no target {name!r}; one of {known}, column:PREFIX (probabilities in columns PREFIX + arm). "
            "Policies by name need the ledger, which keeps the priorities they score"
        )
    return f"no target {name!r}; one of {known}, or a policy such as thompson or epsilon-greedy-0.1"
