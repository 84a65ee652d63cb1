"""One round of background work: learn, push what was touched, release what expired."""

from __future__ import annotations

from pathlib import Path

from features.catalogue import load_catalogue
from features.clock import DAY, HOUR, SECOND, parse_time
from features.contract import build_contract
from features.domain import Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.home import prepare_home
from features.ledger import open_ledger
from features.online import MemoryFeatureStore
from features.settings import Settings
from serving.worker import Round, Worker
from training.learner import latest_snapshot

NOW = parse_time("2026-03-01T12:00:00Z")


def test_a_round_learns_pushes_and_releases_and_a_second_finds_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("anna", NOW - 90 * DAY), Customer("bert")])
    arm = Arm("upgrade_premium", "web")
    item = Item(1, arm, "growth", 0.5, 0.25, 0.25, 40.0, 10.0, 10.0, None, NOW + HOUR, NOW + 14 * DAY)
    for n, customer in enumerate(("anna", "bert"), 1):  # bert never answers: his slot expires
        made = Decision(f"d{n}", f"r{n}", customer, NOW, (item,), "action", None, None, Versions(None, "p", "c"))
        ledger.append_decision(made, request_hash="h", answer=b"{}", contact_version=0, action_classes={})
    ledger.append_outcomes([Outcome("o1", "d1", "anna", arm.action, "accepted", NOW + 1)], NOW + 1)
    ledger.append_events([Event("e1", "anna", "purchase", NOW, value=12.5)])
    store = MemoryFeatureStore(build_contract(load_catalogue(settings.catalogue_folder), {}))
    worker = Worker(settings, ledger, lambda: store)

    later = NOW + 2 * HOUR
    assert worker.work(later) == Round(snapshot=1, learned=1, pushed=2, released=1)
    assert worker.work(later) == Round(snapshot=1, learned=0, pushed=0, released=0)
    row = store.read("anna")
    assert row is not None
    seen = dict(zip(store.contract.names, row.values, strict=True))
    assert (seen["purchases_30d"], seen["spend_30d"], seen["contacts_7d"], seen["accepts_30d"]) == (1.0, 12.5, 1.0, 1.0)
    snapshot, _ = latest_snapshot(ledger)
    assert snapshot.arms[arm.key].count == 1
    ledger.close()


def test_the_policy_is_learned_at_most_so_often_because_every_snapshot_is_kept(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, learn_seconds=10.0)
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("anna", NOW - 90 * DAY)])
    arm = Arm("upgrade_premium", "web")
    item = Item(1, arm, "growth", 0.5, 0.25, 0.25, 40.0, 10.0, 10.0, None, NOW + HOUR, NOW + 14 * DAY)
    for n in range(2):
        made = Decision(f"d{n}", f"r{n}", "anna", NOW, (item,), "action", None, None, Versions(None, "p", "c"))
        ledger.append_decision(made, request_hash="h", answer=b"{}", contact_version=n, action_classes={})
    worker = Worker(settings, ledger, lambda: None)
    found = []
    for seconds, told in ((0, "o0"), (5, "o1"), (10, None)):
        if told:
            accepted = Outcome(told, f"d{told[1]}", "anna", arm.action, "accepted", NOW + 1)
            ledger.append_outcomes([accepted], NOW + 1)
        found.append(worker.work(NOW + HOUR + seconds * SECOND))
    assert [(r.snapshot, r.learned) for r in found] == [(1, 1), (1, 0), (2, 1)]
    ledger.close()
