"""The contract: which features there are, in which views and order, and the one SQL expression that computes each.

A feature's SQL is an expression over columns that `features.aggregates` provides:

- over `history`, the facts of one customer known before one moment, as an aggregate (every view but `profile`):
  `kind` (an event type, or contact, accept, reject), `age` (microseconds from the fact to the moment, above 0),
  `happened_at`, `as_of`, `created_at`, `units` (money or score in 1e-6), `channel`, `action_group`, `is_activity`;
- over the customer's row, plainly (the view `profile`): maps `consents`, `numbers`, `texts`.

Sums and counts are of integers and divided once, so no order of rows, batch or thread can change a bit of a result.
A window of n days before a moment holds the facts with 0 < age <= n days.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from features.attributes import AttributeValues, attribute_columns, quoted
from features.catalogue import Catalogue
from features.clock import DAY
from features.names import fitted, joined, tailed
from features.purchases import is_money, is_purchase, spent

#: The unit of `units`: money and scores are added up as whole millionths.
UNIT = 1_000_000
#: The view of facts about the customer that have no history in the ledger: they are as known now, at every moment.
PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Feature:
    """One number about a customer at a moment, float64 or NULL."""

    name: str
    view: str
    sql: str
    description: str

    @property
    def definition(self) -> str:
        """12 hex characters that name what it means: a name whose definition changed is another feature."""
        return hashlib.sha256(f"{self.view}|{self.sql}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class FeatureContract:
    """The features of one installation, in the order of every vector of their values.

    A contract only grows, and a name in it keeps its meaning. `removed` are features taken out on purpose: they do not
    come back by themselves, and their names stay theirs.
    """

    features: tuple[Feature, ...]
    removed: tuple[Feature, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        # Every decision asks.
        return tuple(feature.name for feature in self.features)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views, in order of first appearance."""
        return tuple(dict.fromkeys(feature.view for feature in self.features))

    def of_view(self, view: str) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.view == view)

    @property
    def fingerprint(self) -> str:
        """16 hex characters that name these features, their order, views and SQL."""
        text = json.dumps([(f.name, f.view, f.sql) for f in self.features])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def by_name(self) -> Mapping[str, Feature]:
        return {feature.name: feature for feature in self.features}

    def to_json(self) -> str:
        content: dict[str, object] = {
            "fingerprint": self.fingerprint,
            "features": [asdict(feature) for feature in self.features],
        }
        if self.removed:
            content["removed"] = [asdict(feature) for feature in self.removed]
        return json.dumps(content, indent=1)

    @staticmethod
    def from_json(text: str) -> FeatureContract:
        content = json.loads(text)
        features, removed = (tuple(Feature(**one) for one in content.get(key, ())) for key in ("features", "removed"))
        return FeatureContract(features, removed)

    def grown(self, found: Iterable[Feature]) -> FeatureContract:
        """With what was found besides. What means the same as one here, or as one removed, is that one; what would be
        called as another gets a name of its own."""
        known = {(feature.view, feature.sql) for feature in (*self.features, *self.removed)}
        taken = {feature.name for feature in (*self.features, *self.removed)}
        new = []
        for feature in found:
            if (feature.view, feature.sql) not in known:
                name = feature.name if feature.name not in taken else tailed(feature.name, feature.sql)
                new.append(replace(feature, name=name))
                known.add((feature.view, feature.sql))
                taken.add(name)
        return FeatureContract((*self.features, *new), self.removed)

    def changed_in(self, other: FeatureContract) -> tuple[str, ...]:
        """Names of both that mean something else there, as far as both have them."""
        both = self.by_name.keys() & other.by_name.keys()
        return tuple(sorted(n for n in both if self.by_name[n].definition != other.by_name[n].definition))


NO_FEATURES = FeatureContract(())


def read_contract(folder: Path) -> FeatureContract | None:
    """The contract that was applied last in a feature folder, None before the first."""
    file = folder / "contract.json"
    return FeatureContract.from_json(file.read_text()) if file.exists() else None


