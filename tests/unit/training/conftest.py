"""A small past with known signal: keen customers come often, buy, and like one of two offers; the others hardly do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.clock import DAY, HOUR
from features.domain import Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from training.pipeline import train
from training.report import TrainingReport

START = 20_000 * DAY
DAYS = 100
CATALOGUE = """
[[channel]]
id = "email"
[[channel]]
id = "web"
outbound = false
[[group]]
id = "growth"
[[action]]
id = "liked"
group = "growth"
value = 10.0
window_days = 5
treatment = [{ channel = "email" }, { channel = "web" }]
[[action]]
id = "plain"
group = "growth"
value = 10.0
window_days = 5
treatment = [{ channel = "email" }, { channel = "web" }]
"""


def item(arm: Arm, decided_at: int, rank: int = 1) -> Item:
    return Item(rank, arm, "growth", 0.25, None, None, 10.0, 1.0, 1.0, None, decided_at + DAY, decided_at + 5 * DAY)


def decision(name: str, customer_id: str, arm: Arm, decided_at: int, **more: object) -> Decision:
    versions = Versions(None, "0", "test")
    given = (name, f"request-{name}", customer_id, decided_at, (item(arm, decided_at),), "action", None, None, versions)
    return Decision(*given, **more)  # type: ignore[arg-type]


def fill(ledger: Ledger, *, customers: int, seed: int, signal: bool) -> None:
    """Customers c0000.. with 100 days of visits, purchases, contacts and accepts; without `signal` all are alike."""
    rng = np.random.default_rng(seed)
    names = [f"c{n:04d}" for n in range(customers)]
    keen = rng.random(customers) < 0.5 if signal else np.zeros(customers, dtype=bool)
    ledger.put_customers(Customer(name, START, attributes={"colour": n % 3}) for n, name in enumerate(names))
    events, decisions, outcomes = [], [], []
    for name, is_keen in zip(names, keen, strict=True):
        for at in np.flatnonzero(rng.random(DAYS) < (0.4 if is_keen else 0.06)):
            moment = START + int(at) * DAY + int(rng.integers(DAY))
            kind = "purchase" if rng.random() < 0.3 else "session"
            events.append(Event(f"{name}-{at}", name, kind, moment, value=20.0 if kind == "purchase" else None))
        for turn in range(4):
            arm = Arm(("liked", "plain")[rng.integers(2)], ("email", "web")[rng.integers(2)])
            moment = START + (20 * turn + 15) * DAY + int(rng.integers(10 * DAY))
            decisions.append(decision(f"{name}-d{turn}", name, arm, moment))
            accepts = 0.6 if is_keen and arm.action == "liked" else 0.15
            if rng.random() < accepts:
                told = (f"{name}-o{turn}", f"{name}-d{turn}", name, arm.action, "accepted", moment + HOUR)
                outcomes.append(Outcome(*told))
    ledger.append_events(events)
    ledger.import_decisions(decisions)
    ledger.append_outcomes(outcomes, recorded_at=START + DAYS * DAY)


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Makes a home with a catalogue and such a past: `make_home(customers=800, seed=1, signal=True)`."""

    def make(customers: int = 800, seed: int = 1, signal: bool = True) -> Settings:
        home = tmp_path_factory.mktemp("home")
        settings = Settings(home=home)
        settings.catalogue_folder.mkdir()
        (settings.catalogue_folder / "all.toml").write_text(CATALOGUE)
        ledger = open_ledger(settings.ledger)
        fill(ledger, customers=customers, seed=seed, signal=signal)
        ledger.close()
        return settings

    return make


@pytest.fixture(scope="session")
def keen_home(make_home: Callable[..., Settings]) -> Settings:
    """A home whose past has something to learn from. Tests do not change its ledger."""
    return make_home()


class MemoryTracker:
    """Remembers what it was told to record and to promote."""

    def __init__(self) -> None:
        self.reports: list[TrainingReport] = []
        self.promoted: list[str] = []

    def record(self, report: TrainingReport) -> None:
        self.reports.append(report)

    def promote(self, folder: Path) -> None:
        self.promoted.append(folder.name)


@pytest.fixture(scope="session")
def make_tracker() -> Callable[[], MemoryTracker]:
    return MemoryTracker


@pytest.fixture
def tracker() -> MemoryTracker:
    return MemoryTracker()


@pytest.fixture(scope="session")
def trained(keen_home: Settings, now: int) -> TrainingReport:
    """A training on the keen home, promoted. Tests copy its bundle before they change it."""
    return train(keen_home, now, tracker=MemoryTracker())


@pytest.fixture(scope="session")
def now() -> int:
    return START + (DAYS + 1) * DAY


def _decide(ledger: Ledger, served: list[dict[str, float | None]]) -> None:
    """One live decision for each row of features."""
    ledger.put_customers([Customer("c")])
    for n, features in enumerate(served):
        nothing = Item(1, Arm("do_nothing", "none"), "", 1.0, None, None, 0.0, 0.0, 0.0, None, n, n)
        versions = Versions(None, "0", "v")
        made = Decision(f"d{n}", f"r{n}", "c", n, (nothing,), "do_nothing", None, None, versions, features=features)
        ledger.append_decision(made, request_hash="", answer=b"{}", contact_version=0, action_classes={})


@pytest.fixture(scope="session")
def decide_live() -> Callable[..., None]:
    """`decide_live(ledger, rows)`: one live decision for each row of served features."""
    return _decide
