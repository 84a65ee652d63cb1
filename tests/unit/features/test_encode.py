"""The encoder: the same numbers for training and serving, and sense in what is unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.attributes import AttributeValues
from features.catalogue import Action, Catalogue, Channel, Treatment, load_catalogue
from features.contract import build_contract
from features.domain import DO_NOTHING, Arm
from features.encode import Encoder
from features.errors import InvalidInput

CATALOGUE = Catalogue(
    "1",
    {"email": Channel("email", cost=0.25), "web": Channel("web", outbound=False)},
    ("growth", "care"),
    {
        "offer": Action(
            "offer",
            "growth",
            value=9.0,
            cost=1.0,
            attributes={"duration": 7, "difficulty": True, "colour": "red"},
            treatments=(Treatment("email", cost=0.5), Treatment("web")),
        ),
        "call": Action("call", "care", value="score.churn * 2.0", treatments=(Treatment("web"),)),
    },
    (),
)
CONTRACT = build_contract(CATALOGUE, {"age": AttributeValues.of(2)})
ENCODER = Encoder.from_catalogue(CONTRACT, CATALOGUE)


def test_an_encoder_survives_json_with_its_fingerprint() -> None:
    again = Encoder.from_json(ENCODER.to_json())
    assert again == ENCODER
    assert again.fingerprint == ENCODER.fingerprint
    assert again.fingerprint != Encoder((), ENCODER.actions, (), (), ()).fingerprint


def test_a_row_of_serving_equals_the_row_of_training() -> None:
    values = {name: None if place % 3 == 0 else place / 7 for place, name in enumerate(CONTRACT.names)}
    table = pa.table({name: pa.array([None, value], pa.float64()) for name, value in reversed(values.items())})
    matrix = ENCODER.customer_matrix(table)
    assert matrix.shape == (2, len(ENCODER.customer_columns))
    assert np.isnan(matrix[0]).all()
    np.testing.assert_array_equal(matrix[1], ENCODER.customer_row(values))


def test_an_absent_feature_of_a_row_is_not_known() -> None:
    assert np.isnan(ENCODER.customer_row({})).all()


def test_a_table_without_a_feature_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="attribute_age") as refused:
        ENCODER.customer_matrix(pa.table({name: [1.0] for name in CONTRACT.names if name != "attribute_age"}))
    assert refused.value.field == "attribute_age"


def test_arms_are_one_hot_with_value_cost_and_numeric_attributes() -> None:
    assert ENCODER.arm_columns == (
        "action=offer",
        "action=call",
        "channel=email",
        "channel=web",
        "group=growth",
        "group=care",
        "action_value",
        "contact_cost",
        "action_attribute=difficulty",
        "action_attribute=duration",
    )
    rows = ENCODER.arm_matrix([Arm("offer", "email"), Arm("call", "web")], CATALOGUE)
    np.testing.assert_array_equal(rows[0], [1, 0, 1, 0, 1, 0, 9.0, 1.75, 1.0, 7.0])
    np.testing.assert_array_equal(rows[1], [0, 1, 0, 1, 0, 1, np.nan, 0.0, np.nan, np.nan])


def test_doing_nothing_has_no_value_and_no_cost() -> None:
    row = ENCODER.arm_matrix([DO_NOTHING], CATALOGUE)[0]
    np.testing.assert_array_equal(row, [0, 0, 0, 0, 0, 0, 0.0, 0.0, np.nan, np.nan])


def test_a_new_action_shares_its_channel_and_group_and_an_unknown_one_only_its_channel() -> None:
    actions = {"new": Action("new", "growth", value=3.0, treatments=(Treatment("web"),))}
    later = Catalogue("2", CATALOGUE.channels, CATALOGUE.groups, actions, ())
    rows = ENCODER.arm_matrix([Arm("new", "web"), Arm("offer", "email"), Arm("x", "y")], later)
    np.testing.assert_array_equal(rows[0], [0, 0, 0, 1, 1, 0, 3.0, 0.0, np.nan, np.nan])
    np.testing.assert_array_equal(rows[1, :6], [1, 0, 1, 0, 0, 0])
    assert np.isnan(rows[1:, 6:]).all()
    assert not rows[2, :6].any()


def test_no_arms_give_no_rows() -> None:
    assert ENCODER.arm_matrix([], CATALOGUE).shape == (0, len(ENCODER.arm_columns))


def test_the_shipped_catalogue_encodes_every_arm_apart() -> None:
    catalogue = load_catalogue(Path(__file__).resolve().parents[3] / "data" / "catalogue")
    encoder = Encoder.from_catalogue(build_contract(catalogue, {}), catalogue)
    arms = list(catalogue.arms())
    rows = np.nan_to_num(encoder.arm_matrix(arms, catalogue), nan=-1.0)
    assert len(np.unique(rows, axis=0)) == len(arms)
