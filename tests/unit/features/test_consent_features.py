"""The features of consent and the consent that decisions look at read the same texts by one parser."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from features.facts import profile_batches


def consent_features(consents: dict[str, str]) -> dict[str, float]:
    row = {"customer_id": ["c"], "consents": [msgspec.json.encode(consents).decode()], "attributes": ["{}"]}
    return dict(next(profile_batches(pa.table(row))).column("consents")[0].as_py())


@pytest.mark.parametrize(
    ("consents", "features"),
    [
        ({"email": "granted", "sms": "denied"}, {"email": 1.0, "sms": 0.0}),
        ({"email": "revoked", "sms": "expired", "push": "unknown"}, {"email": 0.0, "sms": 0.0}),
        ({"email": "granted@2026-12-31"}, {"email": 1.0}),
        ({"email": "granted", "marketing/email": "denied"}, {"email": 0.0}),
        ({"email": "denied", "marketing/email": "granted"}, {"email": 1.0}),
        ({"service/email": "granted"}, {}),
        ({"email": "granted", "marketing/*": "revoked"}, {"email": 0.0}),
        ({"email": "nonsense"}, {}),  # permits nothing, but nobody said no
        ({}, {}),
    ],
)
def test_a_consent_feature_is_what_was_said_about_marketing(
    consents: dict[str, str], features: dict[str, float]
) -> None:
    assert consent_features(consents) == features
