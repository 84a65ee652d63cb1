"""How far a ramp has come: a frozen value, kept in HOME/ramp.json, which is there whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from features.errors import InvalidInput, UntrustedArtefact
from serving.assignment import Layer
from training.pointer import write_whole

RAMP, CHALLENGER = "ramp.json", "challenger.json"
#: Shares of customers, one step after the other; 0 is the shadow, and at 1 the challenger is the champion.
SHARES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
#: The variant of a customer who is decided for by the challenger, and of everybody else.
TRIED, REST = "challenger", "champion"


class Stage(StrEnum):
    SHADOW = "shadow"
    RAMPING = "ramping"
    FINISHED = "finished"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class Step:
    """A share of customers, and since when, microseconds."""

    share: float
    since: int


@dataclass(frozen=True, slots=True)
class Ramp:
    """`name` keys the assignment: another ramp tries its challenger on other customers. `told` is why it stands so;
    `first_share` follows the shadow.

    `catalogue` is the home's version when it was last looked at, None in ramps of before; `edits` counts how often it
    had changed since the ramp began, and `follows` says that the challenger goes along, having none of its own.
    """

    name: str
    stage: Stage
    steps: tuple[Step, ...]
    told: str = ""
    first_share: float = SHARES[1]
    catalogue: str | None = None
    follows: bool = False
    edits: int = 0

    @property
    def active(self) -> bool:
        return self.stage in (Stage.SHADOW, Stage.RAMPING)

    @property
    def share(self) -> float:
        """Share of customers decided for by the challenger now."""
        return self.steps[-1].share if self.stage is Stage.RAMPING else 0.0

    @property
    def next_share(self) -> float:
        """The share of the step after this one."""
        if not self.steps[-1].share:
            return self.first_share
        return SHARES[SHARES.index(self.steps[-1].share) + 1]

    @property
    def layer(self) -> Layer | None:
        """Who is tried on; None in the shadow. A larger share only adds customers."""
        return Layer(self.name, TRIED, REST, self.share) if self.share else None

    def advanced(self, now: int, told: str) -> Ramp:
        """A step further."""
        return replace(self, stage=Stage.RAMPING, steps=(*self.steps, Step(self.next_share, now)), told=told)

    def ended(self, stage: Stage, told: str) -> Ramp:
        return replace(self, stage=stage, told=told)


def begun(bundle_id: str, now: int, first_share: float = SHARES[1]) -> Ramp:
    """A ramp in the shadow. Raises InvalidInput for a first share that is no step on the way."""
    if first_share not in SHARES[1:-1]:
        known = ", ".join(f"{share:g}" for share in SHARES[1:-1])
        raise InvalidInput(f"a ramp begins with one of {known}, not with {first_share:g}", field="first_share")
    name = f"ramp-{bundle_id}-{now // 1_000_000}"
    return Ramp(name, Stage.SHADOW, (Step(0.0, now),), "in the shadow", first_share)


def read_ramp(home: Path) -> Ramp | None:
    """The home's ramp, running or over; None where there never was one. Raises UntrustedArtefact for nonsense."""
    try:
        content = json.loads((home / RAMP).read_bytes())
        steps = tuple(Step(float(step["share"]), int(step["since"])) for step in content["steps"])
        found = Ramp(str(content["name"]), Stage(content["stage"]), steps, str(content["told"]))
        found = replace(found, first_share=float(content.get("first_share", SHARES[1])))
        edited = {"catalogue": content.get("catalogue"), "follows": bool(content.get("follows"))}
        found = replace(found, **edited, edits=int(content.get("edits", 0)))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UntrustedArtefact(f"{RAMP} is damaged; `segue ramp stop` removes it") from error
    if not steps or any(share not in SHARES for share in (found.first_share, *(step.share for step in steps))):
        raise UntrustedArtefact(f"{RAMP} has no such step; `segue ramp stop` removes it")
    return found


def write_ramp(home: Path, ramp: Ramp) -> None:
    write_whole(home / RAMP, asdict(ramp) | {"stage": str(ramp.stage)})
