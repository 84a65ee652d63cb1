from __future__ import annotations

import random
from typing import Any

import duckdb
import pytest

from features.catalogue import Action, Catalogue, Channel, Reward
from features.clock import DAY
from features.domain import Arm, Outcome
from features.ledger import LearnableItem
from features.rewards import UNIT, RewardRules, reward
from training.labels import Span, customer_labels, history_span, propensity_labels

HORIZON = 10


class Past:
    """The four relations of a history, filled by hand."""

    def __init__(self) -> None:
        self.database = duckdb.connect()
        for columns in (
            "customers (customer_id VARCHAR, created_at BIGINT)",
            "events (customer_id VARCHAR, type VARCHAR, occurred_at BIGINT, value DOUBLE DEFAULT NULL)",
            "decision_items (decision_id VARCHAR, rank BIGINT, customer_id VARCHAR, decided_at BIGINT,"
            " action VARCHAR, channel VARCHAR, shown_at BIGINT, action_probability DOUBLE DEFAULT 0.5)",
            "outcomes (decision_id VARCHAR, rank BIGINT, kind VARCHAR, occurred_at BIGINT)",
        ):
            self.database.execute(f"CREATE TABLE {columns}")

    def add(self, table: str, *rows: tuple[Any, ...]) -> Past:
        for row in rows:
            names = self.database.table(table).columns[: len(row)]
            marks = ", ".join("?" * len(row))
            self.database.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", row)
        return self

    def query(self, sql: str) -> Any:
        return self.database.sql(sql).to_arrow_table()


def labels_of(past: Past, at: int) -> dict[str, tuple[float, float | None]]:
    rows = customer_labels(past, [at], HORIZON).to_pylist()
    return {row["customer_id"]: (row["conversion"], row["churn"]) for row in rows}


@pytest.mark.parametrize(
    ("visited_at", "churn"),
    [(100, 0.0), (109, 0.0), (110, 1.0)],
    ids=["at the cut-off", "in the last moment of the horizon", "when the horizon is over"],
)
def test_an_activity_at_the_cut_off_counts_and_one_at_the_end_of_the_horizon_does_not(
    visited_at: int, churn: float
) -> None:
    past = Past().add("customers", ("a", 0)).add("events", ("a", "session", 95), ("a", "session", visited_at))
    assert labels_of(past, 100)["a"] == (0.0, churn)


def test_only_a_customer_active_within_the_horizon_before_can_churn() -> None:
    past = Past().add("customers", ("a", 0), ("b", 0), ("c", 0))
    past.add("events", ("a", "login", 90), ("b", "login", 89), ("c", "newsletter_opened", 95))
    assert {name: churn for name, (_, churn) in labels_of(past, 100).items()} == {"a": 1.0, "b": None, "c": None}


def test_only_a_purchase_is_a_conversion() -> None:
    past = Past().add("customers", ("a", 0), ("b", 0), ("c", 0))
    past.add("events", ("a", "purchase", 100), ("b", "session", 100), ("c", "purchase", 110))
    assert {name: bought for name, (bought, _) in labels_of(past, 100).items()} == {"a": 1.0, "b": 0.0, "c": 0.0}


@pytest.mark.parametrize("money_back", [("purchase", 105, -20.0), ("refund", 105, 20.0), ("refund", 105, None)])
def test_a_refund_is_neither_a_conversion_nor_an_activity(money_back: tuple[str, int, float | None]) -> None:
    past = Past().add("customers", ("a", 0), ("b", 0))
    past.add("events", ("a", "session", 95), ("a", *money_back), ("b", money_back[0], 95, money_back[2]))
    assert labels_of(past, 100) == {"a": (0.0, 1.0), "b": (0.0, None)}


@pytest.mark.parametrize("value", [None, 0.0, 20.0])
def test_a_purchase_for_nothing_or_without_a_price_is_a_conversion(value: float | None) -> None:
    past = Past().add("customers", ("a", 0)).add("events", ("a", "purchase", 105, value))
    assert labels_of(past, 100) == {"a": (1.0, None)}


def test_a_customer_who_was_not_known_at_the_cut_off_has_no_label() -> None:
    past = Past().add("customers", ("early", 99), ("late", 100), ("undated", None))
    assert set(labels_of(past, 100)) == {"early", "undated"}


def test_of_too_many_customers_the_same_are_always_taken() -> None:
    forwards, backwards = Past(), Past()
    rows = [(f"c{n}", 0) for n in range(20)]
    forwards.add("customers", *rows)
    backwards.add("customers", *reversed(rows))
    chosen = [
        customer_labels(p, [5], HORIZON, limit=7).column("customer_id").to_pylist() for p in (forwards, backwards)
    ]
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 7


CATALOGUE = Catalogue("v", {}, (), {"a": Action("a", "g", window_days=2.0, outcome="clicked")}, ())
CLOSES = 2 * DAY


def accepted(past: Past, last: int) -> list[float]:
    return list(propensity_labels(past, CATALOGUE, Span(0, last)).column("accepted").to_pylist())


