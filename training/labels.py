"""Labels: what happened after a moment, as plain SQL over the history. An open window is not a zero: it has no label.

Features at a moment t hold facts strictly before t, so what happens at t itself belongs to the label: windows of
customers are [t, t + horizon). A decision's window is that of `features.rewards`, as the learner counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from features.catalogue import Catalogue, Channel
from features.domain import ACTIVITY_TYPES, Arm, OutcomeKind
from features.purchases import is_purchase, is_refund
from features.rewards import reward_rule

#: Customers of one cut-off, and decided items, that are learned from; chosen by a hash of their ids, so the same ones
#: every time. Six cut-offs of 100 columns stay under 250 MB.
MAX_CUSTOMERS = 50_000
MAX_ITEMS = 300_000


class Queryable(Protocol):
    """Anything that answers SQL over events, decision_items, outcomes and customers with a `pyarrow.Table`."""

    def query(self, sql: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Span:
    """The history at hand: first and last moment something was recorded, microseconds UTC."""

    first: int
    last: int


def history_span(history: Queryable, now: int) -> Span | None:
    """From the first to the last fact of any kind, not beyond `now`: one misdated fact must not close every window.

    None for an empty history.
    """
    table = history.query(
        f"""SELECT min(moment) AS first, max(moment) AS last FROM (
            SELECT occurred_at AS moment FROM events
            UNION ALL SELECT decided_at FROM decision_items
            UNION ALL SELECT occurred_at FROM outcomes
        ) WHERE moment <= {now:d}"""
    )
    first, last = table.column("first")[0].as_py(), table.column("last")[0].as_py()
    return None if first is None else Span(first, last)


def customer_labels(history: Queryable, cutoffs: Sequence[int], horizon: int, *, limit: int = MAX_CUSTOMERS) -> Any:
    """What every customer known before a cut-off did in the `horizon` microseconds from it on.

    Columns: customer_id, as_of (the cut-off), conversion (1.0 after a purchase in [as_of, as_of + horizon), else 0.0; a
    refund is none), churn (1.0 without any activity there, else 0.0; NULL for a customer without activity in the
    `horizon` before, who has nothing left to lose). Sorted by (as_of, customer_id). The caller keeps as_of + horizon
    inside the history.
    """
    moments = ", ".join(f"({moment:d})" for moment in cutoffs)
    return history.query(
        f"""WITH cutoffs(as_of) AS (VALUES {moments}),
        known AS (
            SELECT customer_id, as_of FROM cutoffs JOIN customers ON coalesce(created_at < as_of, true)
            QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY md5(customer_id), customer_id) <= {limit:d}
        ), done AS (
            SELECT customer_id, as_of,
                bool_or(occurred_at < as_of) AS active_before,
                bool_or(occurred_at >= as_of) AS active_after,
                bool_or(occurred_at >= as_of AND {is_purchase("type", "value")}) AS purchase_after
            FROM known JOIN events USING (customer_id)
            WHERE type IN ({_texts(ACTIVITY_TYPES)}) AND NOT {is_refund("type", "value")}
                AND occurred_at >= as_of - {horizon:d} AND occurred_at < as_of + {horizon:d}
            GROUP BY customer_id, as_of
        )
        SELECT customer_id, as_of,
            CAST(coalesce(purchase_after, false) AS DOUBLE) AS conversion,
            CASE WHEN active_before THEN CAST(NOT active_after AS DOUBLE) END AS churn
        FROM known LEFT JOIN done USING (customer_id, as_of)
        ORDER BY as_of, customer_id"""
    )


def propensity_labels(history: Queryable, catalogue: Catalogue, span: Span, *, limit: int = MAX_ITEMS) -> Any:
    """Whether each matured item was accepted: its action's outcome, or a conversion, came inside its window.

    Columns: decision_id, rank, customer_id, as_of (decided_at), action, channel, closes_at, action_probability, and
    accepted (1.0 or 0.0).
    Imported and live items alike; left out are doing nothing, actions the catalogue no longer has, items whose window
    closes after the history ends, and those that nobody saw, as far as that is reported. Sorted by (as_of,
    decision_id, rank).
    """
    known = ", ".join(_text(name) for name in catalogue.channels) or "''"
    return history.query(
        f"""WITH wanted(action, known_channel, success, lasts, waits, needs_display) AS (VALUES {_rules(catalogue)}),
        told AS (
            SELECT decision_id, rank, min(occurred_at) FILTER (kind = {_text(str(OutcomeKind.SEEN))}) AS seen_at,
                bool_or(kind = {_text(str(OutcomeKind.FAILED))}) AS failed,
                bool_or(kind <> {_text(str(OutcomeKind.FAILED))}) AS answered
            FROM outcomes GROUP BY decision_id, rank
        ), items AS (
            SELECT i.decision_id, i.rank, customer_id, decided_at, i.action, channel, action_probability, success,
                coalesce(least(greatest(least(shown_at, seen_at), decided_at), decided_at + waits), decided_at) + lasts
                    AS closes_at
            FROM decision_items i
            JOIN wanted w
                ON w.action = i.action AND w.known_channel = CASE WHEN channel IN ({known}) THEN channel ELSE '' END
            LEFT JOIN told t ON t.decision_id = i.decision_id AND t.rank = i.rank
            WHERE decided_at >= {span.first:d}
                AND (shown_at IS NOT NULL OR answered IS TRUE OR NOT (needs_display OR failed IS TRUE))
        ), matured AS (
            SELECT * FROM items WHERE closes_at <= {span.last:d}
            QUALIFY row_number() OVER (ORDER BY md5(decision_id), decision_id, rank) <= {limit:d}
        )
        SELECT m.decision_id, m.rank, m.customer_id, m.decided_at AS as_of, m.action, m.channel, m.closes_at,
            m.action_probability, CAST(coalesce(bool_or(
                o.kind IN (m.success, {_text(str(OutcomeKind.CONVERTED))})
                AND o.occurred_at BETWEEN m.decided_at AND m.closes_at
            ), false) AS DOUBLE) AS accepted
        FROM matured m LEFT JOIN outcomes o ON o.decision_id = m.decision_id AND o.rank = m.rank
        GROUP BY ALL ORDER BY as_of, m.decision_id, m.rank"""
    )


def _rules(catalogue: Catalogue) -> str:
    """The rows of `wanted`: of every action on every channel, and on those the catalogue does not know, called ''."""
    channels = [*catalogue.channels.values(), Channel("")]
    rows = []
    for action in catalogue.actions.values():
        for channel in channels:
            rule = reward_rule(Arm(action.id, channel.id), action, channel)
            needs = "true" if rule.reports_display else "false"
            names = f"{_text(action.id)}, {_text(channel.id)}, {_text(str(action.outcome))}"
            rows.append(f"({names}, {rule.success_window:d}, {rule.display_within:d}, {needs})")
    return ", ".join(rows) or "('', '', '', 0, 0, false)"


def _texts(values: Sequence[str]) -> str:
    return ", ".join(_text(value) for value in values)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
