"""exp and the normal distribution: as good as the library's, and the same bits on every processor."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from training.portable import END, STEPS, exp, gauss_legendre, normal

EVERYWHERE = np.concatenate([np.linspace(-745.0, 709.0, 100_003), np.linspace(-1.0, 1.0, 10_001)])
#: Digests of what decisions are made of, computed by a process that is told to leave these features alone.
DIGESTS = """
import hashlib
import numpy as np
from training.calibration import Calibration
from training.policies import Softmax
from training.portable import exp, normal
from training.residual import Correction, corrected
from training.thompson import Thompson

rng = np.random.default_rng(11)
p = rng.random(999)
made = [exp(rng.normal(size=9_999) * 9), *normal(576 + 256 * rng.normal(size=9_999))]
made.append(corrected(p, rng.normal(size=999)))
made.append(Calibration("sigmoid", (-1.1, 0.2)).apply(rng.normal(size=999) * 3))
for arms in (1, 2, 7, 80):
    values, deviations = rng.normal(size=arms), rng.gamma(1.0, size=arms)
    made += [Thompson().probabilities(values, deviations), Softmax(0.1).probabilities(values, deviations)]
    made += Thompson().probabilities_of_each([values, values[::2]], [deviations, deviations[::2]])
moments = rng.normal(size=(44, 80))
made += [*Correction(8, moments).shifts(range(7), np.arange(3, 80))]
print(*[hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in made])
"""


def test_exp_is_within_three_units_in_the_last_place() -> None:
    wanted = np.array([math.exp(x) for x in EVERYWHERE.tolist()])
    normal_numbers = wanted > 1e-307  # below, a double has fewer digits
    units = np.abs(exp(EVERYWHERE) - wanted)[normal_numbers] / np.spacing(wanted[normal_numbers])
    assert units.max() <= 3.0


def test_exp_of_nothing_is_exactly_one() -> None:
    assert exp(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_exp_neither_overflows_nor_turns_negative() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert exp(np.array([-1e300, 1e300])).tolist() == [5e-324, pytest.approx(math.exp(709))]


def test_the_distribution_is_the_normal_one() -> None:
    z = np.linspace(-12.0, 12.0, 200_001)
    below, growth = normal(STEPS * (z + END))
    density = growth * STEPS
    assert np.abs(below - ndtr(z)).max() < 1e-10
    assert np.abs(density - np.exp(-z * z / 2) / np.sqrt(2 * np.pi)).max() < 5e-8
    assert below.min() > 0.0
    assert below.max() <= 1.0


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_gauss_and_legendre_integrate_what_they_should(count: int) -> None:
    nodes, weights = gauss_legendre(count)
    wanted_nodes, wanted_weights = np.polynomial.legendre.leggauss(count)
    assert np.sort(nodes) == pytest.approx((wanted_nodes + 1) / 2, abs=1e-15)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)
    assert np.sort(weights) == pytest.approx(np.sort(wanted_weights / 2), abs=1e-15)


def test_an_older_processor_gives_the_same_bits() -> None:
    """numpy is told to do without AVX2 and AVX-512, the C library without FMA: what `np.exp` says then differs."""
    plain = {"NPY_DISABLE_CPU_FEATURES": _dispatched(), "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"}
    assert _digests({}) == _digests(plain)


def _digests(environment: dict[str, str]) -> str:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "ignore", "-c", DIGESTS]
    found = subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, text=True, check=True)
    return found.stdout


def _dispatched() -> str:
    """What numpy found on this processor beyond what it is built for."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join(extensions.get("found", []))
