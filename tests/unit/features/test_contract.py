"""The contract: what features there are, and that their names can be trusted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.catalogue import EMPTY_CATALOGUE, Catalogue, Channel, load_catalogue
from features.contract import MAX_ATTRIBUTES, AttributeValues, FeatureContract, build_contract

SHIPPED = load_catalogue(Path(__file__).resolve().parents[3] / "data" / "catalogue")
RELIED_ON = {
    "activity": "days_since_last_activity tenure_days events_7d sessions_7d sessions_30d product_views_30d carts_30d "
    "logins_30d active_days_30d activity_trend",
    "purchases": "days_since_last_purchase purchases_30d purchases_90d purchases_total spend_30d spend_90d spend_total "
    "average_order_value largest_order_value spend_trend",
    "care": "service_contacts_30d service_contacts_90d days_since_last_service_contact last_satisfaction_score "
    "average_satisfaction_180d",
    "contacts": "contacts_7d contacts_30d days_since_last_contact accepts_30d accepts_90d rejects_30d "
    "contacts_email_30d accepts_email_90d contacts_retention_30d accepts_retention_90d",
    "profile": "consent_email consent_sms consent_push consent_web",
}


def test_the_shipped_catalogue_has_at_least_36_features_in_at_least_3_views() -> None:
    contract = build_contract(SHIPPED, {})
    assert len(contract.names) >= 36
    assert len(contract.views) >= 3


@pytest.mark.parametrize("view", RELIED_ON)
def test_the_names_others_rely_on_are_in_their_view(view: str) -> None:
    contract = build_contract(SHIPPED, {})
    assert set(RELIED_ON[view].split()) <= {feature.name for feature in contract.of_view(view)}


def test_a_contract_survives_json_with_its_fingerprint() -> None:
    contract = build_contract(SHIPPED, {"age": AttributeValues(3)})
    again = FeatureContract.from_json(contract.to_json())
    assert again == contract
    assert re.fullmatch(r"[0-9a-f]{16}", again.fingerprint)


def test_the_fingerprint_tells_another_order_and_another_sql_but_not_another_description() -> None:
    features = build_contract(SHIPPED, {}).features
    first = features[0]
    reworded = type(first)(first.name, first.view, first.sql, "other words")
    recomputed = type(first)(first.name, first.view, "count(*)", first.description)
    fingerprint = FeatureContract(features).fingerprint
    assert FeatureContract((reworded, *features[1:])).fingerprint == fingerprint
    assert FeatureContract((recomputed, *features[1:])).fingerprint != fingerprint
    assert FeatureContract((features[1], features[0], *features[2:])).fingerprint != fingerprint


def test_the_order_in_which_attributes_are_found_does_not_matter() -> None:
    attributes = {"b": AttributeValues(1), "a": AttributeValues(2, ("x", "y"))}
    turned = dict(reversed(attributes.items()))
    assert build_contract(SHIPPED, attributes) == build_contract(SHIPPED, turned)


def test_a_text_of_many_values_is_no_feature_and_one_of_few_is_an_indicator_each() -> None:
    many = tuple(f"v{n:02d}" for n in range(21))
    contract = build_contract(EMPTY_CATALOGUE, {"id": AttributeValues(9, many), "plan": AttributeValues(9, many[:20])})
    assert [f.name for f in contract.of_view("profile")] == [f"attribute_plan_is_{value}" for value in many[:20]]


def test_names_are_safe_for_sql_and_cel_and_never_meet() -> None:
    channels = {name: Channel(name) for name in ("e-mail", "e_mail", "E.Mail")}
    catalogue = Catalogue("1", channels, ("e_mail",), {}, ())
    attributes = {"größe; drop": AttributeValues(1), "a b": AttributeValues(1), "A'b": AttributeValues(1, ("", "'"))}
    names = build_contract(catalogue, attributes).names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert len(set(names)) == len(names)
    assert {"contacts_e_mail_30d", "contacts_e_mail_30d_2", "contacts_e_mail_30d_3", "contacts_e_mail_30d_4"} <= set(
        names
    )


def test_no_name_ends_in_the_letters_that_feast_drops() -> None:
    names = build_contract(EMPTY_CATALOGUE, {"member": AttributeValues(4, ("n", "y"))}).names
    assert "attribute_member_is_yes" in names
    assert not any(name.endswith("_y") for name in names)


def test_of_very_many_attributes_those_known_of_most_customers_become_features() -> None:
    attributes = {f"a{n:03d}": AttributeValues(n) for n in range(MAX_ATTRIBUTES + 50)}
    names = [feature.name for feature in build_contract(EMPTY_CATALOGUE, attributes).of_view("profile")]
    assert names == [f"attribute_a{n:03d}" for n in range(50, MAX_ATTRIBUTES + 50)]
