"""A pointer: a small file beside the bundles that says which strategy decides, or would like to."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import UntrustedArtefact

CHAMPION = "champion.json"
#: Hexadecimal digits of the manifest's sha256 at the end of a bundle id.
DIGEST_LENGTH = 16
BUNDLE_ID = re.compile(rf"\d{{8}}T\d{{6}}-[0-9a-f]{{{DIGEST_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A bundle; `policy` (`Explorer.name`) and `catalogue` (a version in the ledger) where they are not the home's own.

    `previous` is the bundle that was pointed at before, the way back.
    """

    bundle_id: str
    policy: str | None = None
    catalogue: str | None = None
    previous: str | None = None


def read_pointer(bundle_folder: Path, name: str = CHAMPION) -> Pointer | None:
    """What a pointer says, None where there is none. Raises UntrustedArtefact for nonsense."""
    try:
        content = json.loads((bundle_folder / name).read_bytes())
        found = Pointer(content["bundle_id"], *(content.get(key) for key in ("policy", "catalogue", "previous")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UntrustedArtefact(f"{name} is damaged; `segue promote` writes it again") from error
    if not isinstance(found.bundle_id, str) or not BUNDLE_ID.fullmatch(found.bundle_id):
        raise UntrustedArtefact(f"{name} names no bundle; `segue promote` writes it again")
    if not all(isinstance(text, str | None) for text in (found.policy, found.catalogue, found.previous)):
        raise UntrustedArtefact(f"{name} is damaged; `segue promote` writes it again")
    return found


def write_pointer(bundle_folder: Path, pointer: Pointer, name: str = CHAMPION) -> None:
    """Writes it in one step: a reader sees the old pointer or the new one, never half of it."""
    said = {"bundle_id": pointer.bundle_id, "policy": pointer.policy, "catalogue": pointer.catalogue}
    said["previous"] = pointer.previous
    write_whole(bundle_folder / name, {key: value for key, value in said.items() if value is not None})


def write_whole(file: Path, content: dict[str, Any]) -> None:
    """JSON into a file that is there whole or not at all, after a power failure too."""
    unfinished = file.parent / f".{file.name}.{os.getpid()}"
    with unfinished.open("w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.rename(file)
