"""Python imports this first wherever its folder is on PYTHONPATH: only what requirements-serving.lock lists is there.

Modules of any other distribution cannot be imported, as on a machine without them; child processes inherit that.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions

from locks import listed, normal

#: What every installation has, beside what a lock lists.
ALWAYS = {"segue", "setuptools", "wheel", "pip"}


class NotInstalled(MetaPathFinder):
    """Refuses every top-level module that only distributions outside the lock bring."""

    def __init__(self) -> None:
        known = {*listed("requirements-serving.lock"), *ALWAYS}
        owners = packages_distributions()
        self._refused = {module for module, names in owners.items() if known.isdisjoint(map(normal, names))}

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname in self._refused:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, NotInstalled())
