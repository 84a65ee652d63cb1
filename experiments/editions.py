"""The world under each edition of the catalogue: who edits it while traffic plays sees the new offers answered too."""

from __future__ import annotations

from collections.abc import Callable

from experiments.simulator import World
from features.catalogue import Catalogue, parse_catalogue
from features.errors import SegueError
from features.ledger import Ledger

#: Editions kept at hand; services that take in an edit at different moments answer by the old and the new one in turn.
_KEPT = 8
#: The catalogue of a version, None where nobody kept it.
Read = Callable[[str], Catalogue | None]


def nobody_knows(_version: str) -> Catalogue | None:
    """No version is known but the world's own."""
    return None


class Editions:
    """One world, and how it looks under the catalogues that decide meanwhile. An arm once known keeps its truth."""

    def __init__(self, world: World, read: Read = nobody_knows) -> None:
        """`read` is asked for every version but the world's own, until it has it."""
        self.latest, self._read = world, read
        self._worlds = {world.catalogue.version: world}

    def of(self, version: str | None) -> World:
        """The world under this version of the catalogue; the latest there was where nobody knows the version."""
        found = self._worlds.get(version or "")
        if found is None:
            catalogue = self._read(version) if version else None
            if catalogue is None:
                return self.latest
            found = self._worlds[catalogue.version] = self.latest.under(catalogue)
            while len(self._worlds) > _KEPT:
                del self._worlds[next(iter(self._worlds))]
        self.latest = found
        return found


def kept_by(ledger: Ledger) -> Read:
    """Reads the catalogues that decided out of the ledger: every one is kept there before it decides.

    A ledger that cannot be read now is asked again with the next answer.
    """

    def read(version: str) -> Catalogue | None:
        try:
            files = ledger.catalogue_files(version)
        except SegueError:
            return None
        return None if files is None else parse_catalogue({name: text.encode() for name, text in files.items()})

    return read
