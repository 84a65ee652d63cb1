"""What every feature store does: one suite for the dictionary, Feast on SQLite and Feast on Redis."""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.clock import CLOCK_SKEW, DAY
from features.contract import Feature, FeatureContract
from features.errors import InvalidInput, NoData, StoreUnavailable
from features.settings import Settings
from features.store import FeastFeatureStore, FeatureRow, FeatureStore, MemoryFeatureStore, open_feature_store

CONTRACT = FeatureContract(
    tuple(Feature(name, view, "1", name) for name, view in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("c1", "c")))
)
Values = tuple[float | None, ...]


def rows(as_of: int, values: Mapping[str, Values], contract: FeatureContract = CONTRACT) -> pa.Table:
    columns = {
        name: pa.array([row[n] for row in values.values()], pa.float64()) for n, name in enumerate(contract.names)
    }
    return pa.table({"customer_id": list(values), "as_of": pa.array([as_of] * len(values), pa.int64()), **columns})


def feast_store(home: Path, address: str = "") -> FeastFeatureStore:
    # A busy machine must not make a test fail: the store then waits for 2 seconds at most.
    store = open_feature_store(Settings(home=home, online_store=address, deadline_seconds=4.0), new=True)
    store.apply(CONTRACT)
    return store


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureStore:
    if request.param == "memory":
        return MemoryFeatureStore(CONTRACT)
    return feast_store(tmp_path, "" if request.param == "sqlite" else request.getfixturevalue("redis_address"))


# -- every store -----------------------------------------------------------------------------------------------------


def test_an_unknown_customer_is_none(store: FeatureStore) -> None:
    assert store.read("nobody") is None
    store.push(rows(1, {"somebody": (1.0, 2.0, 3.0, 4.0)}))
    assert store.read("nobody") is None


def test_values_come_back_exactly_in_contract_order(store: FeatureStore) -> None:
    values: dict[str, Values] = {
        "plain": (1.0, 2.0, 3.0, 4.0),
        "unknown": (None, None, None, None),
        "mixed": (None, 0.1 + 0.2, -0.0, sys.float_info.max),
        "small": (sys.float_info.min, 5e-324, 2.0**53 + 2, -1e300),
        "größe 'quoted' \U0001f600": (0.0, 0.0, 0.0, 0.0),
        "x" * 128: (7.0, None, 0.0, 1 / 3),
    }
    assert store.push(rows(1_700_000_000_123_457, values)) == len(values)
    for customer_id, wanted in values.items():
        found = store.read(customer_id)
        assert found == FeatureRow(wanted, 1_700_000_000_123_457)
        assert [str(value) for value in found.values] == [str(value) for value in wanted]


def test_many_customers_are_read_as_each_by_itself(store: FeatureStore) -> None:
    assert store.read_many(["a", "b"]) == {}
    store.push(rows(5, {f"c{n}": (float(n), None, -0.0, 1 / 3) for n in range(1_203)}))
    wanted = ["c1", "nobody", *(f"c{n}" for n in range(1, 1_203, 2)), "größe"]
    found = store.read_many(wanted)
    assert found == {c: row for c in wanted if (row := store.read(c)) is not None}
    assert store.read_many([]) == {}


def test_a_newer_row_replaces_and_an_older_one_does_not(store: FeatureStore) -> None:
    store.push(rows(2_000_000, {"c": (2.0, None, 2.0, 2.0)}))
    assert store.push(rows(1_999_999, {"c": (1.0, 1.0, 1.0, 1.0)})) == 0
    assert store.read("c") == FeatureRow((2.0, None, 2.0, 2.0), 2_000_000)
    assert store.push(rows(2_000_001, {"c": (3.0, 3.0, 3.0, None)})) == 1
    assert store.read("c") == FeatureRow((3.0, 3.0, 3.0, None), 2_000_001)


def test_of_rows_with_one_moment_the_last_pushed_stays(store: FeatureStore) -> None:
    for number in (1.0, 2.0):
        assert store.push(rows(9, {"c": (number,) * 4})) == 1
    assert store.read("c") == FeatureRow((2.0,) * 4, 9)


def test_a_table_may_hold_one_customer_twice_and_the_newest_row_counts(store: FeatureStore) -> None:
    old, new = rows(5, {"c": (5.0,) * 4}), rows(6, {"c": (6.0,) * 4, "d": (1.0,) * 4})
    store.push(pa.concat_tables([new, old]))
    assert store.read("c") == FeatureRow((6.0,) * 4, 6)
    assert store.read("d") is not None


NOW = 1_700_000_000_000_000
AHEAD = NOW + 30 * 365 * DAY


def test_a_row_of_the_future_is_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInput, match="of the future"):
        store.push(rows(AHEAD, {"c": (1.0,) * 4}), now=NOW)
    assert store.read("c") is None
    assert store.push(rows(NOW + CLOCK_SKEW, {"c": (1.0,) * 4}), now=NOW) == 1


