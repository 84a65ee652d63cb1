"""A pointer: a small file beside the bundles that says which strategy decides, or would like to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
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

    `previous` is the whole strategy pointed at before, the way back: its `catalogue` is the one that had to give way,
    None where the files were left as they were. It has no `previous` of its own.
    """

    bundle_id: str
    policy: str | None = None
    catalogue: str | None = None
    previous: Pointer | None = None


def read_pointer(bundle_folder: Path, name: str = CHAMPION) -> Pointer | None:
    """What a pointer says, None where there is none. Raises UntrustedArtefact for nonsense."""
    try:
        content = json.loads((bundle_folder / name).read_bytes())
        previous = content.get("previous")
        if isinstance(previous, str):  # files of earlier versions: the bundle alone
            previous = {"bundle_id": previous}
        return replace(_strategy(content), previous=None if previous is None else _strategy(previous))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{name} is damaged or names no bundle; remove it, and `segue promote` or `segue ramp start` writes it"
        raise UntrustedArtefact(told) from error


def _strategy(content: Mapping[str, Any]) -> Pointer:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is none."""
    found = Pointer(content["bundle_id"], content.get("policy"), content.get("catalogue"))
    if not BUNDLE_ID.fullmatch(found.bundle_id):
        raise ValueError("no bundle id")
    if not all(isinstance(text, str | None) for text in (found.policy, found.catalogue)):
        raise TypeError("not a name")
    return found


def write_pointer(bundle_folder: Path, pointer: Pointer, name: str = CHAMPION) -> None:
    """Writes it in one step: a reader sees the old pointer or the new one, never half of it."""
    said = _said(pointer)
    if pointer.previous is not None:
        said["previous"] = _said(pointer.previous)
    write_whole(bundle_folder / name, said)


def _said(pointer: Pointer) -> dict[str, Any]:
    said = {"bundle_id": pointer.bundle_id, "policy": pointer.policy, "catalogue": pointer.catalogue}
    return {key: value for key, value in said.items() if value is not None}


def write_whole(file: Path, content: dict[str, Any]) -> None:
    """JSON into a file that is there whole or not at all, after a power failure too."""
    unfinished = file.parent / f".{file.name}.{os.getpid()}"
    with unfinished.open("w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.rename(file)
