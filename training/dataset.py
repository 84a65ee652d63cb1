"""Data sets: labels beside the features of their moment, encoded, split by time, and hashed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.aggregates import History
from features.catalogue import Catalogue
from features.clock import DAY
from features.contract import FeatureContract
from features.domain import Arm
from features.encode import Encoder
from training.labels import Span, customer_labels, propensity_labels
from training.split import Slice, choose_cutoffs, slice_cutoffs, slice_decisions

Floats = NDArray[np.float64]

#: Fewer rows than this in a slice, or fewer of either class, and nothing honest can be said.
MIN_ROWS = 200
MIN_OF_CLASS = 10
REFERENCE_ROWS = 5_000


#: What a slice of the data is for, in words.
USES = {Slice.TRAIN: "to learn from", Slice.CALIBRATION: "to correct it by", Slice.TEST: "to judge it by"}
_LONGER = "import a longer history, or set a shorter horizon_days in segue.toml"
#: For each model what is counted, what happened to some of it, and what to do where that is too little.
WORDS = {
    "churn": ("customers", "went quiet", _LONGER),
    "conversion": ("customers", "bought", _LONGER),
    "propensity": (
        "past decisions",
        "were accepted",
        "import past decisions with their outcomes, or let `segue serve` decide, report outcomes, and train again",
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One slice: matrix (n, k) with NaN for missing, labels (n,) 0 or 1, and a code for each row's customer (n,).

    `asked`: of decisions, the arm's key and the day (since 1970) of each row; `drawn`, (n,), whether it was drawn at
    random, with a known probability below 1, and not chosen for a reason that may have to do with the answer.
    """

    matrix: Floats
    labels: Floats
    customers: NDArray[np.int64]
    asked: tuple[tuple[str, int], ...] = ()
    drawn: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def at_random(self) -> Rows:
        """Those rows alone that were drawn at random."""
        asked = tuple(one for one, drawn in zip(self.asked, self.drawn.tolist(), strict=True) if drawn)
        kept = self.drawn
        return Rows(self.matrix[kept], self.labels[kept], self.customers[kept], asked, self.drawn[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What one model learns from. `parts` has every slice, each later than the one before."""

    name: str
    parts: Mapping[Slice, Rows]
    data_hash: str
    #: Features of the test slice as they are served, by name: what drift is measured against.
    reference: pa.Table
    #: From this moment on nothing was learned from: the start of the test slice.
    judged_from: int = 0

    @property
    def rows(self) -> int:
        return sum(len(part.labels) for part in self.parts.values())

    @property
    def positives(self) -> int:
        return int(sum(part.labels.sum() for part in self.parts.values()))

    def shortcoming(self) -> str | None:
        """Why this is too little to learn from, and what to do, in plain English; None where it is enough."""
        things, answer, remedy = WORDS[self.name]
        for slice_, part in self.parts.items():
            use, rows, positives = USES[slice_], len(part.labels), int(part.labels.sum())
            if rows < MIN_ROWS:
                return f"too little history: {rows:,} {things} {use}, {MIN_ROWS} are needed; {remedy}"
            if min(positives, rows - positives) < MIN_OF_CLASS:
                said = f"{positives:,} of {rows:,} {things} {use} {answer}"
                return (
                    f"too little history: {said}, {MIN_OF_CLASS} that did and {MIN_OF_CLASS} not are needed; {remedy}"
                )
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """Where data sets come from: a history with its span, the features in force, and the catalogue."""

    history: History
    span: Span
    contract: FeatureContract
    encoder: Encoder
    catalogue: Catalogue


def customer_datasets(source: Source, horizon: int) -> dict[str, Dataset]:
    """`churn` and `conversion`, which share cut-offs and features. Empty when the history has fewer than 3 cut-offs."""
    cutoffs = choose_cutoffs(source.span, horizon)
    if len(cutoffs) < 3:
        return {}
    labels = customer_labels(source.history, cutoffs, horizon)
    features = source.history.as_of(source.contract, labels)
    matrix = source.encoder.customer_matrix(features)
    slices = slice_cutoffs(_integers(labels, "as_of"), cutoffs)
    keys = _keys(labels, "customer_id", "as_of")
    return {
        name: _dataset(name, labels, name, keys, slices, matrix, features.select(source.contract.names))
        for name in ("churn", "conversion")
    }


def propensity_dataset(source: Source) -> Dataset:
    """`propensity`: one row for each matured item, the customer's features beside the arm's."""
    labels = propensity_labels(source.history, source.catalogue, source.span)
    features = source.history.as_of(source.contract, labels)
    arms = [Arm(a, c) for a, c in zip(*(labels.column(n).to_pylist() for n in ("action", "channel")), strict=True)]
    matrix = np.hstack([source.encoder.customer_matrix(features), _arm_rows(source, arms)])
    slices = slice_decisions(_integers(labels, "as_of"), _integers(labels, "closes_at"))
    keys = _keys(labels, "customer_id", "as_of", "decision_id", "rank")
    reference = features.select(source.contract.names)
    days = [int(moment) // DAY for moment in _integers(labels, "as_of")]
    asked = list(zip((arm.key for arm in arms), days, strict=True))
    drawn = labels.column("action_probability").to_numpy() < 1.0
    return _dataset("propensity", labels, "accepted", keys, slices, matrix, reference, asked, drawn)


def data_hash(keys: Iterable[str], labels: Floats, slices: NDArray[np.int64], matrix: Floats) -> str:
    """sha256 of the rows, whatever order they are stored in: of the sorted sha256 of key, slice, label and features."""
    digests = []
    for key, label, slice_, row in zip(keys, labels, slices, matrix, strict=True):
        # Adding 0 turns -0.0 into 0.0; every NaN becomes the one of numpy: equal values, equal bytes.
        values = np.where(np.isnan(row), np.nan, row + 0.0)
        digests.append(sha256(f"{key}|{slice_}|{label:g}|".encode() + values.tobytes()).digest())
    return sha256(b"".join(sorted(digests))).hexdigest()


def _dataset(
    name: str,
    labels: Any,
    column: str,
    keys: list[str],
    slices: NDArray[np.int64],
    matrix: Floats,
    reference: pa.Table,
    asked: Sequence[tuple[str, int]] = (),
    drawn: NDArray[np.bool_] | None = None,
) -> Dataset:
    label = labels.column(column).to_numpy()
    chosen = (slices != Slice.NONE) & ~np.isnan(label)
    customers = labels.column("customer_id").combine_chunks().dictionary_encode()
    codes = customers.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    parts = {}
    for slice_ in (Slice.TRAIN, Slice.CALIBRATION, Slice.TEST):
        rows = chosen & (slices == slice_)
        told = tuple(asked[n] for n in np.flatnonzero(rows).tolist()) if asked else ()
        at_random = np.empty(0, dtype=bool) if drawn is None else drawn[rows]
        parts[slice_] = Rows(matrix[rows], label[rows], codes[rows], told, at_random)
    used = np.flatnonzero(chosen)
    hashed = data_hash((keys[n] for n in used), label[used], slices[used], matrix[used])
    judged = np.flatnonzero(chosen & (slices == Slice.TEST))
    judged_from = int(_integers(labels, "as_of")[judged].min()) if len(judged) else 0
    return Dataset(name, parts, hashed, reference.take(_sample(judged, keys)), judged_from)


def _sample(rows: NDArray[np.int64], keys: list[str]) -> NDArray[np.int64]:
    """At most REFERENCE_ROWS of the rows, the same ones every time: those whose keys hash lowest."""
    chosen = sorted(rows.tolist(), key=lambda n: sha256(keys[n].encode()).digest())[:REFERENCE_ROWS]
    return np.asarray(sorted(chosen), dtype=np.int64)


def _arm_rows(source: Source, arms: list[Arm]) -> Floats:
    """The encoded arm of every item: each distinct arm is encoded once."""
    distinct = sorted(set(arms))
    place = {arm: n for n, arm in enumerate(distinct)}
    encoded = source.encoder.arm_matrix(distinct, source.catalogue)
    return encoded[[place[arm] for arm in arms]] if arms else encoded[:0]


def _keys(table: Any, *columns: str) -> list[str]:
    values = zip(*(table.column(column).to_pylist() for column in columns), strict=True)
    return ["|".join(map(str, row)) for row in values]


def _integers(table: Any, column: str) -> NDArray[np.int64]:
    return np.asarray(table.column(column).to_numpy(), dtype=np.int64)