def test_a_row_that_a_wrong_clock_left_is_replaced_by_the_present(store: FeatureStore) -> None:
    store.push(rows(AHEAD, {"c": (9.0,) * 4, "d": (9.0,) * 4}), now=AHEAD)
    found = store.read("c")
    assert found is not None
    assert found.is_of_the_future(NOW)
    assert store.push(rows(NOW, {"c": (1.0,) * 4}), now=NOW) == 1
    assert store.read("c") == FeatureRow((1.0,) * 4, NOW)
    assert store.push(rows(NOW - 1, {"c": (2.0,) * 4}), now=NOW) == 0


def test_progress_ends_at_the_whole(store: FeatureStore) -> None:
    told: list[tuple[int, int]] = []
    store.push(rows(1, {f"c{n}": (1.0,) * 4 for n in range(1_100)}), lambda done, total: told.append((done, total)))
    assert told[-1] == (1_100, 1_100)


def test_an_empty_push_changes_nothing(store: FeatureStore) -> None:
    assert store.push(rows(1, {})) == 0


def test_a_store_may_be_read_and_written_by_many_threads(store: FeatureStore) -> None:
    store.push(rows(1, {"c": (1.0,) * 4}))
    wrong: list[object] = []

    def read() -> None:
        for _ in range(50):
            try:
                found = store.read("c")
                if found is None or set(found.values) - {float(n) for n in range(1, 12)}:
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for moment in range(2, 12):
        store.push(rows(moment, {"c": (float(moment),) * 4}))
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.read("c") == FeatureRow((11.0,) * 4, 11)


# -- Feast -----------------------------------------------------------------------------------------------------------


