"""The correction of a model's predictions that is learned online: a Bayesian logistic residual, arm by arm.

An arm k whose model predicts p is accepted with probability sigmoid(logit p + x . delta_k), where x is a 1 and at most
seven covariates of the customer (`training.covariates`). An answer is learned by one step of Fisher scoring around the
probability p' that was stated when it was asked for: with weight w = p'(1 - p') and o = logit p' - logit p, the step
taken already, its log likelihood is nearly that of a normal with information w x x' and gradient x (w o + y - p')
(McCullagh and Nelder, Generalized Linear Models, 2nd ed., section 2.5). All of it is known once the item has come to
something, so what an item teaches never changes, and sums of it are sufficient. Later answers are asked for at better
p', so the step is iterated by deciding.

Between arms, delta_k ~ N(delta of its action, S_arm), that one ~ N(delta of its group, S_action), and so on up to a
root ~ N(0, S_root): hierarchical shrinkage (Gelman et al., Bayesian Data Analysis, 3rd ed., chapters 5 and 15). On a
tree of normals one pass up and one down give every posterior exactly, and nothing is counted twice. With linear payoffs
and one level it is the ridge regression of LinUCB (Li et al., A Contextual-Bandit Approach, 2010). Where nothing was
learned, every delta is exactly 0 and every prediction the model's, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from features.rewards import UNIT
from training.portable import exp

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sums = tuple[int, ...]

#: Covariates are whole, in units of 2^-8.
COVARIATE_SHIFT = 8
ONE = 1 << COVARIATE_SHIFT
#: With the constant: what every decision multiplies, and what every snapshot carries for every arm.
MOST_DIMENSIONS = 8
#: Prior standard deviations of delta around its parent's, of the constant and of each covariate: root, group, action,
#: arm. Chosen in the known-truth worlds, see `training/README.md`.
PRIOR_SCALES: tuple[tuple[float, float], ...] = ((0.5, 0.15), (0.3, 0.15), (0.3, 0.15), (0.2, 0.07))
#: Where the mode of an arm's constant is looked for, on the logit, and how often that range is halved: to 2e-5.
_FARTHEST, _HALVINGS = 20.0, 20


def taught(success: int, p_model: float, p_accept: float, covariates: Sequence[int]) -> Sums:
    """What an answer adds to its arm, in millionths: the gradient (d), the step taken already (d), and the upper
    triangle of the information (d (d + 1) / 2). `success` is in millionths, `covariates` without the constant.

    >>> taught(1_000_000, 0.2, 0.2, ())
    (800000, 0, 160000)
    """
    x = (ONE, *covariates)
    weight, gradient, moved = _step(success, p_model, p_accept)
    weighed, half = [weight * a for a in x], 1 << (2 * COVARIATE_SHIFT - 1)
    return (
        *[(gradient * a + ONE // 2) >> COVARIATE_SHIFT for a in x],
        *[(moved * a + ONE // 2) >> COVARIATE_SHIFT for a in x],
        *[(a * b + half) >> (2 * COVARIATE_SHIFT) for j, a in enumerate(weighed) for b in x[j:]],
    )


def taught_all(answers: Sequence[tuple[int, float, float]], covariates: Integers) -> Integers:
    """(n, `length`) the same numbers of n answers, (success, p_model, p_accept) each, and (n, d - 1) covariates: a
    tenth of the time where n is large, six times as long where it is 1.

    Whole numbers all through, below 2^60 for covariates within 2^15 units: no order of theirs makes a difference.
    """
    weights, gradients, steps = np.array([_step(*one) for one in answers], dtype=np.int64).T[:, :, None]
    x = np.hstack([np.full((len(answers), 1), ONE, dtype=np.int64), covariates])
    upper, lower = np.triu_indices(x.shape[1])
    half = 1 << (2 * COVARIATE_SHIFT - 1)
    return np.hstack(
        [
            (gradients * x + ONE // 2) >> COVARIATE_SHIFT,
            (steps * x + ONE // 2) >> COVARIATE_SHIFT,
            (weights * x[:, upper] * x[:, lower] + half) >> (2 * COVARIATE_SHIFT),
        ]
    )


def _step(success: int, p_model: float, p_accept: float) -> tuple[int, int, int]:
    """(weight, gradient, step taken already) of one answer, in millionths."""
    model, stated = _inside(p_model), _inside(p_accept)
    weight = (stated * (UNIT - stated) + UNIT // 2) // UNIT
    taken = weight * (math.log(stated / (UNIT - stated)) - math.log(model / (UNIT - model)))
    return weight, success - stated, round(taken)


def _inside(probability: float) -> int:
    """In millionths, neither 0 nor 1."""
    return min(max(round(probability * UNIT), 1), UNIT - 1)


def length(dimensions: int) -> int:
    """How many numbers `taught` gives."""
    return dimensions * (dimensions + 5) // 2


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """The posterior of every arm's delta, ready to be applied: (d + d (d + 1) / 2, arms) means, then covariances.

    The covariances are the upper triangle, what lies beside the diagonal doubled.
    """

    dimensions: int
    moments: Floats

    def shifts(self, covariates: Sequence[int], rows: Integers) -> Floats:
        """(d - 1,) covariates in units of 2^-8 and (n,) arms -> (2, n) shift of the logit, and its variance."""
        x = np.array((ONE, *covariates)) / ONE
        first, second = pairs(self.dimensions)
        factors = np.concatenate((x, x[first] * x[second]))
        # Along the first axis numpy adds one row after another, so every machine gets the same last bit. All arms, and
        # then those asked for: to pick them out of 44 rows beforehand costs more than it saves (5 us of 80 arms).
        both = np.add.reduceat(self.moments * factors[:, None], (0, self.dimensions), axis=0)
        return np.asarray(both.take(rows, axis=1))


def corrected(p_model: Floats, shift: Floats) -> Floats:
    """sigmoid(logit p + shift), (n,); exactly p where the shift is 0.

    >>> corrected(np.array([0.02, 0.5]), np.array([0.0, np.log(3.0)])).round(9).tolist()
    [0.02, 0.75]
    """
    odds = exp(np.minimum(shift, _FARTHEST))
    return p_model * odds / (1.0 + p_model * (odds - 1.0))


@cache
def pairs(dimensions: int) -> tuple[Integers, Integers]:
    """(row, column) of each place of an upper triangle."""
    first, second = np.triu_indices(dimensions)
    return first, second


def posterior(
    counts: Floats,
    accepts: Floats,
    sums: Floats,
    parents: Sequence[Integers],
    scales: Sequence[tuple[float, float]] = PRIOR_SCALES,
) -> Correction:
    """The posterior of m arms out of what each was taught.

    `counts` and `accepts` are (m,), `sums` (`length(d)`, m), all in ones. `parents` say for each level from the arms
    upwards which node of the next each node belongs to (arm to action, action to group); above the last is the root.
    """
    dimensions = next(d for d in range(1, MOST_DIMENSIONS + 1) if length(d) == len(sums))
    gradient, moved, triangle = np.split(sums, (dimensions, 2 * dimensions))
    step = step_scale(counts, accepts, gradient[0], sum(constant**2 for constant, _ in scales))
    information = np.empty((dimensions, dimensions, len(counts)))
    first, second = pairs(dimensions)
    information[first, second] = information[second, first] = step * triangle
    mean, covariance = _tree(information, step * moved + gradient, parents, scales)
    doubled = np.where(first == second, 1.0, 2.0)[:, None]
    return Correction(dimensions, np.concatenate((mean, covariance[first, second] * doubled)))


def step_scale(counts: Floats, accepts: Floats, gradient: Floats, variance: float) -> Floats:
    """(m,) factors of each arm's information that make the step as long as the likelihood is, not as its tangent is.

    Where 15 % accept what 2 % were said to, one step of Fisher scoring leads to 94 %: at 2 % the likelihood is far
    flatter than at 15 %. So the curvature p (1 - p) at the mean stated p is stretched to the secant
    (q - p) / (logit q - logit p), where q is the mode of the exact posterior of an arm that is p throughout, under a
    prior of this variance: then the step ends exactly there. Few answers leave it as it is.
    """
    p = np.clip((accepts - gradient) / np.maximum(counts, 1e-9), 1e-6, 1.0 - 1e-6)
    low, high = np.full(len(p), -_FARTHEST), np.full(len(p), _FARTHEST)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        rises = accepts - counts * corrected(p, middle) > middle / variance
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    step = 0.5 * (low + high)
    far = (counts > 0.0) & (np.abs(step) > 1e-3)
    return np.where(far, (corrected(p, step) - p) / np.where(far, step, 1.0) / (p * (1.0 - p)), 1.0)


def _tree(
    information: Floats, gradient: Floats, parents: Sequence[Integers], scales: Sequence[tuple[float, float]]
) -> tuple[Floats, Floats]:
    """((d, m) means, (d, d, m) covariances) of the leaves of a tree of normals.

    Upwards, a node with information A and gradient b that lies N(parent, S) around its parent tells it
    A P^-1 S^-1 and S^-1 P^-1 b, where P = A + S^-1. Downwards, given the parent's mean m and covariance C, it is
    N(P^-1 (b + S^-1 m), P^-1 + P^-1 S^-1 C S^-1 P^-1).
    """
    dimensions = len(gradient)
    # The topmost nodes have the root above them, and the root lies around 0.
    top = int(parents[-1].max(initial=0)) + 1
    levels = [*parents, np.zeros(top, dtype=np.int64), np.zeros(1, dtype=np.int64)]
    kept: list[tuple[Floats, Floats, Floats, Integers]] = []
    for parent, (constant, slope) in zip(levels, reversed(scales), strict=True):
        tightness = 1.0 / np.square([constant, *[slope] * (dimensions - 1)])
        precision = information.copy()
        precision[range(dimensions), range(dimensions)] += tightness[:, None]
        inverse = _inverse(precision)
        kept.append((inverse, gradient, tightness, parent))
        told = _times(information, inverse) * tightness[:, None]
        said = _applied(inverse, gradient) * tightness[:, None]
        information = np.zeros((dimensions, dimensions, int(parent.max(initial=0)) + 1))
        gradient = np.zeros((dimensions, information.shape[2]))
        for child, node in enumerate(parent.tolist()):
            information[..., node] += told[..., child]
            gradient[:, node] += said[:, child]
    mean, covariance = np.zeros((dimensions, 1)), np.zeros((dimensions, dimensions, 1))
    for inverse, gradient, tightness, parent in reversed(kept):
        mean = _applied(inverse, gradient + tightness[:, None] * mean[:, parent])
        drawn = inverse * tightness[:, None]
        covariance = inverse + _times(_times(drawn, covariance[:, :, parent]), drawn.swapaxes(0, 1))
    return mean, covariance


# Not numpy's linalg: a LAPACK works in an order of its own on each machine, and replay is to give the same bits.


def _times(one: Floats, other: Floats) -> Floats:
    """(d, d, m) products of matrices."""
    return np.asarray(np.add.reduce(one[:, :, None] * other[None], axis=1))


def _applied(matrices: Floats, vectors: Floats) -> Floats:
    """(d, m) matrices times vectors."""
    return np.asarray(np.add.reduce(matrices * vectors[None], axis=1))


def _inverse(matrices: Floats) -> Floats:
    """(d, d, m) inverses of positive definite matrices, by Gauss and Jordan without exchanging rows."""
    left, right = matrices.copy(), np.zeros_like(matrices)
    right[range(len(left)), range(len(left))] = 1.0
    for row in range(len(left)):
        pivot = left[row, row].copy()
        left[row] /= pivot
        right[row] /= pivot
        factor = left[:, row].copy()
        factor[row] = 0.0
        left -= factor[:, None] * left[row]
        right -= factor[:, None] * right[row]
    return right
