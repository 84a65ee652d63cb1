"""Run as a script: makes a small home with a history, features and trained models.

python small_home.py FOLDER
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from experiments.history import write_history
from experiments.simulator import World
from features import clock
from features.catalogue import load_catalogue
from features.domain import Customer
from features.ledger import open_ledger
from features.refresh import refresh_features
from features.settings import load_settings
from training.bundle import champion, load_bundle
from training.pipeline import train

#: Customers of the history: enough that models can be fitted at all.
CUSTOMERS = 400
#: One action clearly worth a message, one for visits, and one message a day.
CATALOGUE = """
[[group]]
id = "growth"

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
value = 400.0
treatment = [{ channel = "email", content = "upgrade/email" }, { channel = "web", content = "upgrade/banner" }]

[[action]]
id = "points"
group = "growth"
value = 20.0
eligible = "customer.tenure_days >= 0"
treatment = [{ channel = "web", content = "points/banner" }]

[[contact_policy]]
id = "one-a-day"
scope = "all"
limit = 1
window_days = 1
"""


def main(home: Path) -> None:
    """A home whose champion has all three models: of few customers, not every world shows each of them to be better."""
    for seed in range(11, 19):
        attempt = home.with_name(f"{home.name}-{seed}")  # a folder of its own each: MLflow keeps its database open
        make(attempt, seed)
        current = champion(load_settings(attempt).bundle_folder)
        if current is not None and set(load_bundle(current).models) == {"churn", "conversion", "propensity"}:
            attempt.rename(home)
            return
        shutil.rmtree(attempt)
    raise SystemExit("in eight worlds no three models passed")


def make(home: Path, seed: int) -> None:
    settings = load_settings(home)
    settings.catalogue_folder.mkdir(parents=True)
    (settings.catalogue_folder / "all.toml").write_text(CATALOGUE)
    now = clock.now()
    world = World(seed=seed, catalogue=load_catalogue(settings.catalogue_folder), size=CUSTOMERS)
    ledger = open_ledger(settings.ledger)
    past = write_history(world, ledger, now)
    agreed = {"email": "granted"}
    ledger.put_customers([Customer(c.customer_id, c.created_at, "Etc/UTC", agreed) for c in past.customers])
    refresh_features(settings, ledger.url, now)
    ledger.close()
    train(settings, now)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