def build_contract(
    catalogue: Catalogue, attributes: Mapping[str, AttributeValues], before: FeatureContract = NO_FEATURES
) -> FeatureContract:
    """The contract of `before`, and the features of a catalogue's channels and groups and of the attributes found in
    the ledger.

    Equal arguments give equal contracts, whatever the order of `attributes`.
    """
    taken = {feature.name for feature in (*before.features, *before.removed)}
    applied = {feature.sql for feature in before.features if feature.view == PROFILE}
    columns = (Feature(fitted(c.name), PROFILE, c.sql, c.description) for c in attribute_columns(attributes, applied))
    shipped = (feature for feature in _shipped() if feature.name not in taken)
    return before.grown([*shipped, *_of_catalogue(catalogue), *columns])


def redefined(before: FeatureContract) -> tuple[Feature, ...]:
    """The features that this version defines otherwise than they were when first applied, as it defines them."""
    return tuple(
        feature
        for feature in _shipped()
        if feature.name in before.by_name and before.by_name[feature.name].definition != feature.definition
    )


def _shipped() -> list[Feature]:
    """The features that every installation has, whatever its catalogue and customers."""
    return [*_activity(), *_purchases(), *_care(), *_contacts()]


def _of_catalogue(catalogue: Catalogue) -> Iterator[Feature]:
    for channel in catalogue.channels:
        yield from _responses("channel", channel)
    for group in catalogue.groups:
        yield from _responses("action_group", group)
    for channel in catalogue.channels:
        sql, meaning = f"consents[{quoted(channel)}]", f"1 when contact by {channel} is granted, 0 denied"
        yield Feature(fitted(joined("consent", channel)), PROFILE, sql, meaning)


# -- the families ----------------------------------------------------------------------------------------------------


def _of(view: str, *features: tuple[str, str, str]) -> list[Feature]:
    return [Feature(name, view, sql, description) for name, sql, description in features]


def _activity() -> list[Feature]:
    last_days = f"bit_count(bit_or(1::BIGINT << least((age - 1) // {DAY}, 62)) FILTER (WHERE is_activity AND age <= "
    # A customer may be known before the first fact, or facts imported from before the customer was known.
    since = "least(any_value(created_at) FILTER (WHERE created_at < as_of), min(happened_at))"
    return _of(
        "activity",
        ("days_since_last_activity", _since("is_activity"), "days since the last activity"),
        ("tenure_days", _days(f"any_value(as_of) - {since}"), "days since the customer became known"),
        ("events_7d", _count("is_activity", 7), "activities in 7 days"),
        ("sessions_7d", _count("kind = 'session'", 7), "sessions in 7 days"),
        ("sessions_30d", _count("kind = 'session'", 30), "sessions in 30 days"),
        ("product_views_30d", _count("kind = 'product_view'", 30), "products viewed in 30 days"),
        ("carts_30d", _count("kind = 'cart'", 30), "times something was put in a cart in 30 days"),
        ("logins_30d", _count("kind = 'login'", 30), "logins in 30 days"),
        (
            "active_days_30d",
            f"coalesce({last_days}{30 * DAY})), 0)",
            "of the last 30 spans of 24 hours, those with an activity",
        ),
        (
            "activity_trend",
            f"{_count('is_activity', 14)} - {_count('is_activity', 28, after=14)}",
            "activities in the last 14 days minus those in the 14 before",
        ),
    )


