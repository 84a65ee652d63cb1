"""The explorer: a policy within the limits a business sets on trying things out. Its distribution is what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import InvalidInput
from features.settings import Settings
from training.policies import EpsilonGreedy, Policy, Softmax, SquareCB, Uniform, best_share, plain, within
from training.thompson import Thompson

#: Together less than this is no base to share out in proportion: Thompson's own shares are good to 3e-8.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Explorer:
    """A policy, how many decisions it may have, how fast new arms grow, and the least every allowed arm gets.

    In this order: policy, `exploration_share`, ramp of new arms, `probability_floor`; the last word is the floor's.
    """

    policy: Policy
    #: Least probability of every allowed arm; 1 / n where that is less. Importance weights are at most 1 / floor.
    probability_floor: float = 0.0
    #: Share of decisions the policy may have; the rest take the best arm.
    exploration_share: float = 1.0
    #: An arm learned from fewer times than this holds at most a share that grows in line with them; 0 for no ramp.
    new_arm_ramp: int = 0
    #: The share at which that growth starts.
    new_arm_share: float = 0.05

    def __post_init__(self) -> None:
        within("probability_floor", self.probability_floor, 0.0, 1.0)
        within("exploration_share", self.exploration_share, 0.0, 1.0)
        within("new_arm_ramp", self.new_arm_ramp, 0, 10**9)
        within("new_arm_share", self.new_arm_share, 0.0, 1.0)

    @property
    def name(self) -> str:
        """Names the distribution: the policy, and every limit that is set. `named_explorer` reads it.

        >>> Explorer(EpsilonGreedy(0.1), probability_floor=0.01).name
        'epsilon-greedy-0.1,floor-0.01'
        """
        parts = [self.policy.name]
        if self.exploration_share < 1.0:
            parts.append(f"share-{plain(self.exploration_share)}")
        if self.new_arm_ramp:
            parts.append(f"ramp-{self.new_arm_ramp}-{plain(self.new_arm_share)}")
        if self.probability_floor:
            parts.append(f"floor-{plain(self.probability_floor)}")
        return ",".join(parts)

    def caps(self, counts: np.ndarray, nothing: int | None = None) -> np.ndarray | None:
        """(n,) most that an arm learned from this often may hold, None without a ramp. Row `nothing` has no cap.

        >>> Explorer(EpsilonGreedy(), new_arm_ramp=100, new_arm_share=0.1).caps(np.array([0, 50, 100]))
        array([0.1 , 0.55, 1.  ])
        """
        if not self.new_arm_ramp:
            return None
        grown = np.minimum(np.asarray(counts) / self.new_arm_ramp, 1.0)
        caps: np.ndarray = self.new_arm_share + (1.0 - self.new_arm_share) * grown
        if nothing is not None:
            caps[nothing] = 1.0
        return caps

    def probabilities(self, values: np.ndarray, deviations: np.ndarray, caps: np.ndarray | None = None) -> np.ndarray:
        """(n,) values and their deviations in money, (n,) caps or None -> (n,) probabilities of the draw."""
        return self._limited(self.policy.probabilities(values, deviations), values, caps)

    def probabilities_of_each(
        self,
        values: Sequence[np.ndarray],
        deviations: Sequence[np.ndarray],
        caps: Sequence[np.ndarray | None] | None = None,
    ) -> list[np.ndarray]:
        """`probabilities` of each customer, to the last bit."""
        shares = self.policy.probabilities_of_each(values, deviations)
        each = zip(shares, values, caps or [None] * len(values), strict=True)
        return [self._limited(*one) for one in each]

    def _limited(self, shares: np.ndarray, values: np.ndarray, caps: np.ndarray | None) -> np.ndarray:
        if self.exploration_share < 1.0:
            shares = (1.0 - self.exploration_share) * best_share(values) + self.exploration_share * shares
        if caps is not None:
            shares = capped(shares, caps, values)
        return floored(shares, self.probability_floor)


def capped(shares: np.ndarray, caps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n,) shares with none above its cap; what is cut off goes to the others in proportion to what they hold.

    Where those hold next to nothing, it goes to the best of them. Where the caps leave no room for 1, they rise alike.

    >>> capped(np.array([0.8, 0.1, 0.1]), np.array([0.2, 1.0, 0.3]), np.zeros(3))
    array([0.2, 0.5, 0.3])
    """
    if caps.sum() <= 1.0:
        return caps / caps.sum() if caps.any() else np.full(len(caps), 1.0 / len(caps))
    full = np.zeros(len(shares), dtype=bool)
    # Each round fills at least one more arm, so there are at most n.
    while (over := (shares > caps) & ~full).any():
        full |= over
        rest = np.where(full, 0.0, shares)
        if rest.sum() < _NOTHING:
            rest = best_share(np.where(full, -np.inf, values))
        shares = np.where(full, caps, rest * ((1.0 - caps[full].sum()) / rest.sum()))
    return shares


