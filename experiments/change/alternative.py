"""The strategy to be tried: another catalogue, and perhaps another bundle or policy; all else as it was at the time."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.catalogue import Catalogue, load_catalogue
from features.contract import read_contract
from features.errors import CatalogueError, NotFound
from features.settings import Settings
from serving.contact_policy import contact_plan
from serving.expressions import CompiledCatalogue, compile_catalogue
from serving.replay import Archive
from serving.strategy import Strategy
from training.bundle import load_bundle
from training.explorer import named_explorer
from training.pointer import read_pointer


def read_alternative(settings: Settings, folder: Path, bundle: str | None = None) -> CompiledCatalogue:
    """The catalogue in a folder, its expressions checked against the features of the bundle that will use them.

    Raises NotFound where there is no such folder or nothing in it, CatalogueError that names file and line.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder}: no such folder; --catalogue takes a folder of TOML files", field="catalogue")
    catalogue = load_catalogue(folder)
    if not catalogue.channels and not catalogue.actions:
        raise NotFound(
            f"{folder}: no TOML file there says anything; copy your catalogue and edit it", field="catalogue"
        )
    compiled, faults = compile_catalogue(catalogue, _feature_names(settings, bundle))
    if faults:
        raise CatalogueError("; ".join(str(fault) for fault in faults))
    return compiled


def _feature_names(settings: Settings, bundle: str | None) -> tuple[str, ...] | None:
    """Those applied, and those of the bundle; None where there are neither: then every name is allowed."""
    pointer, applied = read_pointer(settings.bundle_folder), read_contract(settings.feature_folder)
    chosen = bundle or (pointer and pointer.bundle_id)
    own = load_bundle(settings.bundle_folder / Path(chosen).name).contract.names if chosen else ()
    return tuple(dict.fromkeys((*(applied.names if applied else ()), *own))) or None


class Alternative:
    """Makes the strategy that would have decided a recorded decision.

    What had been learned online by then is the record's snapshot; bundle and policy are the record's unless given.
    """

    def __init__(
        self, archive: Archive, compiled: CompiledCatalogue, bundle: str | None = None, policy: str | None = None
    ) -> None:
        """Raises InvalidInput for a policy (`Explorer.name`) that is none."""
        self._archive = archive
        self.compiled = compiled
        self._bundle = bundle
        self._policy = None if policy is None else named_explorer(policy).name
        self._strategy = lru_cache(16)(self._made)
        self._priced = lru_cache(16)(self._with_prices)

    @property
    def heard_back(self) -> int | None:
        """How far back its limits count outcomes, microseconds; None where none does."""
        return contact_plan(self.compiled.catalogue, ()).heard_back

    def strategies(self, record: dict[str, Any]) -> tuple[Strategy, Strategy, Strategy | None]:
        """(what decided then, what would decide, the latter at the prices of then or None where they are the same).

        Of what decided then only the catalogue counts. Raises a SegueError where a part of it was not kept.
        """
        versions = record["versions"]
        name, _, number = versions["policy"].rpartition("/")
        version = f"{self._policy or name}/{number}"
        key = (self._bundle or versions["bundle"], version, versions["catalogue"])
        then = self._archive.strategy(*key)
        return then, self._strategy(*key), self._priced(*key)

    def _made(self, bundle: str | None, version: str, catalogue: str) -> Strategy:
        then = self._archive.strategy(bundle, version, catalogue)
        return Strategy(self.compiled, then.bundle, then.snapshot, then.policy)

    def _with_prices(self, bundle: str | None, version: str, catalogue: str) -> Strategy | None:
        then = self._archive.strategy(bundle, version, catalogue)
        old, new = then.catalogue, self.compiled.catalogue
        changed = {a for a in new.actions.keys() & old.actions.keys() if new.actions[a].value != old.actions[a].value}
        if not changed:
            return None
        compiled = compile_catalogue(_at_prices(new, old, changed), None)[0]
        return Strategy(compiled, then.bundle, then.snapshot, then.policy)


def _at_prices(new: Catalogue, old: Catalogue, changed: set[str]) -> Catalogue:
    """The new catalogue in which a success of these actions is worth what the old one says."""
    actions = {a: replace(one, value=old.actions[a].value) if a in changed else one for a, one in new.actions.items()}
    return replace(new, actions=actions)
