"""The challenger as a running service holds it."""

from __future__ import annotations

from dataclasses import dataclass

from features.catalogue import parse_catalogue
from features.contract import read_contract
from features.errors import NotFound
from features.ledger import Ledger
from features.settings import Settings
from serving.assignment import Layer
from serving.binding import binding_faults
from serving.expressions import CompiledCatalogue, compile_catalogue
from serving.ramp.state import CHALLENGER, RAMP, read_ramp
from serving.strategy import Strategy
from training.bandit import PolicySnapshot
from training.binding import load_fitting_bundle
from training.bundle import Bundle
from training.explorer import Explorer, make_explorer, named_explorer
from training.pointer import read_pointer


@dataclass(frozen=True, slots=True)
class LiveRamp:
    """What a decision looks at: the challenger, and who is tried on; without a layer nobody is, it is in the shadow."""

    challenger: Strategy
    layer: Layer | None

    def decides(self, salt: str, customer_id: str) -> bool:
        """Whether the challenger decides for this customer."""
        return self.layer is not None and self.layer.assign(salt, customer_id) == self.layer.variant


@dataclass(frozen=True, slots=True)
class LoadedChallenger:
    """Everything of a challenger but what is learned online, which changes every second."""

    compiled: CompiledCatalogue
    bundle: Bundle
    explorer: Explorer
    layer: Layer | None

    def live(self, snapshot: PolicySnapshot) -> LiveRamp:
        """With what was learned of its models' predictions so far; of others' it takes nothing."""
        own = snapshot.correcting(self.bundle.bundle_id)
        return LiveRamp(Strategy(self.compiled, self.bundle, own, self.explorer).warm(), self.layer)


def load_challenger(settings: Settings, ledger: Ledger) -> LoadedChallenger | None:
    """The challenger of an active ramp, None without. Raises SegueError for one that cannot be read."""
    ramp, pointer = read_ramp(settings.home), read_pointer(settings.bundle_folder, CHALLENGER)
    if ramp is None or not ramp.active or pointer is None:
        return None
    files = None if pointer.catalogue is None else ledger.catalogue_files(pointer.catalogue)
    if files is None:
        raise NotFound(f"catalogue {pointer.catalogue} of the challenger was not kept")
    bundle = load_fitting_bundle(settings, pointer.bundle_id)
    catalogue = parse_catalogue({name: text.encode() for name, text in files.items()})
    applied = read_contract(settings.feature_folder) or bundle.contract
    compiled, faults = compile_catalogue(catalogue, applied.names)
    faults += binding_faults(ledger, compiled, applied)
    if faults:
        raise NotFound("the challenger's catalogue: " + "; ".join(str(fault) for fault in faults))
    explorer = make_explorer(settings) if pointer.policy is None else named_explorer(pointer.policy)
    return LoadedChallenger(compiled, bundle, explorer, ramp.layer)


def ramp_stamp(settings: Settings) -> tuple[tuple[int, int] | None, ...]:
    """Changes when either file of a ramp does."""
    files = (settings.home / RAMP, settings.bundle_folder / CHALLENGER)
    return tuple((f.stat().st_mtime_ns, f.stat().st_size) if f.exists() else None for f in files)
