"""Keeping a running service current: catalogue, champion bundle and policy are watched, and swapped in whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from features import clock
from features.catalogue import EMPTY_CATALOGUE, Catalogue, Fault, parse_catalogue, read_sources
from features.clock import HOUR
from features.contract import FeatureContract
from features.errors import CatalogueError, LedgerUnavailable, SegueError
from features.ledger import Ledger
from features.online import FeatureStore
from features.settings import Settings
from serving.binding import bind, binding_faults
from serving.breaker import GuardedStore
from serving.expressions import CompiledCatalogue, compile_catalogue
from serving.journal import Journal
from serving.metrics import Metrics
from serving.ramp.live import LiveRamp, LoadedChallenger, load_challenger, ramp_stamp
from serving.shadow import Shadow
from serving.strategy import EMPTY_STRATEGY, Strategy
from serving.whereabouts import NOWHERE, Whereabouts, warnings
from training.binding import require_fitting
from training.bundle import Bundle, load_bundle
from training.explorer import make_explorer, named_explorer
from training.learner import latest_snapshot
from training.pointer import read_pointer

log = logging.getLogger("segue.refresh")


#: What is watched for news.
PARTS = ("features", "bundle", "catalogue", "ramp")
#: The note with the version of the catalogue that decides.
DECIDING = "deciding-catalogue"


def kept_catalogue(ledger: Ledger) -> Catalogue:
    """The catalogue that decided last, an empty one where none ever did."""
    files = ledger.catalogue_files(ledger.note(DECIDING) or "")
    if files is None:
        return EMPTY_CATALOGUE
    return parse_catalogue({name: text.encode() for name, text in files.items()})


class Live:
    """What decides now. `strategy` is replaced in one assignment, so a decision sees one version of everything."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        open_features: Callable[[], FeatureStore | None],
        *,
        looking: bool = False,
    ) -> None:
        """With `looking` nothing is recorded by what decides, and so the ledger is not told of it."""
        self._settings = settings
        self._looking = looking
        self._explorer = make_explorer(settings)
        self._ledger = ledger
        self._open_features = open_features
        self._seen: dict[str, object] = {}
        #: What could not be taken in, of `PARTS`: the last good version decides.
        self.stale: set[str] = set()
        self._compiled = EMPTY_STRATEGY.compiled
        self._bundle: Bundle | None = None
        #: Whoever would like to decide, while it is tried; None costs a decision nothing.
        self.ramp: LiveRamp | None = None
        self.shadow = Shadow(settings.shadow_share)
        self._ramp: LoadedChallenger | None = None
        self.features: GuardedStore | None = None
        self.strategy: Strategy = EMPTY_STRATEGY
        self.whereabouts = NOWHERE
        self._warned: set[str] = set()

    def refresh(self) -> bool:
        """Looks for news and takes them in; returns whether anything changed.

        What cannot be read keeps the last good version, and is logged once.
        """
        news = [
            self._when_new("features", _stamp(self._settings.feature_folder, "contract.json"), self._load_features),
            self._when_new("bundle", _stamp(self._settings.bundle_folder, "champion.json"), self._load_bundle),
            self._when_new("catalogue", self._catalogue_stamp(), self._load_catalogue),
        ]
        self._when_new("whereabouts", (self._compiled.catalogue.version, clock.now() // HOUR), self._load_whereabouts)
        ramped = self._when_new("ramp", ramp_stamp(self._settings), self._load_ramp)
        bundle = None if self._bundle is None else self._bundle.bundle_id
        snapshot = latest_snapshot(self._ledger)[0].correcting(bundle)
        changed = any(news) or snapshot.number != self.strategy.snapshot.number
        if changed:
            self.strategy = Strategy(self._compiled, self._bundle, snapshot, self._explorer).warm()
        if self._ramp is None:
            self.ramp = None
        elif changed or ramped:
            self.ramp = self._ramp.live(latest_snapshot(self._ledger)[0])
        return changed or ramped

    def _when_new(self, name: str, stamp: object, load: Callable[[], None]) -> bool:
        if name in self._seen and self._seen[name] == stamp:
            return False
        self._seen[name] = stamp
        try:
            load()
        except (SegueError, OSError) as error:
            stays = "the last good one stays" if self._has(name) else "there is none that may decide instead"
            log.error("%s not taken in, %s: %s", name, stays, error)
            self.stale.add(name)
            return name == "catalogue" and self._take_kept()
        except Exception:
            self._seen.pop(name)  # not its own fault (a database that is away): to be tried again
            raise
        self.stale.discard(name)
        return True

    def _has(self, name: str) -> bool:
        have = {"bundle": self._bundle is not None, "catalogue": bool(self._compiled.catalogue.actions)}
        return have.get(name, True)

    def _load_features(self) -> None:
        store = self._open_features()
        self.features = None if store is None else GuardedStore(store, self._settings.deadline_seconds / 2)
        for reader in ("bundle", "catalogue", "ramp"):  # they name features: check them against the new ones
            self._seen.pop(reader, None)

    @property
    def _contract(self) -> FeatureContract | None:
        return None if self.features is None else self.features.contract

    def _load_whereabouts(self) -> None:
        """Once an hour, and with every catalogue: it takes 0.1 s for a million customers."""
        self.whereabouts = Whereabouts.of(self._ledger.zones())
        for one in warnings(self._compiled.catalogue, self.whereabouts, clock.now()):
            if str(one) not in self._warned:
                log.warning("%s", one)
            self._warned.add(str(one))

    def _load_bundle(self) -> None:
        folder, pointer = self._settings.bundle_folder, read_pointer(self._settings.bundle_folder)
        if self._contract is not None and self._bundle is not None and self._bundle.contract.changed_in(self._contract):
            self._bundle = None  # what its models were trained on is there no more
        bundle = None if pointer is None else load_bundle(folder / pointer.bundle_id)
        if bundle is not None:
            require_fitting(bundle, self._contract)
        # A strategy that was promoted with a policy of its own decides by that.
        own = pointer is not None and pointer.policy
        self._explorer = named_explorer(own) if own else make_explorer(self._settings)
        self._bundle = bundle

    def _load_ramp(self) -> None:
        self._ramp = None  # what cannot be read is tried on nobody
        self._ramp = load_challenger(self._settings, self._ledger)

    def _load_catalogue(self) -> None:
        sources = read_sources(self._settings.catalogue_folder)
        if not sources:
            raise CatalogueError(f"there is no TOML file in {self._settings.catalogue_folder}")
        catalogue = parse_catalogue(sources)
        compiled, faults = self._compile(catalogue)
        if faults:
            # Never half of it: a dropped condition would open an action to everybody.
            raise CatalogueError("; ".join(str(fault) for fault in faults))
        # Before anything is decided by it: whoever replays a decision needs the catalogue of that day.
        if not self._looking:
            self._ledger.keep_catalogue(catalogue.version, {name: text.decode() for name, text in sources.items()})
            self._ledger.put_note(DECIDING, catalogue.version)
            bind(self._ledger, compiled, self._contract)
        self._compiled = compiled

    def _compile(self, catalogue: Catalogue) -> tuple[CompiledCatalogue, list[Fault]]:
        """The catalogue and its faults. One whose rules are bound to other meanings decides nothing any more, though it
        was good."""
        names = None if self._contract is None else self._contract.names
        compiled, faults = compile_catalogue(catalogue, names)
        changed = binding_faults(self._ledger, compiled, self._contract)
        if changed and binding_faults(self._ledger, self._compiled, self._contract):
            self._compiled = EMPTY_STRATEGY.compiled
        return compiled, [*faults, *changed]

    def _take_kept(self) -> bool:
        """At a start with a broken catalogue: the one that decided last, out of the ledger; whether there was one."""
        if self._compiled.catalogue.actions:
            return False
        kept = kept_catalogue(self._ledger)
        compiled, faults = self._compile(kept)
        if not kept.actions or faults:
            log.error("there is no good catalogue yet: nothing is offered")
            return False
        self._compiled = compiled
        return True

    def _catalogue_stamp(self) -> tuple[tuple[str, int, int], ...]:
        folder = self._settings.catalogue_folder
        files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
        return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)


class Watcher:
    """Refreshes, asks a store that was given up, and tidies the ledger, in the background until stopped."""

    def __init__(self, live: Live, ledger: Ledger, metrics: Metrics, journal: Journal, every_seconds: float) -> None:
        self._live = live
        self._ledger = ledger
        self._metrics = metrics
        self._journal = journal
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="segue-refresh", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._journal.flush()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.round()
            except LedgerUnavailable as error:
                log.error("refresh failed, and is tried again: %s", error)
            except Exception:
                # The service goes on deciding with what it has; the next round tries again.
                log.exception("refresh failed")

    def round(self) -> None:
        """One look at everything."""
        self._journal.flush()
        if self._ledger.trouble is not None and not self._ledger.probe():
            return
        self._live.refresh()
        self._metrics.stale({part: part in self._live.stale for part in PARTS})
        self._metrics.models_missing(self._live.strategy.missing_models)
        self._shadow()
        features = self._live.features
        self._metrics.store_given_up(features is not None and not features.probe())
        self._ledger.tidy()

    def _shadow(self) -> None:
        """The challenger's choice beside the champion's, for some of the decisions made since the last round."""
        ramp = self._live.ramp
        self._metrics.ramp(0.0 if ramp is None or ramp.layer is None else ramp.layer.share)
        if ramp is not None:
            for compared in self._live.shadow.work(ramp.challenger):
                self._metrics.shadowed(compared)
            self._metrics.shadow_skipped(self._live.shadow.let_go())


def _stamp(folder: Path, name: str) -> tuple[int, int] | None:
    file = folder / name
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None
