"""Whether a ramp goes on, goes a step further, ends or turns back: a pure function of what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.clock import HOUR
from features.figures import number, percent
from features.settings import Settings
from serving.ramp.evidence import REWARD
from serving.ramp.sequential import Look
from serving.ramp.state import SHARES, Ramp, Stage
from serving.shadow import Agreement

#: Customers decided for by the challenger before a step may end, and decisions made again in the shadow.
LEAST_CUSTOMERS = 100
LEAST_SHADOWED = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """When a step may end; see `features.settings`."""

    step_hours: float = 24.0
    risk: float = 0.05
    harm_margin: float = 0.002
    latency_ratio: float = 1.5

    @staticmethod
    def of(settings: Settings) -> Rules:
        s = settings
        return Rules(s.ramp_step_hours, s.ramp_risk, s.gate_harm_margin, s.gate_latency_ratio)


def too_few(customers: int, first_share: float) -> str | None:
    """Why a ramp among so many customers may not get beyond its first share, and the share that would do; or None."""
    if customers * first_share >= LEAST_CUSTOMERS:
        return None
    enough = [share for share in SHARES[1:-1] if customers * share >= LEAST_CUSTOMERS]
    told = (
        f"{percent(first_share, 0)} of {customers:,} customers are about {customers * first_share:,.0f}, and a step "
        f"ends with {LEAST_CUSTOMERS} tried on at the soonest"
    )
    if not enough:
        least = LEAST_CUSTOMERS / SHARES[-2]
        return f"{told}: a ramp takes {least:,.0f} customers; `segue promote` compares on recorded decisions instead"
    return f"{told}: `segue ramp stop`, and start it with --first-share {enough[0]:g}"


def out_of_shadow(ramp: Ramp, shadow: Agreement, now: int, rules: Rules) -> Ramp:
    """The first customers are tried on once the shadow lasted long enough, without a failure, and was fast enough."""
    if shadow.failed:
        return ramp.ended(Stage.ROLLED_BACK, f"the challenger could not decide {shadow.failed} times: {shadow.why}")
    if now - ramp.steps[-1].since < rules.step_hours * HOUR or shadow.decisions < LEAST_SHADOWED:
        return ramp
    if shadow.latency_ratio > rules.latency_ratio:
        told = f"a decision takes {shadow.latency_ratio:.2f} times the champion's, {rules.latency_ratio:g} is allowed"
        return ramp.ended(Stage.ROLLED_BACK, told)
    return ramp.advanced(
        now, f"agreed with the champion in {percent(shadow.overlap)} of {shadow.decisions:,} decisions"
    )


def judged(ramp: Ramp, looks: Mapping[str, Look], now: int, rules: Rules) -> Ramp:
    """The ramp as it is to be from now on.

    Turned back as soon as any guardrail is shown to be worse. A step further when the interval leaves no room for a
    loss that would cost all customers together more than `risk` at the next share: 5 % of customers may be tried on
    with little proof, all of them only with much.
    """
    if crossed := [told for look in looks.values() if (told := _crossed(look))]:
        return ramp.ended(Stage.ROLLED_BACK, "; ".join(crossed))
    if now - ramp.steps[-1].since < rules.step_hours * HOUR:
        return ramp
    if any(missing(look, ramp, rules) for look in looks.values()):
        return ramp
    told = "; ".join(f"{look.name} {_measured(look)}" for look in looks.values())
    further = ramp.advanced(now, told)
    return further.ended(Stage.FINISHED, told) if further.share >= 1.0 else further


def missing(look: Look, ramp: Ramp, rules: Rules) -> str | None:
    """What is still to be shown before the next step, or None."""
    if look.customers < LEAST_CUSTOMERS:
        return f"{look.customers} customers tried on, {LEAST_CUSTOMERS} are needed"
    if look.name == REWARD:
        lowest = -rules.risk * abs(look.champion) / ramp.next_share
        return None if look.low >= lowest else f"may cost {number(-look.low)} a decision, {number(-lowest)} is allowed"
    highest = rules.harm_margin / ramp.next_share
    return None if look.high <= highest else f"may rise by {percent(look.high, 3)}, {percent(highest, 3)} is allowed"


def _crossed(look: Look) -> str | None:
    worse = look.high < 0.0 if look.name == REWARD else look.low > 0.0
    return f"{look.name} worse: {_measured(look)}" if worse else None


def _measured(look: Look) -> str:
    difference, low, high = (number(value, sign=True) for value in (look.difference, look.low, look.high))
    return f"{difference} ({low} to {high})"
