"""A catalogue that is edited while a ramp is under way: who decides by it, and that it is said.

A challenger that was given no catalogue of its own goes along with the home's: an action taken off the offer is off for
everybody. One with its own keeps it, and the comparison then is with a champion that changed.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from features.contract import read_contract
from features.errors import CatalogueError
from features.ledger import Ledger
from features.settings import Settings
from serving.contender import Contender, kept, pointer_of
from serving.expressions import compile_catalogue
from serving.ramp.state import CHALLENGER, Ramp
from training.bundle import load_bundle
from training.pointer import write_pointer

log = logging.getLogger("segue.ramp")


def noticed(settings: Settings, ledger: Ledger, ramp: Ramp, contender: Contender) -> tuple[Ramp, Contender]:
    """The ramp and its challenger after a look at the home's catalogue; an edit is logged once, and passed on.

    Raises CatalogueError for a catalogue with faults: the last good one decides meanwhile.
    """
    if ramp.catalogue is None:  # a ramp of before edits were noticed
        return ramp, contender
    catalogue = kept(ledger, settings.catalogue_folder)
    if catalogue.version == ramp.catalogue:
        return ramp, contender
    if ramp.follows:
        assert contender.bundle is not None
        # Rules read what the home serves, which may have grown since the models were trained.
        applied = read_contract(settings.feature_folder)
        applied = applied or load_bundle(settings.bundle_folder / contender.bundle).contract
        if faults := compile_catalogue(catalogue, applied.names)[1]:
            raise CatalogueError("; ".join(str(fault) for fault in faults))
        contender = replace(contender, catalogue=catalogue.version)
        write_pointer(settings.bundle_folder, pointer_of(settings, contender, catalogue=True), CHALLENGER)
    ramp = replace(ramp, catalogue=catalogue.version, edits=ramp.edits + 1)
    log.warning("ramp %s: %s", ramp.name, told(ramp, contender, catalogue.version))
    return ramp, contender


def told(ramp: Ramp, contender: Contender, now: str) -> str | None:
    """What an edited catalogue means for the comparison, `now` the home's version; None where nobody edited it."""
    waits = ramp.catalogue is not None and now != ramp.catalogue
    edits = ramp.edits + waits
    if not edits:
        return None
    often = "once" if edits == 1 else f"{edits} times"
    said = f"the catalogue was edited {often} since the ramp began, and is {now} now"
    if not ramp.follows:
        return (
            f"{said}: the champion decides by it, the challenger by its own, {contender.catalogue}, so they differ in "
            "that too; should it win, its catalogue replaces the home's (`segue ramp stop` keeps the home's)"
        )
    if waits:
        return f"{said}: the challenger goes along when `segue work` next looks, within a minute"
    return f"{said}: champion and challenger both decide by it"
