"""The estimators of a policy's value, every one the same sum with other weights.

With w = π(a|x) / p(a|x), the importance weight of the arm drawn, an estimate is

    mean(base) + Σ ω e / n        or, self-normalised,        mean(base) + Σ ω e / Σ ω

where base is 0 and e = r, or, with a reward model q̂, base = v̂(x) = Σ_a π(a|x) q̂(x, a) and e = r - q̂(x, a). So an
estimator is a row of this table: which ω, with a model or not, self-normalised or not. All need probabilities that are
what they say, and support: the log could play whatever the target plays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.ope.feedback import Floats

#: (w, π of the arm drawn, the estimator's own number) -> ω, all (m,).
Reweigh = Callable[[Floats, Floats, float], Floats]


@dataclass(frozen=True, slots=True)
class Estimator:
    """One way to value a policy, and what people are told about it."""

    name: str
    reweigh: Reweigh
    model: bool
    normalised: bool
    formula: str
    unbiased: str
    source: str
    #: Symbol of the number it needs besides (chosen by `experiments.ope.tuning`), None where it needs none.
    tuned: str | None = None
    #: Fair only on a log drawn uniformly.
    uniform_log: bool = False
    #: Whether its interval leaves out a bias of its own (`BIASED`).
    biased: bool = False


ESTIMATORS: dict[str, Estimator] = {}
#: Said wherever such an estimate is shown, its name marked so.
BIASED = "* biased where the reward model is wrong or weights are cut: its interval tells of chance alone, not of that"


def _register(*args: object, **kwargs: object) -> None:
    one = Estimator(*args, **kwargs)  # type: ignore[arg-type]
    ESTIMATORS[one.name] = one


def _plain(w: Floats, _chosen: Floats, _number: float) -> Floats:
    return w


_register(
    "replay",
    lambda _w, chosen, _number: chosen,
    model=False,
    normalised=True,
    uniform_log=True,
    formula="Σ π(a|x) r / Σ π(a|x)",
    unbiased="The log was drawn uniformly at random; then rows count as much as the policies agree on them.",
    source="Li, Chu, Langford, Wang (2011), Unbiased Offline Evaluation of Contextual-bandit-based News Article "
    "Recommendation Algorithms, WSDM",
)
_register(
    "ips",
    _plain,
    model=False,
    normalised=False,
    formula="mean(w r)",
    unbiased="Always, given support and true probabilities; its spread grows with the largest weights.",
    source="Horvitz, Thompson (1952); Precup, Sutton, Singh (2000), Eligibility Traces for Off-Policy Policy "
    "Evaluation, ICML",
)
_register(
    "clipped-ips",
    lambda w, _chosen, number: np.minimum(w, number),
    model=False,
    normalised=False,
    tuned="M",
    biased=True,
    formula="mean(min(w, M) r)",
    unbiased="Only without clipping; rewards of one sign are then understated by what is clipped.",
    source="Ionides (2008), Truncated Importance Sampling; Bottou et al. (2013), Counterfactual Reasoning and "
    "Learning Systems, JMLR",
)
_register(
    "snips",
    _plain,
    model=False,
    normalised=True,
    formula="Σ w r / Σ w",
    unbiased="As n grows; its bias is of order 1 / effective sample size. A constant added to rewards just moves it.",
    source="Swaminathan, Joachims (2015), The Self-Normalized Estimator for Counterfactual Learning, NeurIPS",
)
_register(
    "dm",
    lambda w, _chosen, _number: np.zeros_like(w),
    model=True,
    normalised=False,
    biased=True,
    formula="mean(v̂(x))",
    unbiased="Only where the reward model is right; its interval knows nothing of the model's own error.",
    source="Beygelzimer, Langford (2009), The Offset Tree for Learning with Partial Labels, KDD",
)
_register(
    "dr",
    _plain,
    model=True,
    normalised=False,
    formula="mean(v̂(x) + w (r − q̂(x, a)))",
    unbiased="If the probabilities are true or the model is right; models are fitted on other customers' rows.",
    source="Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning, ICML",
)
_register(
    "sndr",
    _plain,
    model=True,
    normalised=True,
    formula="mean(v̂(x)) + Σ w (r − q̂(x, a)) / Σ w",
    unbiased="As n grows, under the conditions of dr.",
    source="Thomas, Brunskill (2016), Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning, ICML",
)
_register(
    "switch-dr",
    lambda w, _chosen, number: w * (w <= number),
    model=True,
    normalised=False,
    tuned="τ",
    biased=True,
    formula="mean(v̂(x) + w [w ≤ τ] (r − q̂(x, a)))",
    unbiased="Where no weight is above τ; above it the reward model alone is believed.",
    source="Wang, Agarwal, Dudík (2017), Optimal and Adaptive Off-policy Evaluation in Contextual Bandits, ICML",
)
_register(
    "dros",
    lambda w, _chosen, number: w if number == np.inf else w * (number / (w * w + number)),
    model=True,
    normalised=False,
    tuned="λ",
    biased=True,
    formula="mean(v̂(x) + (λ w / (w² + λ)) (r − q̂(x, a)))",
    unbiased="As λ grows, it is dr; at λ = 0 it is dm.",
    source="Su, Dimakopoulou, Krishnamurthy, Dudík (2020), Doubly Robust Off-policy Evaluation with Shrinkage, ICML",
)
