"""A bundle: one released set of models, in native formats, that serving can trust and read without MLflow.

    HOME/bundles/<bundle_id>/manifest.json      what it is, how good it is, and the sha256 of every other file
                             <model>.txt        LightGBM's own text
                             <model>.calibration.json
                             contract.json, encoder.json, covariates.json, start.json, reference.parquet
    HOME/bundles/champion.json                  {"bundle_id": ...}: the bundle that decides

A bundle id ends in the sha256 of its manifest, and the manifest has the sha256 of the files: no byte can change unseen.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.clock import format_time
from features.contract import FeatureContract
from features.encode import Encoder
from features.errors import NotFound, UntrustedArtefact
from training.calibration import Calibration
from training.covariates import Covariates
from training.pointer import BUNDLE_ID, DIGEST_LENGTH, Pointer, read_pointer, write_pointer
from training.scorer import ArmScorer, Scorer
from training.start import NO_START, Start

Floats = NDArray[np.float64]

MANIFEST = "manifest.json"
COVARIATES = "covariates.json"
START = "start.json"
REFERENCE = "reference.parquet"
#: Catalogues come and go, the scorers of a few of them stay.
ARM_SETS_KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A loaded bundle. Only a memo in it changes: share it between threads, and load it before or after a fork."""

    bundle_id: str
    created_at: int
    horizon_days: float
    contract: FeatureContract
    encoder: Encoder
    #: Model name to its base rate, for every model there could be.
    base_rates: Mapping[str, float]
    scorers: Mapping[str, Scorer]
    #: What of a customer the online correction looks at; nothing in bundles of earlier versions.
    covariates: Covariates
    #: What the correction starts from.
    start: Start
    #: The whole manifest: metrics, verdicts, data hashes, commit.
    manifest: Mapping[str, Any]
    #: What `for_arms` has made, by the bytes of the rows: a new snapshot comes every second, new arms seldom.
    _made: dict[bytes, ArmScorer] = field(default_factory=dict, repr=False)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it holds; the others answer with their base rate."""
        return tuple(self.scorers)

    def predict(self, name: str, matrix: Floats) -> Floats:
        """Calibrated probabilities, shape (n,), of rows, shape (n, k), NaN for a missing value; one thread.

        `churn` and `conversion` take the customer's columns, `propensity` the customer's and then the arm's. A model
        that is not in the bundle gives its base rate for every row. Raises InvalidInput for another number of
        columns and KeyError for a name that is no model's.
        """
        scorer = self.scorers.get(name)
        return np.full(len(matrix), self.base_rates[name]) if scorer is None else scorer.predict(matrix)

    def for_arms(self, rows: Floats) -> ArmScorer:
        """The propensity model prepared for these arms; `rows`, shape (m, a), are their columns."""
        key = rows.tobytes()
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= ARM_SETS_KEPT:
                self._made.clear()
            width = len(self.encoder.customer_columns)
            made = self._made[key] = ArmScorer(self.scorers.get("propensity"), self.base_rates, rows, width)
        return made


def load_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, every sha256 checked before a byte is parsed.

    Raises NotFound when there is none, and UntrustedArtefact when it is not, byte for byte, what was released.
    """
    contents = read_verified(folder)
    manifest = json.loads(contents[MANIFEST])
    try:
        scorers = {
            name: Scorer(
                contents[f"{name}.txt"].decode(),
                Calibration.from_json(json.loads(contents[f"{name}.calibration.json"])),
            )
            for name in manifest["models"]
        }
        contract = FeatureContract.from_json(contents["contract.json"].decode())
        encoder = Encoder.from_json(contents["encoder.json"].decode())
        covariates = Covariates.from_json(contents[COVARIATES].decode()) if COVARIATES in contents else Covariates()
        start = Start.from_json(contents[START].decode()) if START in contents else NO_START
        fingerprint, rates = manifest["contract"], manifest["base_rates"]
        created_at, horizon_days = int(manifest["created_at"]), float(manifest["horizon_days"])
    except (KeyError, TypeError, ValueError) as error:
        raise UntrustedArtefact(
            f"{folder.name}: not a bundle this version can read ({error!r}); train again"
        ) from error
    if contract.fingerprint != fingerprint:
        raise UntrustedArtefact(f"{folder.name}: its models were made for another feature contract; train again")
    base_rates = {str(name): float(rate) for name, rate in rates.items()}
    return Bundle(
        folder.name,
        created_at,
        horizon_days,
        contract,
        encoder,
        MappingProxyType(base_rates),
        MappingProxyType(scorers),
        covariates,
        start,
        MappingProxyType(manifest),
    )


