"""The latest weeks of a simulated past: decided by the engine, answered by the world, learned from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.history import write_history
from experiments.homes import populate
from experiments.recent import DAYS, decide_recent
from experiments.simulator import World
from features.catalogue import load_catalogue
from features.clock import DAY
from features.errors import CatalogueError
from features.home import prepare_home
from features.ledger import Ledger, open_ledger, read_arrow
from features.settings import Settings
from serving.replay import SAME, replay
from training.learner import NO_BUNDLE

NOW = 20_000 * DAY
SIZE = 120


def silent(_share: float) -> None:
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Ledger]]:
    """A simulated home with a third of its customers in the holdout."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), holdout_share=0.33)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    populate(settings, ledger, SIZE, NOW, silent)
    yield settings, ledger
    ledger.close()


def rows(ledger: Ledger, query: str) -> list[dict[str, Any]]:
    return read_arrow(ledger.url, query).to_pylist()


def records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(one.record) for one in ledger.live_records(0, 100_000)]


def test_every_decision_of_it_is_made_again_bit_for_bit(home: tuple[Settings, Ledger]) -> None:
    settings, ledger = home
    verdicts = list(replay(ledger, settings.bundle_folder))
    assert len(verdicts) > 200
    assert {one.kind for one in verdicts} == {SAME}


def test_all_that_is_allowed_has_the_same_chance(home: tuple[Settings, Ledger]) -> None:
    for record in records(home[1]):
        if record["candidates"] is not None:
            left = sum(removed < 0 for removed in record["candidates"]["removed"])
            assert record["items"][0]["action_probability"] == pytest.approx(1.0 / left)
            assert record["versions"]["policy"] == "uniform/0"


def test_the_holdout_is_decided_about_and_gets_nothing(home: tuple[Settings, Ledger]) -> None:
    made = Counter((r["variants"]["holdout"], r["result"], r["reason"]) for r in records(home[1]))
    held = {key: count for key, count in made.items() if key[0] == "holdout"}
    assert list(held) == [("holdout", "do_nothing", "holdout")]
    assert 0.2 < sum(held.values()) / made.total() < 0.5


def test_decisions_of_elsewhere_come_before_and_nothing_is_of_the_future(home: tuple[Settings, Ledger]) -> None:
    spans = rows(home[1], "SELECT origin, min(decided_at) AS first, max(decided_at) AS last FROM decisions GROUP BY 1")
    by_origin = {row["origin"]: row for row in spans}
    assert by_origin["import"]["last"] <= NOW - DAYS * DAY <= by_origin["live"]["first"]
    assert by_origin["live"]["last"] < NOW
    for column, table in (("occurred_at", "events"), ("occurred_at", "outcomes"), ("recorded_at", "outcomes")):
        assert rows(home[1], f"SELECT max({column}) AS last FROM {table}")[0]["last"] <= NOW


def test_what_customers_did_is_known_from_when_it_was_told_and_not_before(home: tuple[Settings, Ledger]) -> None:
    told = rows(
        home[1],
        "SELECT o.occurred_at, o.recorded_at FROM outcomes o JOIN decisions d ON d.decision_id = o.decision_id "
        "WHERE d.origin = 'live'",
    )
    assert len(told) > 50
    assert all(row["occurred_at"] <= row["recorded_at"] for row in told)
    assert len({row["recorded_at"] for row in told}) > 3
    # An answer of one week is seen in the features of a later one.
    contacts = [r["features"].get("contacts_30d") for r in records(home[1]) if r["features"]]
    assert max(count or 0.0 for count in contacts) > 1


def test_rewards_are_settled_and_statistics_learned(home: tuple[Settings, Ledger]) -> None:
    _, ledger = home
    closed = rows(
        ledger,
        "SELECT reward_state, success_units FROM decision_items WHERE reward_state <> 'imported' "
        f"AND action <> 'do_nothing' AND closes_at < {NOW - DAY}",
    )
    assert len(closed) > 80
    assert all(row["success_units"] is not None for row in closed)
    assert {row["reward_state"] for row in closed} <= {"provisional", "final"}
    learned = ledger.policy_statistics([NO_BUNDLE])[NO_BUNDLE]
    assert sum(sums[0] for sums in learned.values()) >= len(closed)


def test_contacts_made_are_committed(home: tuple[Settings, Ledger]) -> None:
    query = "SELECT r.state FROM reservations r JOIN decisions d USING (decision_id) WHERE d.origin <> 'import'"
    states = Counter(row["state"] for row in rows(home[1], query))
    assert set(states) == {"committed"}


def test_interrupted_between_weeks_it_goes_on_where_it_was(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(share: float) -> None:
        if share > 0.6:
            raise Interrupted

    counts = []
    for name in ("whole", "interrupted"):
        settings = Settings(home=tmp_path / name)
        prepare_home(settings)
        ledger = open_ledger(settings.ledger)
        if name == "interrupted":
            with pytest.raises(Interrupted):
                populate(settings, ledger, 40, NOW, interrupt)
            assert ledger.count_live() > 0
        populate(settings, ledger, 40, NOW + DAY, silent)
        drawn = rows(ledger, "SELECT decision_id, action, channel FROM decision_items ORDER BY 1")
        counts.append([*(ledger.count(one) for one in ("events", "decisions", "outcomes")), drawn])
        ledger.close()
    assert counts[0] == counts[1]


def test_a_catalogue_by_which_nothing_can_be_decided_is_refused_by_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    file = settings.catalogue_folder / "actions.toml"
    file.write_text(file.read_text().replace("customer.purchases_90d >= 1", "customer.no_such_feature >= 1"))
    world = World(1, load_catalogue(settings.catalogue_folder), 20)
    ledger = open_ledger(settings.ledger)
    write_history(world, ledger, NOW, recent=DAYS)
    with pytest.raises(CatalogueError, match="no_such_feature"):
        decide_recent(world, settings, ledger, NOW, silent)
    ledger.close()
