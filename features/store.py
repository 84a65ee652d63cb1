"""The feature store on Feast: the latest features of a customer for serving, snapshots of everybody for the record.

What Feast is told comes from `features.repo.definitions`; its online stores are used through `features.repo.online`.
The port and its other adapter are in `features.online`, which needs no Feast (whose import takes 3 seconds).
"""

from __future__ import annotations

import fcntl
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore as Feast
from feast import FeatureView
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from features.clock import format_time, to_datetime
from features.contract import NO_FEATURES, FeatureContract, read_contract
from features.errors import InvalidInput, NoData, StoreUnavailable
from features.online import (
    FeatureRow,
    FeatureStore,
    MemoryFeatureStore,
    Progress,
    latest_moment,
    newest_of_each,
    refuse_future,
)
from features.online_address import parse_online_address
from features.repo import definitions
from features.repo.online import RedisOnline, Row, SqliteOnline, fields_of
from features.settings import Settings

__all__ = ["FeastFeatureStore", "FeatureRow", "FeatureStore", "MemoryFeatureStore", "Progress", "open_feature_store"]

#: Snapshots kept of one contract; training reads the ledger, so an old one is only a record.
SNAPSHOTS_KEPT = 30
NOTHING_APPLIED = "the feature store knows no features yet: run `segue features apply` first"
ROWS_AT_ONCE = 500