def read_verified(folder: Path) -> dict[str, bytes]:
    """File name to bytes of a bundle, once all of them are proven to be those that were released."""
    file = folder / MANIFEST
    if not file.is_file():
        raise NotFound(f"there is no bundle {folder.name}; `segue train` makes one", code="unknown_bundle")
    content = file.read_bytes()
    if not BUNDLE_ID.fullmatch(folder.name) or not folder.name.endswith(sha256(content).hexdigest()[:DIGEST_LENGTH]):
        raise UntrustedArtefact(f"{folder.name}: {MANIFEST} is not the one that was released; train again")
    found = {MANIFEST: content}
    for name, digest in json.loads(content)["files"].items():
        part = folder / name
        found[name] = part.read_bytes() if part.parent == folder and part.is_file() else b""
        if sha256(found[name]).hexdigest() != digest:
            raise UntrustedArtefact(f"{folder.name}: {name} is not the one that was released; train again")
    return found


def write_bundle(bundle_folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Path:
    """Writes a bundle whole or not at all, and returns its folder. The same content twice is the same bundle.

    `manifest` has at least created_at, horizon_days, contract (fingerprint), base_rates and models; `files` the rest.
    """
    digests = {name: sha256(content).hexdigest() for name, content in sorted(files.items())}
    content = json.dumps({**manifest, "files": digests}, indent=1, sort_keys=True).encode()
    stamp = re.sub(r"[-:]", "", format_time(manifest["created_at"])[:19])
    folder = bundle_folder / f"{stamp}-{sha256(content).hexdigest()[:DIGEST_LENGTH]}"
    if folder.exists():
        return folder
    unfinished = bundle_folder / f".{folder.name}.{os.getpid()}"
    unfinished.mkdir(parents=True)
    for name, data in {**files, MANIFEST: content}.items():
        (unfinished / name).write_bytes(data)
    unfinished.rename(folder)
    return folder


def bundle_ids(bundle_folder: Path) -> list[str]:
    """Ids of the bundles at hand, the newest last."""
    return (
        sorted(f.name for f in bundle_folder.iterdir() if BUNDLE_ID.fullmatch(f.name)) if bundle_folder.is_dir() else []
    )


def champion(bundle_folder: Path) -> Path | None:
    """The folder of the bundle that decides; None before the first promotion. Raises UntrustedArtefact for nonsense."""
    found = read_pointer(bundle_folder)
    return None if found is None else bundle_folder / found.bundle_id


def publish_champion(
    bundle_folder: Path, bundle_id: str, policy: str | None = None, gave_way: str | None = None
) -> None:
    """Points `champion.json` at a bundle in one step, and at a policy where it is not to be the home's own.

    What it said before is its `previous`, with the version of the catalogue that `gave_way`, if one had to.
    Raises NotFound or UntrustedArtefact, and changes nothing, when the bundle is not whole.
    """
    if not BUNDLE_ID.fullmatch(bundle_id):
        raise NotFound(f"{bundle_id[:80]!r} is not a bundle id; `segue train` prints it", code="unknown_bundle")
    load_bundle(bundle_folder / bundle_id)
    try:
        before = read_pointer(bundle_folder)
    except UntrustedArtefact:
        before = None  # what is damaged is what this repairs
    previous = None if before is None else Pointer(before.bundle_id, before.policy, gave_way)
    if before is not None and previous == Pointer(bundle_id, policy):
        previous = before.previous  # the same once more is no way back
    write_pointer(bundle_folder, Pointer(bundle_id, policy, previous=previous))
