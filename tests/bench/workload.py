"""Workload W of the design: 20 actions x 4 channels = 80 arms, >= 36 features in >= 3 views, 200-tree models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import lightgbm
import numpy as np

from experiments.history import write_history
from experiments.simulator import World
from features import clock
from features.catalogue import load_catalogue
from features.domain import Customer
from features.ledger import open_ledger
from features.refresh import refresh_features
from features.settings import Settings, load_settings
from training.bundle import champion, load_bundle, publish_champion, read_verified, write_bundle
from training.pipeline import train

CHANNELS = ("email", "sms", "push", "web")


def catalogue_text() -> str:
    """80 arms, every action with a condition and every fourth with a value that reads a score."""
    parts = [
        f'[[channel]]\nid = "{c}"\noutbound = {str(c != "web").lower()}\nreports = "responses"\n' for c in CHANNELS
    ]
    parts += [f'[[group]]\nid = "{g}"\n' for g in ("growth", "retention", "loyalty", "service")]
    for i in range(20):
        group = ("growth", "retention", "loyalty", "service")[i % 4]
        value = '"10.0 + 40.0 * score.churn"' if i % 4 == 1 else f"{5 + i}.0"
        treatments = ", ".join(f'{{channel = "{c}", content = "bench/{i:02d}/{c}"}}' for c in CHANNELS)
        parts.append(
            f'[[action]]\nid = "action_{i:02d}"\ngroup = "{group}"\nvalue = {value}\n'
            f'eligible = "customer.tenure_days >= {i % 3}.0 && customer.contacts_30d < 1000000.0"\n'
            f"treatment = [{treatments}]\n"
        )
    parts.append('[[contact_policy]]\nid = "cap"\nscope = "all"\nlimit = 1000000\nwindow_days = 1\n')
    return "\n".join(parts)


def build_home(home: Path, customers: int = 2_000) -> list[str]:
    """A home with a history, features and trained models, the ledger as it was built; returns the customers.

    Contacts that an earlier run left would have to be read by every decision of this one.
    """
    settings = load_settings(home)
    built = home / "ledger-built.db"
    if not built.exists():
        shutil.rmtree(home, ignore_errors=True)
        _build(settings, customers)
        shutil.copy(home / "ledger.db", built)
    for left in home.glob("ledger.db*"):
        left.unlink()
    shutil.copy(built, home / "ledger.db")
    ledger = open_ledger(settings.ledger)
    found = ledger.customer_ids()
    ledger.close()
    return found


def _build(settings: Settings, customers: int) -> None:
    settings.catalogue_folder.mkdir(parents=True)
    (settings.catalogue_folder / "bench.toml").write_text(catalogue_text())
    ledger, now = open_ledger(settings.ledger), clock.now()
    world = World(seed=1, catalogue=load_catalogue(settings.catalogue_folder), size=customers)
    write_history(world, ledger, now)
    granted = dict.fromkeys(CHANNELS, "granted")
    known = [ledger.customer(c) for c in ledger.customer_ids()]
    ledger.put_customers(
        [Customer(c.customer_id, c.created_at, c.zone, granted, c.attributes) for c in known if c is not None]
    )
    refresh_features(settings, ledger.url, now)
    train(settings, now)
    grow_to_200_trees(settings)
    ledger.close()


def grow_to_200_trees(settings: Settings) -> None:
    """Puts boosters of the workload's full 200 trees in place of the trained ones, which stop early at 35 to 80.

    They learn to repeat the trained model's own predictions on random rows, so that every tree really splits.
    """
    released = load_bundle(champion(settings.bundle_folder) or settings.bundle_folder)
    files = dict(read_verified(settings.bundle_folder / released.bundle_id))
    rng = np.random.default_rng(1)
    for name in released.models:
        rows = rng.normal(20.0, 20.0, (8_000, released.scorers[name].width))
        labels = rng.random(len(rows)) < 1.0 / (1.0 + np.exp(-rows @ rng.normal(0, 0.02, rows.shape[1])))
        options = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "seed": 1, "num_threads": 2}
        booster = lightgbm.train(options, lightgbm.Dataset(rows, labels.astype(float)), 200)
        files[f"{name}.txt"] = booster.model_to_string().encode()
    manifest = {k: v for k, v in json.loads(files.pop("manifest.json")).items() if k not in ("bundle_id", "files")}
    publish_champion(settings.bundle_folder, write_bundle(settings.bundle_folder, manifest, files).name)
