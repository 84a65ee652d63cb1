"""A log with a fault cannot be built, and the refusal says which rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from experiments.ope.columns import ColumnNames
from experiments.ope.evaluation import evaluate
from experiments.ope.feedback import LoggedFeedback, codes
from experiments.ope.log_file import feedback_of
from experiments.ope.log_table import read_table
from experiments.ope.refusals import uninformative
from experiments.ope.target import Uniform
from features.errors import InvalidInput, NotFound


def a_log(n: int = 20) -> LoggedFeedback:
    rng = np.random.default_rng(1)
    return LoggedFeedback(
        ("a", "b"),
        rng.integers(0, 2, n),
        np.full(n, 0.5),
        rng.random(n),
        decision_id=np.array([f"d{i}" for i in range(n)]),
    )


def changed(name: str, rows: list[int], value: object) -> dict[str, np.ndarray]:
    column = np.array(getattr(a_log(), name))
    column[rows] = value
    return {name: column}


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("probability_zero", changed("action_probability", [3, 7], 0.0)),
        ("probability_missing", changed("action_probability", [3, 7], np.nan)),
        ("probability_negative", changed("action_probability", [3, 7], -0.1)),
        ("probability_above_one", changed("action_probability", [3, 7], 1.2)),
        ("unknown_arm", changed("arm", [3, 7], 2)),
        ("reward_missing", changed("reward", [3, 7], np.nan)),
        ("duplicate_id", changed("decision_id", [3, 7], "d1")),
    ],
)
def test_a_fault_is_refused_by_name_with_its_rows(code: str, change: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidInput, match="data rows 4, 8") as refusal:
        replace(a_log(), **change)
    assert refusal.value.code == code


def test_of_many_rows_the_first_are_named_and_all_counted() -> None:
    with pytest.raises(InvalidInput, match=r"data rows 1, 2, 3, 4, 5 and 15 more \(20 in all\)"):
        replace(a_log(), action_probability=np.zeros(20))


def test_constant_rewards_and_a_single_row_say_nothing() -> None:
    with pytest.raises(InvalidInput, match=r"all 20 rewards \(rows 1 to 20\)") as refusal:
        uninformative(a_log().with_reward(np.ones(20)))
    assert refusal.value.code == "constant_reward"
    with pytest.raises(InvalidInput, match="row 1") as refusal:
        uninformative(a_log().take(np.array([0])))
    assert refusal.value.code == "too_few_rows"


def test_an_arm_that_was_filtered_out_cannot_have_been_drawn() -> None:
    log = a_log()
    allowed = np.ones((20, 2), dtype=bool)
    allowed[4, log.arm[4]] = False
    with pytest.raises(InvalidInput, match="data row 5") as refusal:
        replace(log, allowed=allowed)
    assert refusal.value.code == "arm_not_allowed"


@pytest.mark.parametrize(
    ("code", "row"),
    [
        ("distribution_sum", [0.5, 0.6]),
        ("distribution_range", [-0.5, 1.5]),
        ("distribution_range", [np.nan, 0.5]),
        ("probability_differs", [0.9, 0.1]),
    ],
)
def test_a_logged_distribution_agrees_with_itself_and_the_draw(code: str, row: list[float]) -> None:
    table = np.full((20, 2), 0.5)
    table[6] = row
    with pytest.raises(InvalidInput, match="data row 7") as refusal:
        replace(a_log(), logging_probability=table)
    assert refusal.value.code == code


def test_places_of_one_decision_may_share_its_id() -> None:
    log = replace(a_log(2), decision_id=np.array(["d", "d"]), place=np.array([1, 2]))
    assert len(log) == 2
    with pytest.raises(InvalidInput, match="data row 2") as refusal:
        replace(log, place=np.array([1, 1]))
    assert refusal.value.code == "duplicate_id"


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"reward has shape \(3,\), not \(20,\)"):
        a_log().with_reward(np.ones(3))


def test_rows_are_taken_from_every_column() -> None:
    log = replace(a_log(), unit=codes([f"c{i % 5}" for i in range(20)]), context=np.arange(40.0).reshape(20, 2))
    some = log.take(np.array([2, 5]))
    assert some.context.tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert some.unit is not None
    assert some.unit.tolist() == [2, 0]


TABLE = pa.table(
    {
        "arm": ["mail", "none", "mail"],
        "action_probability": [0.25, 0.75, 0.25],
        "reward": [1, 0, 2],
        "customer_id": ["x", "y", "x"],
        "x_age": [30.0, None, 50.0],
        "x_zip": ["north", "south", "north"],
        "allowed_mail": [True, True, True],
        "allowed_none": [True, True, True],
    }
)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_becomes_a_log(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"log.{ending}"
    if ending == "csv":
        pyarrow.csv.write_csv(TABLE, path)
    else:
        pyarrow.parquet.write_table(TABLE, path)
    log = feedback_of(read_table(path))
    assert log.arms == ("mail", "none")
    assert log.arm.tolist() == [0, 1, 0]
    assert log.reward.tolist() == [1.0, 0.0, 2.0]
    assert log.unit is not None
    assert log.unit.tolist() == [0, 1, 0]
    assert log.context_names == ("x_age", "x_zip=north", "x_zip=south")
    assert np.isnan(log.context[1, 0])
    assert log.context[:, 1].tolist() == [1.0, 0.0, 1.0]
    assert log.allowed is not None
    assert log.allowed.all()


def test_columns_of_other_names_are_told() -> None:
    renamed = TABLE.rename_columns(["what", "p", "spend", "who", "x_age", "x_zip", "allowed_mail", "allowed_none"])
    log = feedback_of(renamed, ColumnNames("what", "p", "spend", customer="who"), context=["x_age"])
    assert log.context_names == ("x_age",)
    with pytest.raises(InvalidInput, match="no column 'arm' in the log; it has what, p"):
        feedback_of(renamed)


def test_an_arm_without_a_column_among_columns_for_arms_is_unknown() -> None:
    table = TABLE.set_column(0, "arm", pa.array(["mail", "none", "sms"]))
    with pytest.raises(InvalidInput, match="data row 3") as refusal:
        feedback_of(table)
    assert refusal.value.code == "unknown_arm"


def test_missing_values_are_refused_with_their_rows() -> None:
    table = TABLE.set_column(0, "arm", pa.array(["mail", None, "none"]))
    with pytest.raises(InvalidInput, match="nothing in column 'arm' in data row 2"):
        feedback_of(table)
    table = TABLE.set_column(1, "action_probability", pa.array([0.1, None, 0.1]))
    with pytest.raises(InvalidInput, match="no probability in data row 2"):
        feedback_of(table)


def test_text_where_numbers_or_times_belong_is_shown_with_its_rows() -> None:
    table = TABLE.set_column(2, "reward", pa.array(["1", "much", "{none}"]))
    with pytest.raises(InvalidInput, match="column 'reward': 'much' is no number, in data rows 2, 3") as refusal:
        feedback_of(table)
    assert refusal.value.code == "no_number"
    table = TABLE.append_column("decided_at", pa.array(["2026-01-01", "2026-01-02", "{soon}"]))
    with pytest.raises(InvalidInput, match=r"'\{soon\}' is no time, in data row 3") as refusal:
        feedback_of(table)
    assert refusal.value.code == "no_time"


@pytest.mark.parametrize("name", ["decision_id", "Event_ID", "id", "what-we-call-it"])
def test_a_decision_that_is_there_twice_is_found_whatever_its_column_is_called(name: str) -> None:
    table = TABLE.append_column(name, pa.array([7, 8, 7]))
    names = ColumnNames(decision=name) if name == "what-we-call-it" else None
    with pytest.raises(InvalidInput, match=r"again in data row 3; keep one of each, or name") as refusal:
        feedback_of(table, names)
    assert refusal.value.code == "duplicate_id"


def test_an_id_that_names_something_else_is_not_taken_for_the_decisions() -> None:
    table = TABLE.rename_columns(["id" if name == "customer_id" else name for name in TABLE.column_names])
    assert feedback_of(table, ColumnNames(customer="id")).decision_id is None


def test_a_column_that_was_named_but_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"no column 'who' in the log; .* --column customer=COLUMN"):
        feedback_of(TABLE, ColumnNames(customer="who"))


def test_an_arm_left_empty_in_csv_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("arm,action_probability,reward\na,0.5,1\n,0.5,0\n")
    with pytest.raises(InvalidInput, match="nothing in column 'arm' in data row 2"):
        feedback_of(read_table(path))


def test_a_file_with_a_heading_only_is_refused_like_one_row(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("arm,action_probability,reward\n")
    with pytest.raises(InvalidInput, match="there is no row") as refusal:
        evaluate(feedback_of(read_table(path)), [Uniform()])
    assert refusal.value.code == "too_few_rows"


def test_a_file_that_is_none_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_table(tmp_path / "log.csv")
    broken = tmp_path / "log.parquet"
    broken.write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        read_table(broken)