def test_a_home_without_a_contract_says_what_to_do_first(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(NoData, match="segue features apply"):
        open_feature_store(settings)
    with pytest.raises(NoData, match="segue features apply"):
        open_feature_store(settings, new=True).read("c")


def test_an_applied_contract_is_there_for_the_next_process_and_applying_it_again_changes_nothing(
    tmp_path: Path,
) -> None:
    feast_store(tmp_path).push(rows(3, {"c": (1.0, 2.0, 3.0, 4.0)}))
    again = open_feature_store(Settings(home=tmp_path))
    assert again.contract == CONTRACT
    assert again.apply(CONTRACT) is False
    assert again.read("c") == FeatureRow((1.0, 2.0, 3.0, 4.0), 3)


def test_a_new_view_is_unknown_and_makes_the_row_old_until_it_is_filled(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    store.push(rows(3, {"c": (1.0, 2.0, 3.0, 4.0)}))
    grown = FeatureContract((*CONTRACT.features[1:], Feature("d1", "d", "1", "new")))
    assert store.apply(grown) is True
    assert store.read("c") == FeatureRow((2.0, 3.0, 4.0, None), 0)
    store.push(rows(3, {"c": (2.0, 3.0, 4.0, 5.0)}, grown))
    assert store.read("c") == FeatureRow((2.0, 3.0, 4.0, 5.0), 3)


def test_a_view_can_go(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    smaller = FeatureContract(CONTRACT.features[:3])
    store.apply(smaller)
    store.push(rows(3, {"c": (1.0, 2.0, 3.0)}, smaller))
    assert store.read("c") == FeatureRow((1.0, 2.0, 3.0), 3)


def test_the_newest_snapshot_is_materialised_and_does_not_undo_a_push(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    with pytest.raises(NoData, match="segue features build"):
        store.materialise()
    store.write_offline(rows(20, {"a": (2.0,) * 4, "b": (2.0, None, 2.0, 2.0)}))
    store.write_offline(rows(10, {"a": (1.0,) * 4}))
    store.push(rows(30, {"a": (3.0,) * 4}))
    assert store.materialise() == 1
    assert store.read("a") == FeatureRow((3.0,) * 4, 30)
    assert store.read("b") == FeatureRow((2.0, None, 2.0, 2.0), 20)


def test_one_view_of_the_future_makes_a_row_one(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    store.push(rows(AHEAD, {"c": (9.0,) * 4}), now=AHEAD)
    store.apply(FeatureContract((*CONTRACT.features, Feature("d1", "d", "1", "new"))))
    found = store.read("c")
    assert found is not None
    assert found.as_of == 0
    assert found.is_of_the_future(NOW)


def test_a_snapshot_of_the_future_is_refused_and_one_that_is_there_is_neither_put_online_nor_kept(
    tmp_path: Path,
) -> None:
    store = feast_store(tmp_path)
    with pytest.raises(InvalidInput, match="of the future"):
        store.write_offline(rows(AHEAD, {"c": (9.0,) * 4}), NOW)
    wrong = store.write_offline(rows(AHEAD, {"c": (9.0,) * 4}), AHEAD)
    with pytest.raises(NoData, match=r"2053.*is yet to come.*segue features build"):
        store.materialise(now=NOW)
    store.materialise(now=AHEAD)
    store.write_offline(rows(NOW, {"c": (1.0,) * 4}), NOW)
    assert not wrong.exists()
    assert store.materialise(now=NOW) == 1
    assert store.read("c") == FeatureRow((1.0,) * 4, NOW)


def test_a_change_starts_from_the_contract_in_force_whoever_applied_it(tmp_path: Path) -> None:
    first, second = feast_store(tmp_path), open_feature_store(Settings(home=tmp_path))
    for store, name in ((first, "d1"), (second, "e1")):
        new = Feature(name, "d", "1", name)
        assert store.change(lambda before, new=new: FeatureContract((*before.features, new)))
    assert second.contract.names == (*CONTRACT.names, "d1", "e1")
    assert not first.change(lambda before: before)
    assert first.contract == second.contract


def test_feast_takes_names_that_are_spelled(tmp_path: Path) -> None:
    spelled = FeatureContract((Feature("attribute__cap_tier__is__y_end", "a", "1", "tier"), *CONTRACT.features))
    store = feast_store(tmp_path)
    store.apply(spelled)
    store.write_offline(rows(10 * DAY, {"c": (5.0,) * 5}, spelled))
    store.materialise()
    feast = store.feast()
    service = feast.get_feature_service("decision")
    assert feast.get_online_features(service, [{"customer_id": "c"}]).to_dict()[spelled.names[0]] == [5.0]
    asked = pa.table({"customer_id": ["c"], "event_timestamp": pa.array([15 * DAY], pa.timestamp("us", "UTC"))})
    found: Any = feast.get_historical_features(asked.to_pandas(), service).to_arrow()
    assert found.column(spelled.names[0]).to_pylist() == [5.0]


def test_old_snapshots_are_removed(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    files = [store.write_offline(rows(moment, {"a": (1.0,) * 4})) for moment in range(1, 34)]
    assert [file.exists() for file in files] == [False] * 3 + [True] * 30
    assert pq.read_schema(files[-1]).field("event_timestamp").type == pa.timestamp("us", "UTC")


def test_rows_of_another_contract_are_refused(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    for take in (store.push, store.write_offline):
        with pytest.raises(InvalidInput, match="a2"):
            take(rows(1, {"c": (1.0, 1.0)}, FeatureContract(CONTRACT.features[:2])))


def test_a_snapshot_is_what_feast_reads_as_history(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    day = 86_400_000_000
    for number in (1, 2):
        store.write_offline(rows(number * 10 * day, {"c": (float(number),) * 4}))
    feast = store.feast()
    asked = pa.table({"customer_id": ["c"], "event_timestamp": pa.array([15 * day], pa.timestamp("us", "UTC"))})
    found: Any = feast.get_historical_features(asked.to_pandas(), feast.get_feature_service("decision")).to_arrow()
    assert found.column("a2").to_pylist() == [1.0]
    assert found.column("b_as_of").to_pylist() == [10 * day]


def test_feast_itself_reads_what_was_pushed(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    store.push(rows(86_400_000_000, {"c": (1.0, None, 3.0, 4.0)}))
    feast = store.feast()
    service = feast.get_feature_service("decision")
    found = feast.get_online_features(service, [{"customer_id": "c"}]).to_dict()
    assert (found["a1"], found["b1"], found["a2"], found["c1"]) == ([1.0], [None], [3.0], [4.0])


def test_a_locked_sqlite_file_is_unavailable_at_once(tmp_path: Path) -> None:
    store = feast_store(tmp_path)
    store.push(rows(1, {"c": (1.0,) * 4}))
    store.close()
    holder = sqlite3.connect(tmp_path / "features" / "online.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        open_feature_store(Settings(home=tmp_path)).read("c")
    assert time.monotonic() - begun < 2.0
    holder.close()


@pytest.fixture
def hung_address() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_hung_redis_is_unavailable_within_its_timeout(tmp_path: Path, hung_address: str) -> None:
    feast_store(tmp_path)
    store = open_feature_store(Settings(home=tmp_path, online_store=hung_address, deadline_seconds=0.1))
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.read("c")
        assert time.monotonic() - begun < 1.0


def test_a_dead_redis_is_unavailable_at_once(tmp_path: Path) -> None:
    feast_store(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        store = open_feature_store(Settings(home=tmp_path, online_store=address, deadline_seconds=0.1))
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.read("c")
        assert time.monotonic() - begun < 1.0


def test_projects_on_one_redis_do_not_meet(tmp_path: Path, redis_address: str) -> None:
    first, second = feast_store(tmp_path / "1", redis_address), feast_store(tmp_path / "2", f"{redis_address}_other")
    first.push(rows(1, {"c": (1.0,) * 4}))
    assert second.read("c") is None
    assert first.read("c") is not None
