"""A random log passes the balance test; one whose arms depend on the customer, or whose shares are wrong, does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.studies.balance import ChiSquare, check_balance, covariate_test, share_test
from tests.unit.experiments.studies.worlds import DESIGN, world


def test_a_random_log_passes_as_often_as_the_alarm_allows() -> None:
    # p is uniform under the null: of 400, fewer than 0.1 lie within 4 standard deviations of 40.
    p = np.array([check_balance(world(seed, 600)).covariates.p_value for seed in range(400)])
    assert 16 <= np.count_nonzero(p < 0.1) <= 64
    assert 16 <= np.count_nonzero(p > 0.9) <= 64


def test_arms_that_depend_on_the_customer_fail_and_the_covariate_is_named() -> None:
    balance = check_balance(world(1, confounded=0.5))
    assert not balance.passed
    assert balance.waves[0].worst[0] == "trait"
    assert balance.waves[0].worst[1] == "one"
    assert "depended on who they were" in balance.meaning() or "not the shares" in balance.meaning()


def test_a_wave_that_is_not_random_is_found_among_waves_that_are() -> None:
    fair, unfair = world(2, waves=4), world(2, waves=4, confounded=1.5)
    last = fair.decided_at == fair.decided_at.max()
    mixed = replace(
        fair, arm=np.where(last, unfair.arm, fair.arm), context=np.where(last[:, None], unfair.context, fair.context)
    )
    balance = check_balance(mixed)
    assert [wave.covariates.passed for wave in balance.waves] == [True, True, True, False]
    assert not balance.passed


def test_shares_that_are_not_those_stated_fail() -> None:
    units = replace(world(3), design=np.array([0.4, 0.3, 0.3]))
    balance = check_balance(units)
    assert not balance.shares.passed
    assert "shares" in balance.meaning()


def test_whether_a_value_is_missing_counts_as_something_known() -> None:
    units = world(4)
    context = units.context.copy()
    context[(units.arm == 2) & (np.arange(len(units)) % 3 == 0), 1] = np.nan
    balance = check_balance(replace(units, context=context))
    assert not balance.passed
    assert balance.waves[0].worst[0] == "noise missing"


def test_a_covariate_said_twice_counts_once() -> None:
    units = world(5)
    once, _ = covariate_test(units.context, units.arm, 3)
    twice, _ = covariate_test(np.column_stack([units.context, 5.0 - 2.0 * units.context]), units.arm, 3)
    assert twice.freedom == once.freedom == 4
    assert np.isclose(twice.statistic, once.statistic)


def test_exact_shares_give_no_evidence_and_tests_add() -> None:
    assert share_test(np.array([200, 100, 100]), DESIGN) == ChiSquare(0.0, 2)
    assert ChiSquare(1.0, 2) + ChiSquare(3.0, 4) == ChiSquare(4.0, 6)


def test_nothing_known_is_nothing_to_test() -> None:
    test, _ = covariate_test(np.empty((100, 0)), np.arange(100) % 3, 3)
    assert (test.freedom, test.passed) == (0, True)
