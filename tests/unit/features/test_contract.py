"""The contract: what features there are, and that their names can be trusted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.attributes import MAX_ATTRIBUTES, AttributeValues
from features.catalogue import EMPTY_CATALOGUE, Catalogue, Channel, load_catalogue
from features.contract import Feature, FeatureContract, build_contract, redefined

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
    contract = build_contract(SHIPPED, {"age": AttributeValues.of(3)})
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
    attributes = {"b": AttributeValues.of(1), "a": AttributeValues.of(0, {"x": 1, "y": 1})}
    turned = dict(reversed(attributes.items()))
    assert build_contract(SHIPPED, attributes) == build_contract(SHIPPED, turned)


def called(attributes: dict[str, AttributeValues], before: FeatureContract | None = None) -> list[str]:
    """The names of the profile's features without a catalogue."""
    contract = build_contract(EMPTY_CATALOGUE, attributes, before or FeatureContract(()))
    return [feature.name for feature in contract.of_view("profile")]


def texts(*values: str, customers: int = 1) -> AttributeValues:
    return AttributeValues.of(0, dict.fromkeys(values, customers))


MANY = [f"v{n:02d}" for n in range(21)]


def test_a_text_of_few_values_is_an_indicator_each_and_one_as_different_as_ids_is_no_feature() -> None:
    ids = texts(*(f"id{n}" for n in range(300)))
    assert called({"id": ids, "plan": texts(*MANY[:20])}) == [f"attribute_plan_is_{value}" for value in MANY[:20]]


def test_of_more_texts_than_there_are_columns_the_commonest_have_one_where_they_are_nearly_all() -> None:
    plan = AttributeValues.of(0, {"rare": 1, **dict.fromkeys(MANY[:20], 5)})
    assert called({"plan": plan}) == [f"attribute_plan_is_{value}" for value in MANY[:20]]


def test_a_text_that_comes_later_takes_no_column_away_and_gets_one_while_there_is_room() -> None:
    before = build_contract(EMPTY_CATALOGUE, {"city": texts(*MANY[:19])})
    grown = build_contract(EMPTY_CATALOGUE, {"city": texts(*MANY[:19], "a", "b", "c")}, before)
    assert grown.features[: len(before.features)] == before.features
    assert [f.name for f in grown.features[len(before.features) :]] == ["attribute_city_is_a"]


def test_a_spelling_that_comes_later_leaves_every_name_its_meaning() -> None:
    before = build_contract(EMPTY_CATALOGUE, {"tier": texts("gold"), "rating": texts("A-")})
    grown = build_contract(EMPTY_CATALOGUE, {"tier": texts("Gold", "gold"), "rating": texts("A+", "A-")}, before)
    assert before.changed_in(grown) == ()
    assert {"attribute_tier_is_gold", "attribute_tier_is__cap_gold", "attribute_rating_is__cap_a_plus"} <= set(
        grown.names
    )


def test_what_vanishes_from_the_data_and_the_catalogue_stays() -> None:
    before = build_contract(SHIPPED, {"tier": texts("gold"), "age": AttributeValues.of(3)})
    assert build_contract(EMPTY_CATALOGUE, {}, before) == before


@pytest.mark.parametrize("odd", [AttributeValues.of(40, {"unknown": 1}), AttributeValues.of(3, {"unknown": 40})])
def test_an_attribute_that_was_a_number_when_applied_stays_one(odd: AttributeValues) -> None:
    before = build_contract(EMPTY_CATALOGUE, {"age": AttributeValues.of(40)})
    assert build_contract(EMPTY_CATALOGUE, {"age": odd}, before) == before


def test_an_attribute_that_was_text_when_applied_stays_text() -> None:
    before = build_contract(EMPTY_CATALOGUE, {"size": texts("s", "m")})
    assert build_contract(EMPTY_CATALOGUE, {"size": AttributeValues.of(99, {"s": 1})}, before) == before


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (AttributeValues.of(40, {"unknown": 1}), ["attribute_age"]),
        (AttributeValues.of(1, {"old": 40}), ["attribute_age_is_old"]),
    ],
)
def test_at_first_an_attribute_is_what_it_is_for_most_customers(values: AttributeValues, names: list[str]) -> None:
    assert called({"age": values}) == names


