"""Drift: whether the features served lately look like the rows the champion was judged on. Evidently measures it.

Methods and thresholds are pinned per column, because Evidently's defaults change above 1,000 reference rows: a feature
of at most 20 distinct values by the population stability index, any other by the Wasserstein distance in standard
deviations of the reference; both with the limit 0.2, the usual "moderate shift" of the index. A feature that is
sometimes missing gets a second column, whether it is known. A feature has drifted when either of its columns has.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from features.clock import format_time
from features.errors import NoData
from features.ledger import existing_ledger, read_arrow
from features.settings import Settings
from training.bundle import REFERENCE, champion, read_verified
from training.drift_page import page

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

LIMIT = 0.2
FEW_VALUES = 20
#: Below this many decisions chance alone moves the index by 0.1 (about bins x (1/reference + 1/current)).
MIN_DECISIONS = 200
#: Of the live decisions the latest this many are looked at.
MAX_DECISIONS = 5_000
#: A column with fewer known values than this on either side is only compared by whether it is known.
MIN_KNOWN = 50
_KNOWN = " is known"


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature: how far the worst of its columns moved, by which method, and whether past the limit."""

    name: str
    column: str
    method: str
    distance: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All features, the worst first; `share` of them drifted, and `alarm` when that is above `threshold`."""

    bundle_id: str
    reference_rows: int
    decisions: int
    measured_at: int
    threshold: float
    features: tuple[FeatureDrift, ...]

    @property
    def share(self) -> float:
        return sum(f.drifted for f in self.features) / max(1, len(self.features))

    @property
    def alarm(self) -> bool:
        return self.share > self.threshold

    def to_json(self) -> str:
        values = asdict(self) | {"share": self.share, "alarm": self.alarm, "measured_at": format_time(self.measured_at)}
        return json.dumps(values, indent=1)


class _Record(msgspec.Struct):
    """The part of a recorded decision that is needed here."""

    features: dict[str, float | None] = {}


def watch(settings: Settings, now: int, threshold: float) -> DriftReport:
    """Features as served against the champion's reference; writes drift.html and drift.json to the report folder.

    Raises NoData, saying what to do, when there is no champion or too few decisions.
    """
    folder = champion(settings.bundle_folder)
    if folder is None:
        raise NoData("there is no champion to compare with: `segue train` makes one")
    contents = read_verified(folder)
    table = parquet.read_table(io.BytesIO(contents[REFERENCE]))
    if not table.num_rows:
        raise NoData(f"{folder.name} has no reference rows; `segue train` on a longer history makes them")
    reference = {name: table.column(name).to_numpy().astype(np.float64) for name in table.column_names}
    current = served_features(settings.ledger, list(reference))
    report = measure_drift(reference, current, bundle_id=folder.name, now=now, threshold=threshold)
    settings.report_folder.mkdir(parents=True, exist_ok=True)
    (settings.report_folder / "drift.html").write_text(page(report, reference, current, LIMIT))
    (settings.report_folder / "drift.json").write_text(report.to_json())
    return report


def served_features(ledger_url: str, names: Sequence[str], limit: int = MAX_DECISIONS) -> Columns:
    """Feature name to the values the latest live decisions saw, NaN where missing.

    Decisions made without features (fallbacks, unknown customers) say nothing of drift and are left out. Raises NoData
    for fewer than MIN_DECISIONS.
    """
    query = f"SELECT record FROM decisions WHERE origin = 'live' ORDER BY position DESC LIMIT {limit:d}"
    existing_ledger(ledger_url).close()
    decoder = msgspec.json.Decoder(_Record)
    records = (value.as_py() for value in read_arrow(ledger_url, query).column("record"))
    rows = [features for record in records if record and (features := decoder.decode(record).features)]
    if len(rows) < MIN_DECISIONS:
        raise NoData(
            f"{len(rows)} live decisions with features, {MIN_DECISIONS} are needed to speak of drift: "
            "let `segue serve` decide some more first"
        )
    return {name: np.array([row.get(name) for row in rows], dtype=np.float64) for name in names}


def measure_drift(reference: Columns, current: Columns, *, bundle_id: str, now: int, threshold: float) -> DriftReport:
    """Compares the same features of two samples."""
    before, after, methods = comparable(reference, current)
    distances = _evidently(before, after, methods, threshold)
    worst: dict[str, FeatureDrift] = {}
    for column, distance in distances.items():
        name = column.removesuffix(_KNOWN)
        found = FeatureDrift(name, column, methods[column], round(distance, 6), distance >= LIMIT)
        if name not in worst or found.distance > worst[name].distance:
            worst[name] = found
    ordered = sorted(worst.values(), key=lambda f: (-f.distance, f.name))
    sizes = [len(next(iter(side.values()))) for side in (reference, current)]
    return DriftReport(bundle_id, sizes[0], sizes[1], now, threshold, tuple(ordered))


def comparable(reference: Columns, current: Columns) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, str]]:
    """(columns of the reference, of the current, method of each) that Evidently is asked to compare."""
    before: dict[str, Floats] = {}
    after: dict[str, Floats] = {}
    methods: dict[str, str] = {}
    for name, values in reference.items():
        known = ~np.isnan(values), ~np.isnan(current[name])
        if not (known[0].all() and known[1].all()):
            before[name + _KNOWN], after[name + _KNOWN] = known[0].astype(float), known[1].astype(float)
            methods[name + _KNOWN] = "psi"
        if min(known[0].sum(), known[1].sum()) >= MIN_KNOWN:
            before[name], after[name] = values, current[name]
            few = len(np.unique(values[known[0]])) <= FEW_VALUES
            methods[name] = "psi" if few else "wasserstein"
    return before, after, methods


def _evidently(before: Columns, after: Columns, methods: Mapping[str, str], share: float) -> dict[str, float]:
    """Column to distance, as Evidently measures it."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import pandas
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = list(methods)
    kinds = DataDefinition(numerical_columns=columns)
    limits = dict.fromkeys(columns, LIMIT)
    preset = DataDriftPreset(
        columns=columns, drift_share=share, per_column_method=dict(methods), per_column_threshold=limits
    )
    sides = [Dataset.from_pandas(pandas.DataFrame(dict(side)), kinds) for side in (after, before)]
    # Evidently also correlates all columns, which nobody asked for, and divides by the zero spread of constant ones.
    with np.errstate(invalid="ignore", divide="ignore"):
        snapshot = Report([preset]).run(*sides)
    return _distances(snapshot.dict()["metrics"])


def _distances(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {m["config"]["column"]: float(m["value"]) for m in metrics if m["config"]["type"].endswith(":ValueDrift")}
