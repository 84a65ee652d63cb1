"""The one SQL: right by hand, blind to the future, and the same bits whichever way it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import facts
from features.aggregates import History, open_history
from features.attributes import AttributeValues
from features.catalogue import load_catalogue
from features.clock import DAY, HOUR
from features.contract import build_contract
from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Item, Outcome, Versions
from features.ledger import Ledger

CATALOGUE = load_catalogue(Path(__file__).resolve().parents[3] / "data" / "catalogue")
CONTRACT = build_contract(
    CATALOGUE, {"age": AttributeValues.of(1), "plan": AttributeValues.of(0, {"gold": 1, "o'k": 1})}
)
NOW = 20_000 * DAY
Rows = Sequence[Mapping[str, Any]]


def history(customers: Rows = (), events: Rows = (), items: Rows = (), outcomes: Rows = ()) -> History:
    given_rows = {"customers": customers, "events": events, "decision_items": items, "outcomes": outcomes}
    return History({t: pa.Table.from_pylist(list(rows), facts.schema_of(t)) for t, rows in given_rows.items()})


def customer(name: str = "c", created_at: int | None = None, consents: str = "{}", attributes: str = "{}") -> Any:
    return {"customer_id": name, "created_at": created_at, "consents": consents, "attributes": attributes}


def event(kind: str, ago: float, value: float | None = None, name: str = "c") -> Any:
    return {"customer_id": name, "type": kind, "occurred_at": NOW - round(ago * DAY), "value": value}


def item(decision_id: str, ago: float, action: str = "upgrade_premium", channel: str = "email", **other: Any) -> Any:
    return {
        "decision_id": decision_id,
        "rank": 1,
        "customer_id": "c",
        "decided_at": NOW - round(ago * DAY),
        "action": action,
        "channel": channel,
        "action_group": "growth",
        "reward_state": "imported",
        **other,
    }


def outcome(decision_id: str, kind: str, ago: float, recorded_ago: float = -1.0) -> Any:
    return {
        "decision_id": decision_id,
        "rank": 1,
        "customer_id": "c",
        "kind": kind,
        "occurred_at": NOW - round(ago * DAY),
        "recorded_at": NOW - round(recorded_ago * DAY),
    }


def features(facts_at_hand: History, as_of: int = NOW) -> dict[str, float | None]:
    with facts_at_hand as known:
        row: dict[str, float | None] = known.latest(CONTRACT, as_of, ["c"]).to_pylist()[0]
        return row


def check(found: Mapping[str, float | None], **wanted: float | None) -> None:
    assert {name: found[name] for name in wanted} == wanted


def test_a_customer_without_facts_has_counts_of_zero_and_the_rest_unknown() -> None:
    found = features(history())
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {
        *(name for name in CONTRACT.names if name.startswith(("days_since", "consent_", "attribute_"))),
        "tenure_days",
        "average_order_value",
        "largest_order_value",
        "last_satisfaction_score",
        "average_satisfaction_180d",
    }
    assert all(found[name] == 0.0 for name in CONTRACT.names if name not in unknown)


def test_activity_counts_what_happened_within_its_windows() -> None:
    found = features(
        history(
            [customer(created_at=NOW - 50 * DAY)],
            [
                event("session", 1 / 4),
                event("session", 7),
                event("session", 7 + 1 / DAY),
                event("product_view", 0.5),
                event("cart", 20),
                event("login", 30),
                event("login", 31),
                event("mystery", 0.1),
            ],
        )
    )
    check(found, days_since_last_activity=0.25, tenure_days=50.0, events_7d=3.0, sessions_7d=2.0, sessions_30d=3.0)
    check(found, product_views_30d=1.0, carts_30d=1.0, logins_30d=1.0, activity_trend=4.0 - 1.0)
    # The spans of 24 hours before now with an activity: the 1st, 7th, 8th, 20th and 30th.
    check(found, active_days_30d=5.0)


def test_purchases_count_and_add_up_exactly() -> None:
    prices = [0.1, 0.2, 0.3]
    found = features(
        history(
            [customer()],
            [
                *(event("purchase", 2 + place, price) for place, price in enumerate(prices)),
                event("purchase", 40, 10.0),
                event("purchase", 100, 99.5),
                event("purchase", 400, None),
            ],
        )
    )
    check(found, days_since_last_purchase=2.0, purchases_30d=3.0, purchases_90d=4.0, purchases_total=6.0)
    # 0.1 + 0.2 + 0.3 is 0.6000000000000001 in floats, in whichever order.
    check(found, spend_30d=0.6, spend_90d=10.6, spend_total=110.1, largest_order_value=99.5, spend_trend=-9.4)
    check(found, average_order_value=110.1 / 5)


def test_amounts_that_no_sum_could_hold_are_missing_or_limited() -> None:
    rows = [event("purchase", 1, value) for value in (float("inf"), float("nan"), 1e300, -2e300, 5.0)]
    check(features(history([customer()], rows)), purchases_total=4.0, spend_total=5.0, largest_order_value=1e12)


@pytest.mark.parametrize(("kind", "sign"), [("purchase", -1.0), ("refund", 1.0), ("refund", -1.0)])
def test_a_refund_is_no_purchase_and_no_activity_and_is_taken_off_what_was_spent(kind: str, sign: float) -> None:
    rows = [event("purchase", 40, 50.0), event("purchase", 10, 30.0), event(kind, 5, sign * 20.0)]
    found = features(history([customer()], rows))
    check(found, days_since_last_purchase=10.0, purchases_30d=1.0, purchases_90d=2.0, purchases_total=2.0)
    check(found, spend_30d=10.0, spend_90d=60.0, spend_total=60.0, spend_trend=10.0 - 50.0)
    check(found, average_order_value=40.0, largest_order_value=50.0)
    check(found, days_since_last_activity=10.0, events_7d=0.0)


def test_who_only_got_money_back_never_bought() -> None:
    found = features(history([customer()], [event("purchase", 5, -20.0), event("refund", 3, None)]))
    check(found, days_since_last_purchase=None, purchases_total=0.0, spend_total=-20.0, average_order_value=None)


def test_care_knows_the_last_score_and_the_mean() -> None:
    found = features(
        history(
            [customer()],
            [
                event("service_contact", 3),
                event("service_contact", 60),
                event("satisfaction", 200, 1.0),
                event("satisfaction", 100, 5.0),
                event("satisfaction", 9, 2.0),
                event("satisfaction", 9, 4.0),
                event("satisfaction", 1, None),
            ],
        )
    )
    check(found, service_contacts_30d=1.0, service_contacts_90d=2.0, days_since_last_service_contact=3.0)
    check(found, last_satisfaction_score=4.0, average_satisfaction_180d=11.0 / 3.0)


def test_contacts_and_responses_are_counted_for_all_by_channel_and_by_group() -> None:
    items = [
        item("a", 5),
        item("b", 20, action="stay_discount", channel="sms", action_group="retention"),
        item("c", 60),
        item("d", 2, action=DO_NOTHING.action, channel=DO_NOTHING.channel),
    ]
    outcomes = [
        outcome("a", "seen", 4.5),
        outcome("a", "accepted", 4),
        outcome("a", "converted", 3),
        outcome("b", "opted_out", 19),
        outcome("c", "converted", 59),
    ]
    found = features(history([customer()], (), items, outcomes))
    check(found, contacts_7d=1.0, contacts_30d=2.0, days_since_last_contact=5.0)
    # Accepted and then converted is one success, counted once.
    check(found, accepts_30d=1.0, accepts_90d=2.0, rejects_30d=1.0)
    check(found, contacts_email_30d=1.0, accepts_email_90d=2.0, contacts_sms_30d=1.0, accepts_sms_90d=0.0)
    check(found, contacts_growth_30d=1.0, accepts_growth_90d=2.0, contacts_retention_30d=1.0, accepts_retention_90d=0.0)


def test_the_profile_tells_unknown_from_no() -> None:
    consents = '{"email": "granted", "sms": "denied", "push": "whatever"}'
    found = features(history([customer(consents=consents, attributes='{"age": 41, "plan": "o\'k", "x": null}')]))
    check(found, consent_email=1.0, consent_sms=0.0, consent_push=None, consent_web=None)
    check(found, attribute_age=41.0, attribute_plan_is_gold=0.0, attribute_plan_is__o_quote_k=1.0)
    check(
        features(history([customer()])),
        attribute_plan_is_gold=None,
        attribute_plan_is__o_quote_k=None,
        attribute_age=None,
    )


def test_a_number_that_no_column_can_hold_is_missing_for_that_customer_alone() -> None:
    rows = [
        customer("a", attributes='{"age": 1' + "0" * 400 + ', "a\\u0000b": 1}'),
        customer("b", attributes='{"age": 7}'),
    ]
    with history(rows) as known:
        assert known.attributes() == {"age": AttributeValues.of(1)}


def test_attributes_are_found_with_their_kind_and_coverage() -> None:
    rows = [
        customer("a", attributes='{"age": 1, "vip": true, "plan": "gold", "mixed": 1, "none": null}'),
        customer("b", attributes='{"age": 2.5, "plan": "free", "mixed": "one"}'),
    ]
    with history(rows) as known:
        assert known.attributes() == {
            "age": AttributeValues.of(2),
            "mixed": AttributeValues.of(1, {"one": 1}),
            "plan": AttributeValues.of(0, {"free": 1, "gold": 1}),
            "vip": AttributeValues.of(1),
        }


def test_a_fact_at_the_very_moment_is_not_known_yet() -> None:
    found = features(history([customer(created_at=NOW)], [event("session", 0)]))
    check(found, sessions_7d=0.0, days_since_last_activity=None, tenure_days=None)


def test_tenure_starts_at_the_first_fact_when_that_was_earlier() -> None:
    check(features(history([customer(created_at=NOW - DAY)], [event("other", 9)])), tenure_days=9.0)


def test_an_outcome_of_a_live_decision_counts_from_when_it_was_recorded_and_ages_from_when_it_happened() -> None:
    def at(as_of: int, state: str) -> dict[str, float | None]:
        decided, heard = item("a", 200, reward_state=state), outcome("a", "accepted", 91, recorded_ago=80)
        return features(history([customer()], (), [decided], [heard]), as_of)

    check(at(NOW - 85 * DAY, "final"), accepts_30d=0.0, accepts_90d=0.0)
    check(at(NOW - 79 * DAY, "final"), accepts_30d=1.0, accepts_90d=1.0)
    check(at(NOW, "final"), accepts_90d=0.0)
    # An import records the past all at once; what it tells is taken as known when it happened.
    check(at(NOW - 85 * DAY, "imported"), accepts_30d=1.0)


def test_of_two_successes_of_one_contact_the_one_known_first_counts_at_every_moment() -> None:
    heard = [outcome("a", "accepted", 70, recorded_ago=10), outcome("a", "converted", 20, recorded_ago=20)]
    for ago, accepted in ((15, 1.0), (5, 1.0), (25, 0.0)):
        known = history([customer()], (), [item("a", 80, reward_state="final")], heard)
        check(features(known, NOW - ago * DAY), accepts_30d=accepted, accepts_90d=accepted)


def test_a_moment_comes_back_in_its_place_as_often_as_it_was_asked_for() -> None:
    asked = pa.table({"customer_id": ["b", "a", "b", "nobody"], "as_of": [NOW, NOW - DAY, NOW, NOW]})
    with history([customer("a"), customer("b")], [event("session", 2, name="a"), event("cart", 2, name="b")]) as known:
        found = known.as_of(CONTRACT, asked)
        assert found.select(["customer_id", "as_of"]).equals(asked)
        assert found.column("carts_30d").to_pylist() == [1.0, 0.0, 1.0, 0.0]
        assert found.column("sessions_7d").to_pylist() == [0.0, 1.0, 0.0, 0.0]
        assert set(found.schema.types[2:]) == {pa.float64()}
        assert known.as_of(CONTRACT, asked.slice(0, 0)).schema == found.schema


def test_the_span_is_that_of_the_events() -> None:
    with history([customer()], [event("session", 2), event("cart", 5)]) as known:
        assert known.span() == (NOW - 5 * DAY, NOW - 2 * DAY)
    with history([customer()]) as known:
        assert known.span() is None


# -- properties ------------------------------------------------------------------------------------------------------

# Coarse, so that facts meet each other, the moment itself and the ends of the windows.
TIMES = st.integers(-12, 3).map(lambda fives: NOW + fives * 5 * DAY)
NAMES = st.sampled_from(["a", "b"])
EVENTS = st.builds(
    lambda name, kind, at, value: {"customer_id": name, "type": kind, "occurred_at": at, "value": value},
    NAMES,
    st.sampled_from(["session", "purchase", "satisfaction", "service_contact", "cart", "login", "other"]),
    TIMES,
    st.none() | st.floats(-1e4, 1e4),
)
ITEMS = st.builds(
    lambda name, number, at, channel, state: item(
        f"{name}{number}", 0, channel=channel, customer_id=name, decided_at=at, reward_state=state
    ),
    NAMES,
    st.integers(0, 1),
    TIMES,
    st.sampled_from(["email", "sms"]),
    st.sampled_from(["imported", "open"]),
)
OUTCOMES = st.builds(
    lambda name, number, kind, at, late: {
        "decision_id": f"{name}{number}",
        "rank": 1,
        "customer_id": name,
        "kind": kind,
        "occurred_at": at,
        "recorded_at": at + late,
    },
    NAMES,
    st.integers(0, 1),
    st.sampled_from(["accepted", "converted", "rejected", "seen"]),
    TIMES,
    st.sampled_from([0, 5 * DAY, 30 * DAY]),
)
WORLDS = st.tuples(
    st.lists(EVENTS, max_size=25),
    st.lists(ITEMS, max_size=8, unique_by=lambda row: row["decision_id"]),
    st.lists(OUTCOMES, max_size=10),
)
CUSTOMERS = (customer("a", NOW - 9 * DAY), customer("b"))
MOMENTS = st.lists(st.tuples(NAMES, TIMES), min_size=1, max_size=3)
PROPERTY = settings(max_examples=12, deadline=None, derandomize=True, database=None)


def asked_for(moments: Sequence[tuple[str, int]]) -> pa.Table:
    names, times = [name for name, _ in moments], [at for _, at in moments]
    return pa.table({"customer_id": pa.array(names, pa.string()), "as_of": pa.array(times, pa.int64())})


@PROPERTY
@given(WORLDS, WORLDS)
def test_facts_at_or_after_the_moment_change_nothing(world: Any, more: Any) -> None:
    moments = asked_for([("a", NOW), ("b", NOW)])
    decided = {row["decision_id"]: row["reward_state"] for row in more[1]} | {
        row["decision_id"]: row["reward_state"] for row in world[1]
    }
    events = [row for row in more[0] if row["occurred_at"] >= NOW]
    known = {row["decision_id"] for row in world[1]}
    items = [row for row in more[1] if row["decided_at"] >= NOW and row["decision_id"] not in known]
    # Nothing is heard of a decision before it is made, and of a live one nothing is known before it is recorded.
    heard = [row for row in world[2] if row["decision_id"] in known]
    outcomes = [
        row
        for row in more[2]
        if row["occurred_at"] >= NOW
        or (row["recorded_at"] >= NOW and row["decision_id"] in known and decided[row["decision_id"]] != "imported")
    ]
    with history(CUSTOMERS, world[0], world[1], heard) as before:
        wanted = before.as_of(CONTRACT, moments)
    with history(CUSTOMERS, world[0] + events, world[1] + items, heard + outcomes) as after:
        assert after.as_of(CONTRACT, moments).equals(wanted)


@PROPERTY
@given(WORLDS, MOMENTS, st.randoms(use_true_random=False))
def test_neither_order_nor_company_nor_batch_changes_a_bit(world: Any, moments: Any, random: Any) -> None:
    with history(CUSTOMERS, *world) as known:
        wanted = known.as_of(CONTRACT, asked_for(moments)).to_pylist()
    shuffled = [random.sample(rows, len(rows)) for rows in world]
    places = random.sample(range(len(moments)), len(moments))
    with history(CUSTOMERS, *shuffled) as known:
        turned = known.as_of(CONTRACT, asked_for([moments[place] for place in places])).to_pylist()
        assert turned == [wanted[place] for place in places]
        for moment, row in zip(moments, wanted, strict=True):
            assert known.latest(CONTRACT, moment[1], [moment[0]]).to_pylist() == [row]


def test_a_batch_of_moments_ends_anywhere() -> None:
    moments = asked_for([("a", NOW - hours * HOUR) for hours in range(25)])
    with history(CUSTOMERS, [event("purchase", hours / 24, 0.1, "a") for hours in range(25)]) as known:
        whole = known.as_of(CONTRACT, moments)
        assert known.as_of(CONTRACT, moments, batch=7).equals(whole)


# -- out of a ledger -------------------------------------------------------------------------------------------------


def test_a_part_of_a_ledger_gives_what_the_whole_gives_whatever_the_ids_look_like(ledger: Ledger) -> None:
    names = ["plain", "o'neill", 'quo"te', "back\\slash", "größe", "; DROP TABLE events; --"]
    ledger.put_customers([Customer(name, NOW - 9 * DAY, None, {"email": "granted"}, {"age": 3}) for name in names])
    for place, name in enumerate(names):
        ledger.append_events([Event(f"e{place}", name, "purchase", NOW - DAY - place, value=0.1 + place)])
    arm = Arm("upgrade_premium", "email")
    answered = Item(1, arm, "growth", 0.5, None, None, 1.0, 0.1, 0.1, None, NOW, NOW)
    made = Decision("d", "r", names[1], NOW - DAY, (answered,), "action", None, None, Versions(None, "p", "c"))
    ledger.import_decisions([made])
    ledger.append_outcomes([Outcome("o", "d", names[1], arm.action, "accepted", NOW - HOUR)], NOW)
    with open_history(ledger.url) as whole, open_history(ledger.url, names[1:3]) as part:
        assert whole.customers() == sorted(names)
        assert part.customers() == sorted(names[1:3])
        wanted = whole.latest(CONTRACT, NOW, names[1:3])
        assert part.latest(CONTRACT, NOW, names[1:3]).equals(wanted)
        assert wanted.column("accepts_growth_90d").to_pylist() == [1.0, 0.0]
        assert whole.query("SELECT count(*) AS n FROM events").column("n").to_pylist() == [len(names)]
        assert whole.query("SELECT p_model FROM decision_items").to_pylist() == [{"p_model": None}]


def test_an_empty_ledger_has_an_empty_history(ledger: Ledger) -> None:
    with open_history(ledger.url) as nothing:
        assert nothing.customers() == []
        assert nothing.attributes() == {}
        assert nothing.latest(CONTRACT, NOW).num_rows == 0