def test_a_contract_of_an_earlier_version_keeps_its_names() -> None:
    old = FeatureContract(
        (
            Feature("attribute_tier_is_gold", "profile", "texts['tier'] = 'Gold'", "as it was"),
            Feature("attribute_tier_is_gold_2", "profile", "texts['tier'] = 'gold'", "as it was"),
            Feature("attribute_lang_is__", "profile", "texts['lang'] = '東'", "as it was"),
        )
    )
    grown = build_contract(EMPTY_CATALOGUE, {"tier": texts("Gold", "gold"), "lang": texts("東", "京")}, old)
    assert old.changed_in(grown) == ()
    profile = [feature.name for feature in grown.of_view("profile")]
    assert profile == [*old.names, "attribute_lang_is__x4eac"]


def test_a_name_that_is_taken_by_another_meaning_is_not_taken_over() -> None:
    old = FeatureContract((Feature("attribute_tier_is_gold", "profile", "texts['tier'] = 'Gold'", "as it was"),))
    grown = build_contract(EMPTY_CATALOGUE, {"tier": texts("Gold", "gold")}, old)
    (_, other) = grown.of_view("profile")
    assert re.fullmatch(r"attribute_tier_is_gold__[0-9a-f]{12}", other.name)
    assert other.sql == "texts['tier'] = 'gold'"


def test_a_channel_and_a_group_of_one_name_have_features_of_their_own() -> None:
    catalogue = Catalogue("1", {"email": Channel("email")}, ("email",), {}, ())
    names = [n for n in build_contract(catalogue, {}).names if n.startswith("contacts_email_30d")]
    assert names[0] == "contacts_email_30d"
    assert len(set(names)) == 2


def test_what_was_removed_stays_away_and_keeps_its_name() -> None:
    whole = build_contract(EMPTY_CATALOGUE, {"tier": texts("gold", "silver")})
    gone = whole.by_name["attribute_tier_is_gold"]
    less = FeatureContract(tuple(f for f in whole.features if f != gone), (gone,))
    assert build_contract(EMPTY_CATALOGUE, {"tier": texts("gold", "silver")}, less) == less
    assert FeatureContract.from_json(less.to_json()) == less


def test_a_feature_that_this_version_defines_otherwise_keeps_its_meaning_and_is_named() -> None:
    now = build_contract(EMPTY_CATALOGUE, {})
    assert redefined(now) == ()
    other = Feature("purchases_30d", "purchases", "count(*) FILTER (WHERE kind = 'order')", "purchases")
    old = FeatureContract(tuple(other if f.name == other.name else f for f in now.features))
    assert build_contract(EMPTY_CATALOGUE, {}, old) == old
    assert [feature.sql for feature in redefined(old)] == [now.by_name["purchases_30d"].sql]
    assert now.changed_in(old) == ("purchases_30d",)


def test_names_are_safe_for_sql_and_cel_and_never_meet() -> None:
    channels = {name: Channel(name) for name in ("e-mail", "e_mail", "E.Mail")}
    catalogue = Catalogue("1", channels, ("e_mail",), {}, ())
    attributes = {"größe; drop": AttributeValues.of(1), "a b": AttributeValues.of(1), "A'b": texts("", "'", "y" * 500)}
    names = build_contract(catalogue, attributes).names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name) for name in names)
    assert len(set(names)) == len(names)


def test_no_name_ends_in_the_letters_that_feast_drops() -> None:
    names = called({"member": texts("n", "y"), "key_y": AttributeValues.of(1), "Y": AttributeValues.of(1)})
    assert len(names) == 4
    assert not any(name.endswith("_y") for name in names)


def test_of_very_many_attributes_those_known_of_most_customers_become_features() -> None:
    attributes = {f"a{n:03d}": AttributeValues.of(n + 1) for n in range(MAX_ATTRIBUTES + 50)}
    assert called(attributes) == [f"attribute_a{n:03d}" for n in range(50, MAX_ATTRIBUTES + 50)]


def test_of_very_many_attributes_those_applied_before_stay() -> None:
    before = build_contract(EMPTY_CATALOGUE, {f"a{n:03d}": AttributeValues.of(1) for n in range(MAX_ATTRIBUTES)})
    later = {f"b{n:03d}": AttributeValues.of(99) for n in range(MAX_ATTRIBUTES)}
    assert build_contract(EMPTY_CATALOGUE, {"a000": AttributeValues.of(1), **later}, before).names[
        : len(before.names)
    ] == (before.names)
