"""exp and the normal distribution out of additions and multiplications alone: the same bits on every machine.

IEEE 754 says to the last bit what +, -, x, / and rounding to whole numbers give, but not what exp gives: numpy's own
differs in 4.6 % of arguments with and without AVX-512, the C library's (and so SciPy's `ndtr`) with and without FMA.
Whatever a decision is made of is computed by these, or a replay elsewhere would not meet the same last bit. Tables are
made once, of decimal numbers with digits to spare, and rounded.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: exp(x) = exp(whole) exp(part / 32) exp(rest), |rest| <= 1/64, where six powers of it are exact to 5e-17.
_PARTS = 32
_LOWEST, _HIGHEST = -745, 709
_POWERS = tuple(1.0 / n for n in (720, 120, 24, 6, 2, 1))
#: The normal distribution is a cubic around the nearest of the points n / STEPS: to 9e-11, its density to 5e-8.
STEPS = 64
#: Beyond so many deviations nothing changes any more: 1 - Phi(9) is 1e-19.
END = 9
_DIGITS = 60


def exp(x: Floats) -> Floats:
    """e^x, to 3 in the last place, of finite numbers of any shape; above 709 as if it were 709.

    >>> exp(np.array([0.0, 1.0, -800.0])).tolist()
    [1.0, 2.718281828459045, 5e-324]
    """
    whole, parts = _exponentials()
    x = np.minimum(np.maximum(x, float(_LOWEST)), float(_HIGHEST))
    nearest = np.rint(x * _PARTS)
    rest = x - nearest / _PARTS
    place = nearest.astype(np.int64)
    power = rest * _POWERS[0]
    for factor in _POWERS[1:]:
        power += factor
        power *= rest
    power += 1.0
    power *= parts.take(place & (_PARTS - 1))
    power *= whole.take((place >> 5) - _LOWEST)
    return np.asarray(power)


def normal(steps: Floats) -> tuple[Floats, Floats]:
    """The standard normal at z = steps / STEPS - END, an array of any shape: (distribution, its growth with a step).

    The distribution is good to 1e-10, never 0 and never above 1; the growth is the density / STEPS, good to 1e-9.
    Counted so, a number is its own place in the table.

    >>> below, growth = normal(STEPS * (np.array([1.0]) + END))
    >>> [float(below[0].round(9)), float((growth[0] * STEPS).round(7))]
    [0.841344746, 0.2419707]
    """
    level, first_row, second_row, third_row = _cubics()
    rest = np.minimum(np.maximum(steps, 0.0), 2.0 * END * STEPS)
    nearest = np.rint(rest)
    rest -= nearest
    place = nearest.astype(np.intp)
    first, second, third = first_row.take(place), second_row.take(place), third_row.take(place)
    third *= rest
    below = third + second
    below *= rest
    below += first
    below *= rest
    below += level.take(place)
    # The growth is the slope of that very cubic.
    growth = third
    growth *= 1.5
    growth += second
    growth *= rest
    growth *= 2.0
    growth += first
    return below, growth


@cache
def _exponentials() -> tuple[Floats, Floats]:
    """(whole powers of e from _LOWEST on, e^(n / 32))."""
    with localcontext(prec=_DIGITS):
        whole, e = [Decimal(_LOWEST).exp()], Decimal(1).exp()
        for _ in range(_LOWEST, _HIGHEST):
            whole.append(whole[-1] * e)
        parts = [(Decimal(n) / _PARTS).exp() for n in range(_PARTS)]
        return np.array([float(one) for one in whole]), np.array([float(one) for one in parts])


@cache
def _cubics() -> Floats:
    """(4, points) Phi and, by the step, phi, -z phi / 2 and (z^2 - 1) phi / 6: Taylor's series of Phi around each."""
    rows = []
    with localcontext(prec=_DIGITS):
        for number in range(-END * STEPS, END * STEPS + 1):
            z = Decimal(number) / STEPS
            below, density = _normal(z)
            taylor = below, density, -z * density / 2, (z * z - 1) * density / 6
            rows.append([float(one) / STEPS**power for power, one in enumerate(taylor)])  # a power of two: exact
    return np.array(rows).T.copy()


#: 1 / sqrt(2 pi)
_ROOT = Decimal("0.398942280401432677939946059934381868475858631164934657665926")


def _normal(z: Decimal) -> tuple[Decimal, Decimal]:
    """(Phi, phi) of z, to 40 digits: phi(0) times the sum of (-1)^k z^(2k + 1) / (2^k k! (2k + 1)), and a half."""
    term = total = z
    k = 0
    while abs(term) > Decimal("1e-42"):
        k += 1
        term *= -z * z / (2 * k)
        total += term / (2 * k + 1)
    return Decimal("0.5") + _ROOT * total, _ROOT * (-z * z / 2).exp()


@cache
def gauss_legendre(count: int) -> tuple[Floats, Floats]:
    """(nodes, weights) of `count` points on (0, 1); Newton's iteration on the Legendre polynomial, in decimals."""
    found = []
    with localcontext(prec=_DIGITS):
        for number in range(count):
            x = Decimal(float(np.cos(np.pi * (number + 0.75) / (count + 0.5))))
            for _ in range(8):  # from 2 digits to 60
                before, value = Decimal(1), x
                for degree in range(2, count + 1):
                    before, value = value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree
                slope = count * (x * value - before) / (x * x - 1)
                x -= value / slope
            found.append((float((1 - x) / 2), float(1 / ((1 - x * x) * slope * slope))))
    nodes, weights = zip(*found, strict=True)
    return np.array(nodes), np.array(weights)
