"""Where a home's customers live, which is what quiet hours assume of those whose zone is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.catalogue import Catalogue, Fault, QuietHours
from features.domain import Customer
from features.errors import SegueError
from features.ledger import existing_ledger
from serving.local_time import zone_named
from serving.quiet_hours import QuietClock

#: Zones named in a warning.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`zones` are those of the customers whose zone is known, in order of their names; and how many there are of each
    kind."""

    zones: tuple[str, ...] = ()
    known: int = 0
    unknown: int = 0

    @staticmethod
    def of(counts: Mapping[str | None, int]) -> Whereabouts:
        """From customers by zone; a name that is no zone's says nothing.

        >>> Whereabouts.of({"Europe/Berlin": 3, None: 2, "Berlin": 1})
        Whereabouts(zones=('Europe/Berlin',), known=3, unknown=3)
        """
        known = {zone: count for zone, count in counts.items() if zone and zone_named(zone) is not None}
        total = sum(known.values())
        return Whereabouts(tuple(sorted(known)), total, sum(counts.values()) - total)

    def assumed(self, customer: Customer | None, catalogue: Catalogue) -> tuple[str, ...] | None:
        """The zones a customer without one may live in; None where the question does not arise."""
        if not catalogue.quiet_hours or customer is None or zone_named(customer.zone) is not None:
            return None
        return self.zones


#: Nothing is known of anybody.
NOWHERE = Whereabouts()


def warnings(catalogue: Catalogue, where: Whereabouts, now: int) -> list[Fault]:
    """What is wrong with the quiet hours for customers whose zone is unknown, with how many they are."""
    if not where.unknown:
        return []
    found = [(rule, told) for rule in catalogue.quiet_hours for told in _told(rule, where, now)]
    return [_warning(catalogue, rule, where, told) for rule, told in found]


def warnings_of(url: str, catalogue: Catalogue, now: int) -> list[Fault]:
    """The same for the customers of the ledger at `url`; none where there is no ledger to be asked."""
    if not catalogue.quiet_hours:
        return []
    try:
        ledger = existing_ledger(url)
    except SegueError:
        return []
    try:
        return warnings(catalogue, Whereabouts.of(ledger.zones()), now)
    finally:
        ledger.close()


def _warning(catalogue: Catalogue, rule: QuietHours, where: Whereabouts, told: str) -> Fault:
    of = f"{where.unknown:,} of {where.known + where.unknown:,} customers have no known zone"
    return catalogue.fault("quiet_hours", rule.id, "zones", f"{of}: {told}")


def _told(rule: QuietHours, where: Whereabouts, now: int) -> Iterator[str]:
    never = QuietClock([rule], None, now, where.zones).ends(now) is None
    named = ", ".join(where.zones[:_NAMED]) + (", ..." if len(where.zones) > _NAMED else "")
    if rule.zones:
        if never:
            yield "at no time of the day all the zones it names are open, so they are never contacted; name fewer"
    elif not where.zones:
        yield (
            "it names none and nobody's is known, so it is always quiet for them somewhere, and they are never "
            'contacted; name where they may live, as in zones = ["Europe/Berlin"]'
        )
    elif never:
        yield (
            f"it names none, and of those of the others ({named}) one is always quiet, so they are never contacted; "
            "name where they may live with zones = [...]"
        )
    else:
        yield (
            f"it names none, so for them it is quiet when it is in any zone of the others ({named}); name where they "
            "may live with zones = [...]"
        )
