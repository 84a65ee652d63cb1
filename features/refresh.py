"""A refresh of the features: which there are, what they are now, and into the store with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.aggregates import History, open_history
from features.catalogue import load_catalogue
from features.contract import FeatureContract, build_contract
from features.errors import NoData
from features.ledger import Ledger, open_ledger
from features.online import FeatureStore
from features.settings import Settings
from features.store import FeastFeatureStore, open_feature_store

__all__ = [
    "Refreshed",
    "apply_features",
    "build_features",
    "note_online",
    "online_positions",
    "open_feature_store",
    "open_known_history",
    "push_customers",
    "put_online",
    "refresh_features",
    "refreshed_at",
]

_BUILT = "built-snapshot"
_ONLINE = "online-positions"
_REFRESHED = "features-refreshed-at"

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


def online_positions(ledger: Ledger) -> dict[str, int]:
    """Up to where in each log the online features have seen it; everything after is still to be pushed."""
    return dict(json.loads(ledger.note(_ONLINE) or "{}"))


def note_online(ledger: Ledger, positions: Mapping[str, int]) -> None:
    """The online features have seen the logs up to here."""
    ledger.put_note(_ONLINE, json.dumps(dict(positions)))


def apply_features(settings: Settings, store: FeastFeatureStore, history: History) -> bool:
    """Makes the contract of the home's catalogue and the customers at hand that of the store; whether it changed."""
    return store.apply(build_contract(load_catalogue(settings.catalogue_folder), history.attributes()))


def build_features(
    store: FeastFeatureStore, ledger: Ledger, history: History, positions: Mapping[str, int], now: int
) -> int:
    """Writes a snapshot of every customer's features at `now` to the offline store; gives the number of customers.

    `positions` are the ends of the logs before the history was read: what came since is pushed once more, nothing is
    left out.
    """
    table = history.latest(store.contract, now)
    store.write_offline(table)
    ledger.put_note(_BUILT, json.dumps({"positions": dict(positions), "now": now}))
    return int(table.num_rows)


def put_online(store: FeastFeatureStore, ledger: Ledger, progress: Callable[[int, int], None]) -> int:
    """Puts the newest snapshot online, and notes how far it has seen the logs; gives the number of customers."""
    taken = store.materialise(progress)
    built = json.loads(ledger.note(_BUILT) or "{}")
    if built:
        note_online(ledger, built["positions"])
        ledger.put_note(_REFRESHED, str(built["now"]))
    return taken


def refresh_features(settings: Settings, ledger_url: str, now: int, progress: Progress = _silent) -> Refreshed:
    """Apply, build and materialise in one. Raises NoData without customers."""
    store = open_feature_store(settings, new=True)
    progress("reading the ledger", 0, 1)
    ledger = open_ledger(ledger_url)
    try:
        positions = ledger.log_ends()
        with open_known_history(ledger_url) as history:
            progress("features of every customer", 0, 1)
            changed = apply_features(settings, store, history)
            customers = build_features(store, ledger, history, positions, now)
        put_online(store, ledger, lambda done, total: progress("features online", done, total))
    finally:
        ledger.close()
    return Refreshed(store.contract, changed, customers)


def refreshed_at(ledger: Ledger) -> int | None:
    """When every customer's features were last refreshed."""
    noted = ledger.note(_REFRESHED)
    return None if noted is None else int(noted)


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
