"""What holds of a customer, given what was said of them, by whom and when."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.domain import Customer, Scalar
from features.statements import Statement, described, opt_out, statement_of, taken_in, without_source


def undated(source: str, at: int, **fields: Scalar) -> Statement:
    return Statement(source, at, False, _named(fields))


def dated(at: int, source: str = "crm", **fields: Scalar) -> Statement:
    return Statement(source, at, True, _named(fields))


def _named(fields: dict[str, Scalar]) -> dict[str, Scalar]:
    consents = ("email", "push", "service_email")
    return {
        f"consents.{name.replace('_', '/')}"
        if name in consents
        else name
        if name == "zone"
        else f"attributes.{name}": v
        for name, v in fields.items()
    }


def after(*statements: Statement) -> Customer:
    known: tuple[Statement, ...] = ()
    for one in statements:
        known = tuple(taken_in(known, one))
    return described("c", known)


def test_silence_is_no_statement() -> None:
    told = after(undated("people", 1, zone="UTC", email="denied", tier="gold"), undated("scores", 2, score=7.0))
    assert told == Customer("c", None, "UTC", {"email": "denied"}, {"tier": "gold", "score": 7.0})


def test_of_dated_statements_the_latest_holds_in_whatever_order_they_come() -> None:
    said = [dated(1, tier="gold"), dated(3, "shop", tier="silver"), dated(2, tier="bronze")]
    assert {after(*order).attributes["tier"] for order in itertools.permutations(said)} == {"silver"}


def test_an_undated_statement_counts_as_said_when_it_was_first_heard() -> None:
    assert after(dated(5, tier="gold"), undated("shop", 4, tier="silver")).attributes == {"tier": "gold"}
    assert after(dated(5, tier="gold"), undated("shop", 6, tier="silver")).attributes == {"tier": "silver"}


def test_a_source_repeating_itself_says_nothing_new() -> None:
    first, other = undated("old", 1, tier="gold"), undated("new", 2, tier="silver")
    known = taken_in(taken_in((), first), other)
    assert taken_in(known, undated("old", 3, tier="gold")) is known
    assert described("c", taken_in(known, undated("old", 3, tier="bronze"))).attributes == {"tier": "bronze"}


@pytest.mark.parametrize(
    ("grant", "consent"),
    [
        (undated("crm", 9, email="granted"), "denied"),
        (undated("shop", 9, email="granted"), "granted"),  # the very source that refused has changed its mind
        (dated(5, email="granted"), "denied"),
        (dated(6, email="granted"), "granted"),
    ],
    ids=["another source", "the source that refused", "dated at the refusal", "dated later"],
)
def test_a_refusal_is_undone_by_its_own_source_or_a_later_dated_grant(grant: Statement, consent: str) -> None:
    assert after(undated("shop", 5, email="denied"), grant).consents == {"email": consent}


@pytest.mark.parametrize("state", ["unknown", "expired"])
def test_not_to_know_undoes_no_refusal_but_takes_back_a_grant(state: str) -> None:
    assert after(undated("shop", 1, email="denied"), undated("shop", 2, email=state)).consents == {"email": "denied"}
    assert after(dated(1, email="denied"), dated(2, email=state)).consents == {"email": "denied"}
    assert after(dated(1, email="granted"), dated(2, email=state)).consents == {"email": state}
    assert after(dated(1, email="denied"), dated(3, email=state), dated(2, email="granted")).consents == {
        "email": state
    }


def test_a_grant_until_a_day_is_kept_with_the_day() -> None:
    assert after(dated(1, email="revoked"), dated(2, email="granted@2026-12-31")).consents == {
        "email": "granted@2026-12-31"
    }


def test_an_opt_out_speaks_for_every_purpose_on_its_channel() -> None:
    told = after(undated("crm", 1, email="granted", service_email="granted", push="granted"), opt_out("email", 5))
    assert told.consents == {"email": "denied", "service/email": "denied", "push": "granted"}


def test_an_opt_out_of_all_speaks_for_channels_nobody_has_spoken_of() -> None:
    told = after(opt_out("*", 5), undated("crm", 6, push="granted"))
    assert told.consents == {"*": "denied", "push": "denied"}
    back = after(opt_out("*", 5), undated("crm", 6, push="granted"), dated(7, email="granted"))
    assert back.consents == {"*": "denied", "push": "denied", "email": "granted"}


def test_a_later_grant_of_the_channel_ends_the_opt_out_for_its_purposes_too() -> None:
    told = after(undated("crm", 1, service_email="granted"), opt_out("email", 5), dated(6, email="granted"))
    assert told.consents == {"service/email": "granted", "email": "granted"}


def test_a_refusal_of_a_purpose_is_not_undone_by_a_grant_of_the_channel() -> None:
    assert after(dated(1, service_email="denied"), dated(2, email="granted")).consents == {
        "service/email": "denied",
        "email": "granted",
    }


def test_what_is_known_without_a_source_gives_way_but_for_refusals_before_the_upgrade() -> None:
    old = without_source(Customer("c", 3, "UTC", {"email": "denied", "push": "granted"}, {"tier": "gold"}), 50)
    assert described("c", old) == Customer("c", 3, "UTC", {"email": "denied", "push": "granted"}, {"tier": "gold"})
    for one in (dated(40, email="granted", tier="silver", push="denied"),):
        told = described("c", taken_in(old, one))
        assert told == Customer("c", 3, "UTC", {"email": "denied", "push": "denied"}, {"tier": "silver"})


def test_statements_outlived_are_dropped_so_that_what_is_kept_does_not_grow() -> None:
    known: tuple[Statement, ...] = ()
    for at in range(1, 200):
        known = tuple(taken_in(known, undated("nightly", at, visits=at, tier="gold")))
        known = tuple(taken_in(known, dated(at, "crm", score=at)))
    assert len(known) == 3
    assert described("c", known).attributes == {"tier": "gold", "visits": 199, "score": 199}


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text("ab", max_size=2))
SOURCES = st.sampled_from(["crm", "shop", ""])
STATES = st.sampled_from(["granted", "denied", "revoked", "unknown", "expired", "granted@2026-12-31"])
FIELDS = st.dictionaries(st.sampled_from(["tier", "score"]), VALUES, max_size=2).flatmap(
    lambda attributes: st.fixed_dictionaries({}, optional={"email": STATES, "service_email": STATES}).map(
        lambda consents: attributes | consents
    )
)
ANY = st.builds(
    lambda source, at, is_dated, fields: Statement(source, at, is_dated, _named(fields)),
    SOURCES,
    st.integers(1, 4),
    st.booleans(),
    FIELDS,
)


@given(st.lists(ANY, max_size=6), ANY)
def test_said_once_more_nothing_changes(before: list[Statement], new: Statement) -> None:
    known: tuple[Statement, ...] = ()
    for one in before:
        known = tuple(taken_in(known, one))
    once = taken_in(known, new)
    assert taken_in(once, new) is once


@given(st.lists(ANY.filter(lambda one: one.dated), max_size=7), st.randoms(use_true_random=False))
def test_dated_statements_in_any_order_make_the_same_customer(said: list[Statement], draw: random.Random) -> None:
    assert after(*said) == after(*draw.sample(said, len(said)))


@given(st.lists(ANY, max_size=6), st.integers(5, 9), SOURCES)
def test_after_an_opt_out_no_undated_statement_permits_anything(before: list[Statement], at: int, source: str) -> None:
    told = after(*before, opt_out("email", 5), undated(source, at, email="granted", service_email="granted"))
    assert {told.consents["email"], told.consents["service/email"]} == {"denied"}


def test_a_customer_and_what_is_said_of_them_are_the_same() -> None:
    whole = Customer("c", 5, "UTC", {"email": "granted"}, {"a.b": 1, "n": None})
    assert described("c", [statement_of(whole, "crm", 1)]) == whole
