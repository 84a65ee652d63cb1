"""What an import says besides its counts: what it took that may not mean what it seems to."""

from __future__ import annotations

from collections.abc import Collection

from features.catalogue import Catalogue
from features.consent import EVERY_CHANNEL
from features.domain import DO_NOTHING
from features.importing.mapping import ImportMapping

_CONSENTS = "consents."


def remarks(mapping: ImportMapping, catalogue: Catalogue, decided_on: Collection[str]) -> tuple[str, ...]:
    """One sentence each. `decided_on` are the channels of the past decisions."""
    known = {*catalogue.channels, EVERY_CHANNEL, DO_NOTHING.channel}
    there = ", ".join(catalogue.channels) or "none"
    fields = dict.fromkeys(name for rule in mapping.rules_for("customer") for name in rule.fields)
    deaf = [key for key in fields if key.startswith(_CONSENTS) and _channel(key) not in known]
    said = [f"{key} has no effect: the catalogue has no channel of this name; it has {there}" for key in deaf]
    if strange := sorted(set(decided_on) - known):
        said.append(
            f"past decisions went by {', '.join(strange)}, which the catalogue does not have (it has {there}): "
            "limits of a channel do not count them"
        )
    silent = dict.fromkeys(rule.file for rule in mapping.rules_for("decision") if not rule.counts)
    said += [f"past contacts from {f} count for no contact limit, as the mapping says: counts = false" for f in silent]
    return tuple(said)


def _channel(key: str) -> str:
    return key.removeprefix(_CONSENTS).rpartition("/")[2]
