"""A customer's features as far as they may be used now, and what is wrong with them otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.clock import DAY
from features.errors import StoreUnavailable
from features.online import FeatureRow
from serving.breaker import GuardedStore


def features_of(
    store: GuardedStore | None, customer_id: str, now: int, max_age_days: float
) -> tuple[Mapping[str, float | None], int | None, str | None]:
    """(features by name, their time, what is wrong with them).

    One step down are the features last seen of this customer; below that there are none, and models and rules see
    unknowns.
    """
    if store is None:
        return {}, None, "features_unavailable"
    try:
        reading = store.read(customer_id)
    except StoreUnavailable:
        return {}, None, "features_unavailable"
    features, fallback = usable_features(reading.row, store.contract.names, now, max_age_days)
    feature_time = None if reading.row is None or fallback else reading.row.as_of
    return features, feature_time, fallback or ("features_stale" if reading.stale else None)


def usable_features(
    row: FeatureRow | None, names: Sequence[str], now: int, max_age_days: float
) -> tuple[Mapping[str, float | None], str | None]:
    """(features by name, what is wrong with them). Values too old to trust, or of a moment to come, are unknown."""
    if row is None:
        return {}, "features_missing"
    if row.is_of_the_future(now):
        return {}, "features_from_the_future"
    if now - row.as_of > max_age_days * DAY:
        return {}, "features_too_old"
    return dict(zip(names, row.values, strict=True)), None