@pytest.mark.parametrize(
    ("happened_at", "label"),
    [(-1, 0.0), (0, 1.0), (CLOSES, 1.0), (CLOSES + 1, 0.0)],
    ids=["before it was decided", "at once", "when the window closes", "after it closed"],
)
def test_a_success_counts_from_the_decision_to_the_close_of_its_window(happened_at: int, label: float) -> None:
    past = Past().add("decision_items", ("d", 1, "c", 0, "a", "web", None))
    past.add("outcomes", ("d", 1, "clicked", happened_at))
    assert accepted(past, CLOSES) == [label]


def test_an_open_window_is_not_a_zero() -> None:
    past = Past().add("decision_items", ("d", 1, "c", 0, "a", "web", None))
    assert accepted(past, CLOSES - 1) == []
    assert accepted(past, CLOSES) == [0.0]


def test_the_window_starts_when_the_action_was_shown() -> None:
    past = Past().add("decision_items", ("d", 1, "c", 0, "a", "web", DAY))
    past.add("outcomes", ("d", 1, "clicked", 3 * DAY))
    assert accepted(past, 3 * DAY - 1) == []
    assert accepted(past, 3 * DAY) == [1.0]


def test_success_is_the_outcome_the_action_names_or_a_conversion() -> None:
    past = Past()
    for kind in ("clicked", "converted", "accepted", "rejected"):
        past.add("decision_items", (kind, 1, "c", 0, "a", "web", None)).add("outcomes", (kind, 1, kind, 1))
    labels = propensity_labels(past, CATALOGUE, Span(0, CLOSES)).to_pylist()
    assert {row["decision_id"]: row["accepted"] for row in labels} == {
        "clicked": 1.0,
        "converted": 1.0,
        "accepted": 0.0,
        "rejected": 0.0,
    }


def test_an_outcome_counts_for_its_own_place_of_the_decision_only() -> None:
    past = Past().add("decision_items", ("d", 1, "c", 0, "a", "web", None), ("d", 2, "c", 0, "a", "email", None))
    past.add("outcomes", ("d", 2, "clicked", 1), ("d", 2, "clicked", 2))
    assert accepted(past, CLOSES) == [0.0, 1.0]


def test_doing_nothing_and_forgotten_actions_are_not_learned_from() -> None:
    past = Past().add(
        "decision_items", ("d", 1, "c", 0, "do_nothing", "none", None), ("e", 1, "c", 0, "gone", "web", None)
    )
    assert accepted(past, CLOSES) == []
    assert propensity_labels(past, Catalogue("v", {}, (), {}, ()), Span(0, CLOSES)).num_rows == 0


def test_the_history_spans_every_kind_of_fact_but_none_from_the_future() -> None:
    assert history_span(Past(), 100) is None
    past = Past().add("events", ("c", "login", 20)).add("decision_items", ("d", 1, "c", 10, "a", "web", None))
    past.add("outcomes", ("d", 1, "clicked", 30), ("d", 1, "clicked", 5_000))
    assert history_span(past, 100) == Span(10, 30)


def test_labels_are_what_the_learner_learns_of_the_same_items() -> None:
    """600 items, random displays and outcomes, on channels that report displays, on others and on unknown ones."""
    channels = {
        "web": Channel("web", False, 0.0, "responses", reports_display=True, display_days=2.0),
        "email": Channel("email", display_days=1.0),
    }
    action = Action("a", "g", window_days=2.0, outcome="clicked", rewards=(Reward("clicked", None, 3.0, "email"),))
    catalogue = Catalogue("v", channels, (), {"a": action}, ())
    draw, rules, past, end, expected = random.Random(9), RewardRules(catalogue), Past(), 40 * DAY, {}
    for n in range(600):
        name, at, channel = f"d{n:03d}", draw.randrange(30 * DAY), draw.choice(["web", "email", "pigeon"])
        shown = draw.choice([None, at + draw.randrange(4 * DAY)])
        kinds = draw.choices(["clicked", "converted", "seen", "failed", "rejected"], k=draw.choice([0, 0, 1, 2]))
        told = sorted((at + draw.randrange(6 * DAY), kind) for kind in kinds)
        past.add("decision_items", (name, 1, "c", at, "a", channel, shown))
        for moment, kind in told:
            past.add("outcomes", (name, 1, kind, moment))
        outcomes = tuple(Outcome(f"o{k}", name, "c", "a", kind, moment) for k, (moment, kind) in enumerate(told))
        item = LearnableItem(
            name, 1, "c", Arm("a", channel), 0.1, 0.1, 1.0, at, at, "b", "open", 0, None, shown, at, outcomes
        )
        success = reward(item, rules.of(item), end, 0).success
        if success is not None:
            expected[name] = success / UNIT
    labels = propensity_labels(past, catalogue, Span(0, end)).to_pylist()
    assert {row["decision_id"]: row["accepted"] for row in labels} == expected
    assert 50 < sum(expected.values()) < len(expected) < 600  # some of each: yes, no, and nothing learned
