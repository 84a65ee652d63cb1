"""A strategy by the names of its parts, from which any process can put it together out of home and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.catalogue import Catalogue, load_catalogue, parse_catalogue, read_sources
from features.contract import read_contract
from features.errors import CatalogueError, NoData, NotFound
from features.ledger import Ledger
from features.settings import Settings
from serving.expressions import compile_catalogue
from serving.refresh import DECIDING
from training.binding import load_fitting_bundle
from training.bundle import bundle_ids, publish_champion
from training.explorer import make_explorer, named_explorer
from training.pointer import Pointer, read_pointer
from training.report import Tracker


@dataclass(frozen=True, slots=True)
class Contender:
    """Models, policy (`Explorer.name`) and catalogue (its version, kept in the ledger: levers and limits with it)."""

    bundle: str | None
    policy: str
    catalogue: str

    def told(self) -> str:
        """What it consists of, in a line."""
        return f"bundle {self.bundle}, policy {self.policy}, catalogue {self.catalogue}"

    def differences(self, other: Contender) -> list[str]:
        """What is not the same in both."""
        return [name for name in ("bundle", "policy", "catalogue") if getattr(self, name) != getattr(other, name)]


def reigning(settings: Settings, ledger: Ledger) -> Contender:
    """What decides now: the champion's bundle and policy, and the home's catalogue; while that is broken, the last good
    one. It only reads. Raises CatalogueError where no other ever decided.
    """
    pointer = read_pointer(settings.bundle_folder)
    policy = (pointer and pointer.policy) or make_explorer(settings).name
    bundle = None if pointer is None else pointer.bundle_id
    try:
        catalogue = load_catalogue(settings.catalogue_folder).version
    except CatalogueError:
        last = ledger.note(DECIDING)
        if last is None:
            raise
        catalogue = last
    return Contender(bundle, policy, catalogue)


def challenger(
    settings: Settings, ledger: Ledger, bundle: str | None, policy: str | None, catalogue: Path | None
) -> Contender:
    """What is to be tried; a part that is not named is the champion's. With no part named, or no champion yet, the
    bundle is the newest.

    Raises NoData without any bundle, NotFound or UntrustedArtefact for one that is not whole, InvalidInput for a policy
    that is none, CatalogueError for a catalogue with faults.
    """
    now = reigning(settings, ledger)
    if bundle is None:
        known = bundle_ids(settings.bundle_folder)
        if not known:
            raise NoData("there is no bundle to promote; `segue train` makes one")
        bundle = known[-1] if (policy is None and catalogue is None) or now.bundle is None else now.bundle
    chosen = load_fitting_bundle(settings, Path(bundle).name)
    rule = now.policy if policy is None else named_explorer(policy).name
    if catalogue is None:
        return Contender(chosen.bundle_id, rule, kept(ledger, settings.catalogue_folder).version)
    if not catalogue.is_dir():
        raise NotFound(f"{catalogue}: no folder of TOML files", field="catalogue")
    found = kept(ledger, catalogue)
    applied = read_contract(settings.feature_folder) or chosen.contract
    faults = compile_catalogue(found, applied.names)[1]
    if faults:
        raise CatalogueError("; ".join(str(fault) for fault in faults))
    return Contender(chosen.bundle_id, rule, found.version)


def kept(ledger: Ledger, folder: Path) -> Catalogue:
    """The catalogue in a folder, its text kept in the ledger: whoever decides by its version finds it there."""
    sources = read_sources(folder)
    catalogue = parse_catalogue(sources)
    ledger.keep_catalogue(catalogue.version, {name: text.decode() for name, text in sources.items()})
    return catalogue


def pointer_of(settings: Settings, contender: Contender, *, catalogue: bool) -> Pointer:
    """The pointer that names it; `policy` only where it is not the home's own, `catalogue` only where asked for."""
    assert contender.bundle is not None
    policy = None if contender.policy == make_explorer(settings).name else contender.policy
    return Pointer(contender.bundle, policy, contender.catalogue if catalogue else None)


def crown(
    settings: Settings, ledger: Ledger, contender: Contender, tracker: Tracker, *, catalogue: bool = True
) -> None:
    """Makes it what decides; without its `catalogue` the home's files stay as they are. Raises NotFound or
    UntrustedArtefact, and changes nothing, where part of it is missing."""
    _decides(settings, ledger, pointer_of(settings, contender, catalogue=catalogue), tracker)


def go_back(settings: Settings, ledger: Ledger, tracker: Tracker) -> Pointer:
    """Makes the whole strategy before this one decide again, and returns what it is: bundle, policy, and the catalogue
    where that had given way (edits of the files since are kept in the ledger). To go back twice is to go forward again.

    Raises NotFound where there was none, and as `crown` does.
    """
    pointer = read_pointer(settings.bundle_folder)
    if pointer is None or pointer.previous is None:
        raise NotFound("there was no champion before this one", code="no_previous_champion")
    _decides(settings, ledger, pointer.previous, tracker)
    return pointer.previous


def _decides(settings: Settings, ledger: Ledger, pointer: Pointer, tracker: Tracker) -> None:
    """All of it is known to be there before anything is changed; the alias first, the pointer that serving reads last.

    Who crashes in between and asks again gets there; the files of the catalogue are the last step but one.
    """
    folder = settings.bundle_folder
    load_fitting_bundle(settings, pointer.bundle_id)
    gave_way, files = None, None
    if pointer.catalogue is not None and pointer.catalogue != (now := kept(ledger, settings.catalogue_folder).version):
        gave_way, files = now, ledger.catalogue_files(pointer.catalogue)
        if files is None:
            raise NotFound(f"catalogue {pointer.catalogue} is not in the ledger", code="unknown_catalogue")
    tracker.promote(folder / pointer.bundle_id)
    if files is not None:
        write_sources(settings.catalogue_folder, files)
    publish_champion(folder, pointer.bundle_id, pointer.policy, gave_way)


def write_sources(folder: Path, files: Mapping[str, str]) -> None:
    """Replaces the files of a catalogue, each in one step, those that are no longer part of it last."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        unfinished = folder / f".{name}.new"
        unfinished.write_text(text)
        unfinished.rename(folder / name)
    for name in read_sources(folder).keys() - files.keys():
        (folder / name).unlink()
