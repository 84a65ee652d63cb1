"""A small shop with a history, features and trained models, made once; and the parts that decide, over a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.history import history
from experiments.simulator import World
from features.catalogue import load_catalogue
from features.clock import parse_time
from features.domain import Customer
from features.ledger import Ledger, open_ledger
from features.refresh import refresh_features
from features.settings import Settings
from features.store import open_feature_store
from serving.assignment import Layer, holdout_layer
from serving.decider import Decider
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from training.pipeline import train
from training.report import TrainingReport

SHOP_NOW = parse_time("2026-06-01T12:00:00Z")
SHOP = """
[[group]]
id = "growth"
exclusive = true
[[group]]
id = "help"
[[channel]]
id = "email"
cost = 0.01
reports = "responses"
[[channel]]
id = "web"
outbound = false
reports = "responses"
[[action]]
id = "upgrade"
group = "growth"
value = 40.0
lever = 10
eligible = "customer.tenure_days >= 0.0"
treatment = [{ channel = "email", content = "upgrade/email" }, { channel = "web", content = "upgrade/web" }]
[[action]]
id = "keep"
group = "growth"
value = "10.0 + 40.0 * score.churn + score.conversion"
treatment = [{ channel = "email" }, { channel = "web" }]
[[action]]
id = "advice"
group = "help"
class = "service"
value = 4.0
suitable = "customer.contacts_30d < 1000.0"
treatment = [{ channel = "web" }]
[[intent]]
id = "leaving"
weight = [{ action = "keep", percent = 80 }]
[[contact_policy]]
id = "one-a-day"
scope = "all"
limit = 1
window_days = 1
[[contact_policy]]
id = "no-means-no"
scope = "group"
of = "growth"
counts = "outcome"
outcome = "rejected"
limit = 2
window_days = 30
"""


@dataclass(slots=True)
class Deciding:
    """What decides over one home, at the moment `SHOP_NOW` and after."""

    settings: Settings
    ledger: Ledger
    live: Live
    layers: list[Layer]

    def decider(self, clock: Callable[[], float] = lambda: 0.0) -> Decider:
        return Decider(self.settings, self.ledger, self.live, self.layers, Metrics(), Journal(None), clock)


class NoTracker:
    """Remembers nothing: no test here is about MLflow."""

    def record(self, report: TrainingReport) -> None: ...

    def promote(self, folder: Path) -> None: ...


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home; tests work on copies of it."""
    settings = Settings(home=tmp_path_factory.mktemp("shop"))
    settings.catalogue_folder.mkdir()
    (settings.catalogue_folder / "all.toml").write_text(SHOP)
    ledger = open_ledger(settings.ledger)
    world = World(seed=5, catalogue=load_catalogue(settings.catalogue_folder), size=400)
    past = history(world, now=SHOP_NOW)
    consents = ({"email": "granted"}, {"email": "denied"}, {}, {"email": "granted"})
    ledger.put_customers(
        Customer(c.customer_id, c.created_at, ("Europe/Berlin", None)[n % 2], consents[n % 4])
        for n, c in enumerate(past.customers)
    )
    ledger.append_events(past.events)
    ledger.import_decisions(past.decisions, counts=False)  # tests of limits begin with none used up
    ledger.append_outcomes(past.outcomes, SHOP_NOW)
    refresh_features(settings, ledger.url, SHOP_NOW)
    ledger.close()
    train(settings, SHOP_NOW, tracker=NoTracker())
    return settings


@pytest.fixture
def deciding(shop: Settings, tmp_path: Path) -> Iterator[Callable[..., Deciding]]:
    """`deciding(policy="thompson", ...)` opens a copy of the shop with these settings; again: the same copy."""
    opened: list[Ledger] = []

    def make(features: bool = True, **given: object) -> Deciding:
        home = tmp_path / "home"
        if not home.exists():
            shutil.copytree(shop.home, home)
        settings = Settings(home=home, holdout_share=0.1, **given)  # type: ignore[arg-type]
        opened.append(open_ledger(settings.ledger))
        live = Live(settings, opened[-1], lambda: open_feature_store(settings) if features else None)
        live.refresh()
        return Deciding(settings, opened[-1], live, [holdout_layer(settings.holdout_share)])

    yield make
    for ledger in opened:
        ledger.close()
