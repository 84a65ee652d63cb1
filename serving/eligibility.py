"""May this customer have this action at all? Availability, consent, then the catalogue's conditions in three kinds.

The kinds, in order: eligible (law and product), applicable (relevant now), suitable (right for this person).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from features.catalogue import Action, Catalogue, Channel
from features.clock import format_time
from features.consent import consent
from features.domain import ActionClass, Arm, Customer, Removal, Stage
from serving.expressions import ActionExpressions, Expression, Scope


def unavailable(action: Action, now: int, placement: str | None) -> Removal | None:
    """An action outside its dates, or not made for the placement asked for."""
    if action.starts_at is not None and now < action.starts_at:
        return Removal(Stage.CATALOGUE, "starts_at", format_time(now), format_time(action.starts_at))
    if action.ends_at is not None and now >= action.ends_at:
        return Removal(Stage.CATALOGUE, "ends_at", format_time(now), format_time(action.ends_at))
    if placement is not None and action.placements and placement not in action.placements:
        return Removal(Stage.CATALOGUE, "placements", placement, ", ".join(action.placements))
    return None


def not_asked(channel: str, channels: Collection[str] | None) -> Removal | None:
    """A channel the request did not ask for."""
    if channels is None or channel in channels:
        return None
    return Removal(Stage.CATALOGUE, "channels", channel, ", ".join(channels) or "none")


@dataclass(frozen=True, slots=True)
class Gates:
    """What consent and quiet hours tell apart: channel, class and purpose. Arms alike in these share a gate."""

    #: One action and the channel for each gate.
    gates: tuple[tuple[Action, Channel], ...]
    #: The gate of each arm, -1 for DO_NOTHING.
    of_row: tuple[int, ...]


def gates_of(catalogue: Catalogue, arms: Sequence[Arm]) -> Gates:
    """The gates of these arms."""
    numbers: dict[tuple[str, str, str | None], int] = {}
    gates: list[tuple[Action, Channel]] = []
    of_row = []
    for arm in arms:
        action = catalogue.actions.get(arm.action)
        if action is None:
            of_row.append(-1)
            continue
        key = (arm.channel, str(action.action_class), action.purpose)
        if key not in numbers:
            numbers[key] = len(gates)
            gates.append((action, catalogue.channels[arm.channel]))
        of_row.append(numbers[key])
    return Gates(tuple(gates), tuple(of_row))


def suppressed(customer: Customer) -> Removal | None:
    """A customer on the suppression list, which wins over everything: nothing is proposed, on no channel."""
    if customer.suppressed is None:
        return None
    return Removal(Stage.CONSENT, "suppression", customer.suppressed, "not on the suppression list")


def unconsented(
    action: Action, channel: Channel, consents: Mapping[str, str], now: int, *, inbound: bool
) -> Removal | None:
    """An outbound channel without consent for the action's purpose, by default its class.

    What the customer never spoke of stops marketing only; anything else but granted stops every class. Where the
    customer comes by, nothing has to be granted, and with `inbound` only a refusal of that very channel holds.
    """
    purpose = action.purpose or action.action_class
    if not channel.outbound:
        return _refused(channel.id, purpose, consents, now) if inbound else None
    seen = consent(consents, purpose, channel.id, now)
    if seen == "granted" or (seen == "unknown" and action.action_class != ActionClass.MARKETING):
        return None
    return Removal(Stage.CONSENT, f"consent.{channel.id}", seen, f"granted for {purpose}")


def _refused(channel: str, purpose: str, consents: Mapping[str, str], now: int) -> Removal | None:
    """A refusal that names the channel; one of every channel, or of a purpose, speaks of being contacted."""
    named = {key: state for key in (channel, f"{purpose}/{channel}") if (state := consents.get(key)) is not None}
    seen = consent(named, purpose, channel, now) if named else "unknown"
    if seen in ("denied", "revoked"):
        return Removal(Stage.CONSENT, f"consent.{channel}", seen, "not refused")
    return None


def failing(expressions: ActionExpressions, scope: Scope) -> tuple[str, Expression] | None:
    """The first condition of the action that does not hold, with its kind."""
    for kind, expression in expressions.conditions:
        if not expression.holds(scope):
            return kind, expression
    return None


def ineligible(failed: tuple[str, Expression] | None, scope: Scope) -> Removal | None:
    """What a condition that failed says."""
    if failed is None:
        return None
    kind, expression = failed
    return Removal(Stage.ELIGIBILITY, kind, expression.seen(scope.values), expression.source)
