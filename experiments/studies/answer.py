"""The answer of a study: was the log random, then what each policy would have earned; and all of it in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.inference import CONFIDENCE, Verdict
from experiments.ope.intervals import Bounds
from experiments.studies.balance import Balance, check_balance
from experiments.studies.learned import part_of
from experiments.studies.study import Reward, Study
from experiments.studies.units import Units
from experiments.studies.valuation import Claim, Valuation, value_policies
from features.clock import format_time


@dataclass(frozen=True, slots=True)
class Answer:
    """`valuations` is empty where the balance test says not to read further."""

    study: Study
    decided_from: int
    decided_until: int
    rows: int
    customers: int
    still_open: int
    arms: tuple[str, ...]
    design: tuple[float, ...]
    balance: Balance
    valuations: tuple[Valuation, ...]

    def verdict(self, valuation: Valuation) -> Verdict:
        """Better if a learned policy beats every constant; worse only if all of them lose; else insufficient."""
        said = {claim.verdict for claim in valuation.claims}
        if Verdict.BETTER in said:
            return Verdict.BETTER
        return Verdict.WORSE if said == {Verdict.WORSE} else Verdict.INSUFFICIENT


def answer(
    study: Study, units: Units, seed: int = 0, progress: Callable[[float], None] = lambda _share: None
) -> Answer:
    """Balance first; policies are valued only where it holds."""
    balance = check_balance(units)
    rewards = [reward.name for reward in study.rewards] if balance.passed else []
    valuations = [
        value_policies(units.log(name), name, seed=seed, progress=part_of(progress, done, len(rewards)))
        for done, name in enumerate(rewards)
    ]
    return Answer(
        study,
        int(units.decided_at.min()),
        int(units.decided_at.max()),
        len(units),
        int(units.customer.max()) + 1,
        units.still_open,
        units.arms,
        tuple(units.design.tolist()),
        balance,
        tuple(valuations),
    )


def amount(value: float | None, reward: Reward, signed: bool = False) -> str:
    """A value of a reward as people read it: a share in percent, money and other sums as they are.

    `signed` is for differences; those of shares are in percentage points.
    """
    if value is None:
        return "–"
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.2f} {'points' if signed else '%'}" if reward.share else f"{value:{sign},.3f}"


def range_of(bounds: Bounds | None, reward: Reward, signed: bool = False) -> str:
    """`low to high`, a dash where there is none."""
    return "–" if bounds is None else f"{amount(bounds.low, reward, signed)} to {amount(bounds.high, reward, signed)}"


def in_words(claim: Claim, reward: Reward) -> str:
    """What is claimed of a learned policy, in a sentence."""
    gain = claim.against_best
    if gain.interval is None:
        return f"“{claim.policy}”: no claim, {gain.insufficient}."
    shown = f"{amount(gain.value, reward, True)} ({range_of(gain.interval, reward, True)})"
    if gain.insufficient is not None:
        return f"“{claim.policy}” against the best constant policy, {gain.versus}: {gain.insufficient}."
    said = {
        Verdict.BETTER: "it earned more than every constant policy",
        Verdict.WORSE: "it earned less than simply choosing the best constant policy",
    }.get(claim.verdict, "the data do not allow the claim that it earns more, nor that it earns less")
    return f"“{claim.policy}” against the best constant policy, {gain.versus}: {shown}; {said}."


def as_json(found: Answer) -> dict[str, Any]:
    """Everything for machines; numbers that are not given are null."""
    values = dataclasses.asdict(found)
    for name in ("decided_from", "decided_until"):
        values[name] = format_time(values[name])
    tests = [("shares", found.balance.shares), ("covariates", found.balance.covariates)]
    values["balance"] |= {"passed": found.balance.passed, "meaning": found.balance.meaning()}
    values["balance"] |= {f"{name}_p_value": test.p_value for name, test in tests}
    for told, wave in zip(values["balance"]["waves"], found.balance.waves, strict=True):
        told |= {"shares_p_value": wave.shares.p_value, "covariates_p_value": wave.covariates.p_value}
    for told, valuation in zip(values["valuations"], found.valuations, strict=True):
        told["verdict"] = str(found.verdict(valuation))
    return values | {"confidence": CONFIDENCE}
