"""Consent by purpose and channel, and the suppression list that wins over everything."""

from __future__ import annotations

import pytest

from features.catalogue import Action, Channel
from features.clock import DAY, parse_time
from features.consent import consent
from features.domain import ActionClass, Customer, Stage
from serving.eligibility import suppressed, unconsented

NOW = parse_time("2026-03-01T12:00:00Z")


@pytest.mark.parametrize(
    ("consents", "state"),
    [
        ({}, "unknown"),
        ({"sms": "granted"}, "unknown"),
        ({"email": "granted"}, "granted"),
        ({"email": "denied"}, "denied"),
        ({"email": "revoked"}, "revoked"),
        ({"email": "granted@2026-03-02"}, "granted"),
        ({"email": "granted@2026-03-01T12:00:00Z"}, "expired"),
        ({"email": "granted@2026-03-01T13:00:00+01:00"}, "expired"),
        ({"email": "denied@2026-01-01"}, "denied"),  # a refusal does not turn into anything better by waiting
        ({"email": "granted", "marketing/email": "denied"}, "denied"),
        ({"email": "denied", "marketing/email": "granted"}, "granted"),
        ({"marketing/*": "granted"}, "granted"),
        ({"marketing/*": "denied", "email": "granted"}, "denied"),
        ({"marketing/*": "granted", "email": "revoked"}, "revoked"),
        ({"marketing/*": "granted", "email": "granted@2025-01-01"}, "expired"),
        ({"marketing/*": "denied", "marketing/email": "granted"}, "granted"),
        ({"service/email": "granted"}, "unknown"),
        ({"email": "yes"}, "invalid"),
        ({"email": "granted@soon"}, "invalid"),
        ({"email": "granted@"}, "invalid"),
    ],
)
def test_the_most_specific_word_counts_and_between_equals_the_stricter(consents: dict[str, str], state: str) -> None:
    assert consent(consents, "marketing", "email", NOW) == state


@pytest.mark.parametrize("state", ["granted", "unknown", "expired", "revoked", "denied", "invalid"])
@pytest.mark.parametrize("action_class", list(ActionClass))
def test_only_granted_opens_a_channel_and_unknown_stops_marketing_only(state: str, action_class: ActionClass) -> None:
    said = {"expired": "granted@2020-01-01", "invalid": "?"}.get(state, state)
    consents = {} if state == "unknown" else {"email": said}
    removal = unconsented(Action("a", "g", action_class), Channel("email"), consents, NOW, inbound=True)
    assert (removal is None) == (state == "granted" or (state == "unknown" and action_class != "marketing"))
    if removal is not None:
        assert (removal.stage, removal.rule, removal.seen) == (Stage.CONSENT, "consent.email", state)


def test_the_purpose_of_an_action_is_its_class_unless_it_says_otherwise() -> None:
    consents = {"research/email": "granted", "marketing/email": "denied"}
    survey = Action("survey", "g", purpose="research")
    assert unconsented(survey, Channel("email"), consents, NOW, inbound=True) is None
    assert unconsented(Action("offer", "g"), Channel("email"), consents, NOW, inbound=True) is not None


def test_a_channel_that_answers_visits_needs_no_consent() -> None:
    web, offer = Channel("web", outbound=False), Action("a", "g")
    for consents in ({}, {"web": "unknown"}, {"*": "denied"}, {"marketing/*": "denied"}, {"email": "denied"}):
        assert unconsented(offer, web, consents, NOW, inbound=True) is None


@pytest.mark.parametrize("state", ["denied", "revoked"])
def test_a_refusal_that_names_an_inbound_channel_holds_there(state: str) -> None:
    web, offer = Channel("web", outbound=False), Action("a", "g")
    for key in ("web", "marketing/web"):
        removal = unconsented(offer, web, {key: state}, NOW, inbound=True)
        assert removal is not None
        assert (removal.rule, removal.seen) == ("consent.web", state)
        assert unconsented(offer, web, {key: state}, NOW, inbound=False) is None  # as decided by earlier editions
    assert unconsented(offer, web, {"service/web": state}, NOW, inbound=True) is None


def test_an_expiry_closes_at_its_very_moment() -> None:
    end = NOW + DAY
    consents = {"email": "granted@2026-03-02T12:00:00Z"}
    assert [consent(consents, "marketing", "email", at) for at in (end - 1, end)] == ["granted", "expired"]


def test_a_suppressed_customer_is_told_with_the_reason() -> None:
    removal = suppressed(Customer("anna", suppressed="court order"))
    assert removal is not None
    assert (removal.stage, removal.rule, removal.seen) == (Stage.CONSENT, "suppression", "court order")
    assert suppressed(Customer("anna")) is None
