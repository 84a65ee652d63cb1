"""A refresh of the features: which there are, what they are now, and into the store with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.aggregates import History, open_history
from features.attributes import odd_values
from features.catalogue import load_catalogue
from features.clock import CLOCK_SKEW, format_time
from features.contract import PROFILE, FeatureContract, build_contract, read_contract
from features.errors import InvalidInput, NoData
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
    "what_does_not_fit",
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
    """Adds the features of the home's catalogue and the customers at hand to the contract; whether it changed."""
    catalogue, attributes = load_catalogue(settings.catalogue_folder), history.attributes()
    return store.change(lambda before: build_contract(catalogue, attributes, before))


def what_does_not_fit(contract: FeatureContract, history: History) -> list[str]:
    """What of the customers' attributes is in no feature of the contract, a sentence each."""
    return list(odd_values(history.attributes(), {feature.sql for feature in contract.of_view(PROFILE)}))


def build_features(
    store: FeastFeatureStore,
    ledger: Ledger,
    history: History,
    positions: Mapping[str, int],
    now: int,
    as_of: int | None = None,
) -> int:
    """Writes a snapshot of every customer's features, at `now` or `as_of` an earlier moment, to the offline store;
    gives the number of customers.

    `positions` are the ends of the logs before the history was read: what came since is pushed once more, nothing is
    left out. A snapshot of the past has not seen all of them, and notes none. Raises InvalidInput for a moment to come.
    """
    moment = now if as_of is None else as_of
    if moment > now:
        raise InvalidInput(
            f"{format_time(moment)} is yet to come, it is {format_time(now)}: features are of a moment that was",
            field="as_of",
        )
    table = history.latest(store.contract, moment)
    store.write_offline(table, now)
    if as_of is None:
        ledger.put_note(_BUILT, json.dumps({"positions": dict(positions), "now": now}))
    return int(table.num_rows)


def put_online(store: FeastFeatureStore, ledger: Ledger, progress: Callable[[int, int], None], now: int) -> int:
    """Puts the newest snapshot online, and notes how far it has seen the logs; gives the number of customers."""
    taken = store.materialise(progress, now)
    built = json.loads(ledger.note(_BUILT) or "{}")
    if built and built["now"] <= now + CLOCK_SKEW:  # of one of the future nothing is online
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
        put_online(store, ledger, lambda done, total: progress("features online", done, total), now)
    finally:
        ledger.close()
    return Refreshed(store.contract, changed, customers)


def refreshed_at(ledger: Ledger, now: int) -> int | None:
    """When every customer's features were last refreshed; 0 where that is said to be yet to come: it is to be done."""
    noted = int(ledger.note(_REFRESHED) or -1)
    return None if noted < 0 else noted if noted <= now + CLOCK_SKEW else 0


def push_customers(
    settings: Settings, store: FeatureStore, ledger_url: str, customer_ids: Sequence[str], now: int
) -> int:
    """Computes the features of these customers at `now` and puts them straight online; gives the number taken.

    Customers the ledger does not know are left out. A contract applied since `store` was opened is the one used.
    Raises StoreUnavailable, and NoData when no contract was applied.
    """
    if read_contract(settings.feature_folder) not in (None, store.contract):
        store = open_feature_store(settings)
    with open_history(ledger_url, customer_ids) as history:
        return store.push(history.latest(store.contract, now), now=now)
