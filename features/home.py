"""The folder that holds one installation's state, made ready for use."""

from __future__ import annotations

import shutil

from features.errors import InvalidInput
from features.settings import SHIPPED, Settings


def prepare_home(settings: Settings) -> bool:
    """Makes the folder, and gives a new home the shipped catalogue. Says whether it did the latter.

    A catalogue folder that was emptied stays empty: nobody's customers are to hear of the sample shop's offers.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the home {settings.home} cannot be made: {error.strerror}; give another with --home"
        ) from error
    if settings.catalogue_folder.exists() or settings.bundle_folder.exists():
        return False
    settings.catalogue_folder.mkdir()
    for file in sorted((SHIPPED / "catalogue").glob("*.toml")):
        shutil.copyfile(file, settings.catalogue_folder / file.name)
    return True
