"""The ledger of a home, where there is one already: who only reads makes none."""

from __future__ import annotations

from pathlib import Path

from features.errors import NoData
from features.ledger import open_ledger

_FILE = "sqlite:///"


def check_ledger(url: str, first: str) -> None:
    """Opens and closes it: says in one line what is wrong with it, and brings an older one up to date.

    Raises NoData where there is none, saying what to do `first`.
    """
    if url.startswith(_FILE) and not Path(url.removeprefix(_FILE)).is_file():
        raise NoData(f"no ledger at {url.removeprefix(_FILE)}: {first}, or name another home with --home")
    open_ledger(url).close()
