"""Metrics: what is measured on each unit, which columns that needs, and which metric decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `column` over units. `covariate` is a column known before exposure that may explain part of it.

    `goal` marks the metric that decides; the others must not get worse. `share` is shown in percent, else as a number.
    `plain` says it in words a product team uses.
    """

    name: str
    column: str
    plain: str
    covariate: str | None = None
    goal: bool = False
    share: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns this metric needs."""
        return (self.column,) if self.covariate is None else (self.column, self.covariate)


#: What a holdout review measures, all since the customer's first decision.
HOLDOUT_METRICS = (
    Mean("conversion", "converted", "customers who bought", covariate="spend_before", goal=True, share=True),
    Mean("revenue", "revenue", "revenue per customer, less refunds", covariate="spend_before"),
)


def columns_of(metrics: tuple[Mean, ...]) -> tuple[str, ...]:
    """The union of what metrics need, each column once."""
    return tuple(dict.fromkeys(column for metric in metrics for column in metric.columns))
