"""A refresh of the features: which there are, what they are now, and into the store with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from features.aggregates import History, open_history
from features.catalogue import load_catalogue
from features.contract import FeatureContract, build_contract
from features.errors import NoData
from features.ledger import open_ledger
from features.online import FeatureStore
from features.settings import Settings
from features.store import FeastFeatureStore, open_feature_store

__all__ = [
    "Refreshed",
    "apply_features",
    "build_features",
    "open_feature_store",
    "open_known_history",
    "push_customers",
    "refresh_features",
]

#: Told what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


def _silent(_step: str, _done: int, _total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: `changed` says whether the contract is another one, `customers` how many are now online."""

    contract: FeatureContract
    changed: bool
    customers: int


def open_known_history(ledger_url: str) -> History:
    """The history of a ledger. Raises NoData when it knows no customers."""
    open_ledger(ledger_url).close()  # makes its tables
    history = open_history(ledger_url)
    if not history.customers():
        history.close()
        raise NoData("there are no customers yet: `segue import` or `segue simulate` brings some")
    return history


def apply_features(settings: Settings, store: FeastFeatureStore, history: History) -> bool:
    """Makes the contract of the home's catalogue and the customers at hand that of the store; whether it changed."""
    return store.apply(build_contract(load_catalogue(settings.catalogue_folder), history.attributes()))


def build_features(store: FeastFeatureStore, history: History, now: int) -> int:
    """Writes a snapshot of every customer's features at `now` to the offline store; gives the number of customers."""
    table = history.latest(store.contract, now)
    store.write_offline(table)
    return int(table.num_rows)


def refresh_features(settings: Settings, ledger_url: str, now: int, progress: Progress = _silent) -> Refreshed:
    """Apply, build and materialise in one. Raises NoData without customers."""
    store = open_feature_store(settings, new=True)
    progress("reading the ledger", 0, 1)
    with open_known_history(ledger_url) as history:
        progress("features of every customer", 0, 1)
        changed = apply_features(settings, store, history)
        customers = build_features(store, history, now)
    store.materialise(lambda done, total: progress("features online", done, total))
    return Refreshed(store.contract, changed, customers)


def push_customers(
    settings: Settings, store: FeatureStore, ledger_url: str, customer_ids: Sequence[str], now: int
) -> int:
    """Computes the features of these customers at `now` and puts them straight online; gives the number taken.

    Customers the ledger does not know are left out. A contract applied since `store` was opened is the one used.
    Raises StoreUnavailable, and NoData when no contract was applied.
    """
    applied = settings.feature_folder / "contract.json"
    if applied.exists() and FeatureContract.from_json(applied.read_text()) != store.contract:
        store = open_feature_store(settings)
    with open_history(ledger_url, customer_ids) as history:
        return store.push(history.latest(store.contract, now))