def _purchases() -> list[Feature]:
    bought, paid, amount = is_purchase("kind", "units"), is_money("kind"), spent("kind", "units")
    return _of(
        "purchases",
        ("days_since_last_purchase", _since(bought), "days since the last purchase"),
        ("purchases_30d", _count(bought, 30), "purchases in 30 days"),
        ("purchases_90d", _count(bought, 90), "purchases in 90 days"),
        ("purchases_total", _count(bought), "purchases ever"),
        ("spend_30d", _money(_sum(paid, 30, of=amount)), "money spent in 30 days, less refunds"),
        ("spend_90d", _money(_sum(paid, 90, of=amount)), "money spent in 90 days, less refunds"),
        ("spend_total", _money(_sum(paid, of=amount)), "money spent ever, less refunds"),
        ("average_order_value", _mean(bought), "money of a purchase on average"),
        ("largest_order_value", _money(f"max(units) FILTER (WHERE {bought})"), "money of the largest purchase"),
        (
            "spend_trend",
            _money(f"{_sum(paid, 30, of=amount)} - {_sum(paid, 60, after=30, of=amount)}"),
            "money spent in the last 30 days minus that in the 30 before",
        ),
    )


def _care() -> list[Feature]:
    called, rated = "kind = 'service_contact'", "kind = 'satisfaction'"
    # Of two scores at the same microsecond the higher: some order must be fixed, and this one no import can change.
    last = f"(max({{'at': happened_at, 'units': units}}) FILTER (WHERE {rated} AND units IS NOT NULL)).units"
    return _of(
        "care",
        ("service_contacts_30d", _count(called, 30), "service contacts in 30 days"),
        ("service_contacts_90d", _count(called, 90), "service contacts in 90 days"),
        ("days_since_last_service_contact", _since(called), "days since the last service contact"),
        ("last_satisfaction_score", _money(last), "the last satisfaction score"),
        ("average_satisfaction_180d", _mean(_within(rated, 180)), "mean satisfaction score in 180 days"),
    )


def _contacts() -> list[Feature]:
    return _of(
        "contacts",
        ("contacts_7d", _count("kind = 'contact'", 7), "our contacts in 7 days"),
        ("contacts_30d", _count("kind = 'contact'", 30), "our contacts in 30 days"),
        ("days_since_last_contact", _since("kind = 'contact'"), "days since our last contact"),
        ("accepts_30d", _count("kind = 'accept'", 30), "contacts accepted in 30 days"),
        ("accepts_90d", _count("kind = 'accept'", 90), "contacts accepted in 90 days"),
        ("rejects_30d", _count("kind = 'reject'", 30), "contacts rejected in 30 days"),
    )


def _responses(column: str, value: str) -> Iterator[Feature]:
    same = f"{column} = {quoted(value)}"
    contacts, accepts = _count(f"kind = 'contact' AND {same}", 30), _count(f"kind = 'accept' AND {same}", 90)
    names = (fitted(f"{joined(kind, value)}_{days}") for kind, days in (("contacts", "30d"), ("accepts", "90d")))
    yield Feature(next(names), "contacts", contacts, f"our contacts of {column} {value} in 30 days")
    yield Feature(next(names), "contacts", accepts, f"contacts of {column} {value} accepted in 90 days")


# -- the SQL ---------------------------------------------------------------------------------------------------------


def _within(condition: str, days: int | None, after: int = 0) -> str:
    newest = f" AND age > {after * DAY}" if after else ""
    return f"{condition} AND age <= {days * DAY}{newest}" if days else condition


def _count(condition: str, days: int | None = None, after: int = 0) -> str:
    return f"count(*) FILTER (WHERE {_within(condition, days, after)})"


def _sum(condition: str, days: int | None = None, after: int = 0, of: str = "units") -> str:
    return f"coalesce(sum({of}) FILTER (WHERE {_within(condition, days, after)}), 0)"


def _mean(condition: str) -> str:
    known = f"FILTER (WHERE {condition})"
    return f"CAST(sum(units) {known} AS DOUBLE) / (CAST(count(units) {known} AS DOUBLE) * {UNIT}e0)"


def _money(units: str) -> str:
    return f"CAST({units} AS DOUBLE) / {UNIT}e0"


def _days(microseconds: str) -> str:
    return f"CAST({microseconds} AS DOUBLE) / {DAY}e0"


def _since(condition: str) -> str:
    return _days(f"min(age) FILTER (WHERE {condition})")