def floored(shares: np.ndarray, floor: float) -> np.ndarray:
    """(n,) shares with none below min(floor, 1 / n); those above pay for it in proportion. Enough is left as it is.

    >>> floored(np.array([0.9, 0.1, 0.0]), 0.1)
    array([0.8, 0.1, 0.1])
    """
    floor = min(floor, 1.0 / len(shares))
    if floor * len(shares) >= 1.0:
        return np.full(len(shares), 1.0 / len(shares))
    held, count = shares < floor, 0
    while (found := int(np.count_nonzero(held))) > count:
        count = found
        rest = np.where(held, 0.0, shares)
        rest *= (1.0 - floor * count) / rest.sum()
        shares = np.where(held, floor, rest)
        held |= shares < floor
    return shares


def policies(settings: Settings) -> dict[str, Policy]:
    """Every policy by its name, with the numbers of the settings. Raises InvalidInput for one out of range."""
    return {
        "uniform": Uniform(),
        "epsilon-greedy": EpsilonGreedy(settings.epsilon),
        "softmax": Softmax(settings.temperature),
        "squarecb": SquareCB(settings.gamma),
        "thompson": Thompson(),
    }


def make_explorer(settings: Settings) -> Explorer:
    """The explorer the settings describe. Raises InvalidInput that names the setting at fault."""
    known = policies(settings)
    if settings.policy not in known:
        raise InvalidInput(f"unknown policy {settings.policy!r}; one of {', '.join(known)}", field="policy")
    return Explorer(
        known[settings.policy],
        settings.probability_floor,
        settings.exploration_share,
        settings.new_arm_ramp,
        settings.new_arm_share,
    )


def named_explorer(name: str) -> Explorer:
    """The explorer of this `Explorer.name`. Raises InvalidInput for a text that is none.

    >>> named_explorer("squarecb-1000,floor-0.01").probability_floor
    0.01
    """
    first, *limits = name.split(",")
    given: dict[str, float] = {}
    try:
        for limit in limits:
            kind, text = limit.split("-", 1)
            if kind == "ramp":
                ramp, _, text = text.partition("-")
                given["new_arm_ramp"] = int(ramp)
            given[_LIMITS[kind]] = float(text)
        return Explorer(_named_policy(first), **given)  # type: ignore[arg-type]
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"no policy of this version is named {name!r}; {_NAMES}", field="policy") from error


def _named_policy(name: str) -> Policy:
    for kind, make in (("epsilon-greedy", EpsilonGreedy), ("softmax", Softmax), ("squarecb", SquareCB)):
        if name.startswith(f"{kind}-"):
            return make(float(name.removeprefix(f"{kind}-")))
    plain_ones: dict[str, Policy] = {"uniform": Uniform(), "thompson": Thompson()}
    return plain_ones[name]


_NAMES = (
    "there are thompson, uniform, epsilon-greedy-0.1, squarecb-1000 and softmax-0.5, each with a number of yours, and "
    "with limits behind commas: floor-0.0005, share-0.5, ramp-100-0.1"
)
#: What a limit in a name is called as a setting.
_LIMITS = {"share": "exploration_share", "ramp": "new_arm_share", "floor": "probability_floor"}