class FeastFeatureStore:
    """Feast in a folder: registry, Parquet snapshots, and an online store, SQLite in the folder or a Redis server.

    `read` may be called by any thread; every write is safe beside other processes.
    """

    def __init__(self, folder: Path, reading: dict[str, Any], writing: dict[str, Any]) -> None:
        self._folder, self._yaml = folder, json.dumps(writing, indent=1)  # JSON is YAML
        self._reading, self._writing = (RepoConfig(**config, repo_path=folder) for config in (reading, writing))
        self._opened: _Opened | None = None
        applied = read_contract(folder)
        if applied is not None:
            self._opened = self._open(applied)

    @property
    def contract(self) -> FeatureContract:
        """The contract that was applied last when this store was opened. Raises NoData when none was."""
        return self._at_hand().contract

    def change(self, change: Callable[[FeatureContract], FeatureContract]) -> bool:
        """Applies what `change` makes of the contract in force, alone among those who change it; see `apply`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "contract.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.apply(change(read_contract(self._folder) or NO_FEATURES))

    def apply(self, contract: FeatureContract) -> bool:
        """Makes this the contract of the store; gives whether that changed anything."""
        content = contract.to_json()
        files = {
            "feature_store.yaml": self._yaml,
            "definitions.py": Path(definitions.__file__).read_text(),
            # Last: what it says is then true.
            "contract.json": content,
        }
        if all((at := self._folder / name).exists() and at.read_text() == text for name, text in files.items()):
            if self._opened is None or self._opened.contract != contract:
                self._opened = self._open(contract)  # another process was first
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        objects = definitions.define(json.loads(content), self._folder)
        feast = self.feast()
        gone = [view for view in feast.list_feature_views() if view.name not in objects]
        feast.apply([*objects.values(), *gone], objects_to_delete=gone, partial=False)
        for name, text in files.items():
            _write_whole(self._folder / name, text)
        self._opened = self._open(contract)
        return True

    def write_offline(self, table: pa.Table, now: int | None = None) -> Path:
        """Adds a snapshot (customer_id, as_of, features) to the offline store; gives its file. Keeps the newest 30.

        Those of moments yet to come at `now` (the clock's when left out), as a clock that went wrong may have left
        there, are removed: one is refused with InvalidInput.
        """
        contract, latest = self._checked(table), latest_moment(now)
        refuse_future(table, latest)
        moments = table.column("as_of")
        columns = {
            "customer_id": table.column("customer_id"),
            "event_timestamp": moments.cast(pa.timestamp("us", "UTC")),
            **{definitions.stamp_of(view): moments for view in contract.views},
            **{name: table.column(name) for name in contract.names},
        }
        folder = self._snapshots(contract)
        folder.mkdir(parents=True, exist_ok=True)
        newest = max(moments.to_pylist(), default=0)
        file = folder / f"{newest:020d}.parquet"
        pq.write_table(pa.table(columns), file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
        present, future = self._found_snapshots(contract, latest)
        for unwanted in [*present[:-SNAPSHOTS_KEPT], *future]:
            unwanted.unlink(missing_ok=True)
        return file

    def materialise(self, progress: Progress | None = None, now: int | None = None) -> int:
        """Puts the newest snapshot online; gives the number of customers taken. Raises NoData without a snapshot.

        One of a moment yet to come at `now` is none.
        """
        contract = self.contract
        present, future = self._found_snapshots(contract, latest_moment(now))
        if not present:
            beside = f" (that of {_moment_of(future[-1])} is yet to come)" if future else ""
            raise NoData(f"there is no snapshot of this contract yet{beside}: run `segue features build` first")
        table = pq.read_table(present[-1])
        stamps = table.column(definitions.stamp_of(contract.views[0]))
        return self.push(table.append_column("as_of", stamps), progress, now)

    def push(self, table: pa.Table, progress: Progress | None = None, now: int | None = None) -> int:
        """See `FeatureStore.push`."""
        self._checked(table)
        latest = latest_moment(now)
        refuse_future(table, latest)
        opened, taken, done = self._at_hand(), 0, 0
        try:
            for batch in newest_of_each(table).to_batches(ROWS_AT_ONCE):
                rows = batch.to_pylist()
                taken += max(opened.online.write(view, _rows(view, rows), latest) for view in opened.views)
                done += len(rows)
                if progress:
                    progress(done, table.num_rows)
        except opened.online.errors as error:
            raise StoreUnavailable(f"the online store took no features: {error}") from error
        return taken

    def read(self, customer_id: str) -> FeatureRow | None:
        """See `FeatureStore.read`."""
        opened = self._at_hand()
        try:
            found = opened.online.read(customer_id)
        except opened.online.errors as error:
            raise StoreUnavailable(f"the online store does not answer: {type(error).__name__}") from error
        return opened.row(found)

    def read_many(self, customer_ids: Sequence[str]) -> dict[str, FeatureRow]:
        """See `FeatureStore.read_many`."""
        opened = self._at_hand()
        rows: dict[str, FeatureRow] = {}
        try:
            for start in range(0, len(customer_ids), ROWS_AT_ONCE):
                chunk = customer_ids[start : start + ROWS_AT_ONCE]
                for customer_id, found in zip(chunk, opened.online.read_many(chunk), strict=True):
                    row = opened.row(found)
                    if row is not None:
                        rows[customer_id] = row
        except opened.online.errors as error:
            raise StoreUnavailable(f"the online store does not answer: {type(error).__name__}") from error
        return rows

    def feast(self) -> Feast:
        """Feast's own store of this folder, for what its interface offers beyond this one."""
        return Feast(config=self._writing)

    def close(self) -> None:
        """Closes the connections of the calling thread."""
        if self._opened is not None:
            self._opened.online.close()

    def _at_hand(self) -> _Opened:
        if self._opened is None:
            raise NoData(NOTHING_APPLIED)
        return self._opened

    def _snapshots(self, contract: FeatureContract) -> Path:
        return self._folder / "offline" / contract.fingerprint

    def _found_snapshots(self, contract: FeatureContract, latest: int) -> tuple[list[Path], list[Path]]:
        """(snapshots up to the moment `latest`, those later), each in order of time."""
        files = sorted(self._snapshots(contract).glob("*.parquet"))
        return [f for f in files if int(f.stem) <= latest], [f for f in files if int(f.stem) > latest]

    def _checked(self, table: pa.Table) -> FeatureContract:
        missing = {"customer_id", "as_of", *self.contract.names} - set(table.column_names)
        if missing:
            raise InvalidInput(f"the features lack {', '.join(sorted(missing))}: build them with the store's contract")
        return self.contract

    def _open(self, contract: FeatureContract) -> _Opened:
        objects = definitions.define(json.loads(contract.to_json()), self._folder)
        views = [objects[name] for name in contract.views]
        redis = self._reading.online_store.type == "redis"
        online = RedisOnline(self._reading, self._writing, views) if redis else SqliteOnline(self._reading, views)
        place_of = {field: place for place, field in enumerate(fields_of(views))}
        places = [place_of[feature.view, feature.name] for feature in contract.features]
        stamps = [place_of[view, definitions.stamp_of(view)] for view in contract.views]
        return _Opened(contract, tuple(views), online, tuple(places), tuple(stamps))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A contract and all that reading it needs, prepared once: the place in a read of each feature and view's stamp."""

    contract: FeatureContract
    views: tuple[FeatureView, ...]
    online: RedisOnline | SqliteOnline
    places: tuple[int, ...]
    stamps: tuple[int, ...]

    def row(self, found: Sequence[bytes | None]) -> FeatureRow | None:
        """What an online store found of a customer; None where that is nothing."""
        if not any(found):
            return None
        values = _numbers([found[place] or _MISSING for place in self.places])
        stamps = [_stamp(found[place]) for place in self.stamps]
        return FeatureRow(values, min(stamps), max(stamps))


def open_feature_store(settings: Settings, *, new: bool = False) -> FeastFeatureStore:
    """The store of a home. Raises NoData where no contract was applied yet, unless it may be `new`.

    Its online part is SQLite in the home, or a Redis server at `settings.online_store`: `host:port[,option=value...]`.
    Options are those of the Redis client, and `project`, the word all keys end with: two installations on one server
    need two. A read gives up after half of the decision's deadline. Raises InvalidInput for an address that is none.
    """
    folder = settings.feature_folder
    if not new and not (folder / "contract.json").exists():
        raise NoData(NOTHING_APPLIED)
    if not settings.online_store:
        config = _config(folder, "segue", {"type": "sqlite", "path": str(folder / "online.db")})
        return FeastFeatureStore(folder, config, config)
    online = parse_online_address(settings.online_store)
    configs = []
    for seconds in (settings.deadline_seconds / 2, 10.0):
        limits = {"socket_timeout": str(seconds), "socket_connect_timeout": str(seconds)}
        given = [f"{name}={value}" for name, value in {**limits, **online.options}.items()]
        address = ",".join([*online.servers, *given])
        # The rows to write are compared with those there by us: Feast would leave out a row with the same moment.
        configs.append(
            _config(folder, online.project, {"type": "redis", "connection_string": address, "skip_dedup": True})
        )
    return FeastFeatureStore(folder, *configs)


def _config(folder: Path, project: str, online: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `feature_store.yaml`."""
    return {
        "project": project,
        "provider": "local",
        "registry": {"path": str(folder / "registry.db"), "cache_ttl_seconds": 0},
        "online_store": dict(online),
        "offline_store": {"type": "duckdb"},
        "entity_key_serialization_version": 3,
    }


def _moment_of(snapshot: Path) -> str:
    return format_time(int(snapshot.stem))


def _rows(view: FeatureView, rows: list[dict[str, Any]]) -> list[Row]:
    stamp = definitions.stamp_of(view.name)
    names = [field.name for field in view.features if field.name != stamp]
    return [
        Row(
            row["customer_id"],
            {stamp: Value(int64_val=row["as_of"])} | {name: _value(row[name]) for name in names},
            row["as_of"],
            to_datetime(row["as_of"]),
        )
        for row in rows
    ]


_NULL = Value()


def _value(number: float | None) -> Value:
    return _NULL if number is None else Value(double_val=number)


#: How a serialised `Value` with a `double_val` begins; eight bytes of the number follow.
_DOUBLE = Value(double_val=1.0).SerializeToString()[:1]
_MISSING = _DOUBLE + struct.pack("<d", float("nan"))
_all_doubles = lru_cache(lambda count: struct.Struct("<" + "xd" * count))


def _numbers(values: Sequence[bytes]) -> tuple[float | None, ...]:
    """Serialised values as numbers. All at once: 62 of them parsed by the library take 60 us, this way 5."""
    together = b"".join(values)
    if together[::9] != _DOUBLE * len(values) or set(map(len, values)) != {9}:
        return tuple(_number(value) for value in values)
    return tuple([None if number != number else number for number in _all_doubles(len(values)).unpack(together)])


def _number(value: bytes) -> float | None:
    parsed = Value.FromString(value)
    return parsed.double_val if parsed.HasField("double_val") and parsed.double_val == parsed.double_val else None


@lru_cache(maxsize=1024)  # a view's customers mostly share their moment
def _stamp(value: bytes | None) -> int:
    return int(Value.FromString(value).int64_val) if value else 0


def _write_whole(file: Path, text: str) -> None:
    """All or nothing, and for nobody else's eyes: a Redis address may hold a password."""
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(file)
