"""A learned policy that really is better is found better; where nothing depends on the customer, nothing is claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from experiments.inference import Verdict
from experiments.ope.reward_model import Fit, ridge
from experiments.studies.answer import Answer, answer
from experiments.studies.learned import BEST_CONSTANT, LEARNERS, learned_policies
from experiments.studies.study import Reward, Study
from experiments.studies.valuation import Valuation, value_policies
from tests.unit.experiments.studies.worlds import world

STUDY = Study("made-up", "A world.", "made up", 1.0, (Reward("money", "money", "purchase", "value"),))


#: Trees take ten times as long; a slow case below has them.
LINEAR = {"learned, linear": ridge}


def valued(seed: int, **given: float) -> Valuation:
    return value_policies(world(seed, **given).log("money"), "money", learners=LINEAR)  # type: ignore[arg-type]


@pytest.mark.parametrize("learners", [LINEAR, pytest.param(LEARNERS, marks=pytest.mark.slow)])
def test_a_policy_that_serves_each_customer_better_is_found_better_and_worth_what_it_is(
    learners: Mapping[str, Fit],
) -> None:
    found = value_policies(world(1, gain=1.0).log("money"), "money", learners=learners)
    assert {claim.verdict for claim in found.claims} == {Verdict.BETTER}
    assert {claim.policy for claim in found.claims} == set(learners)
    # The trait has mean 0 and is above it for half: a constant arm earns 1.5, the right arm for each 2.
    for one in found.learned[1:]:
        assert one.adjusted is not None
        assert one.adjusted == pytest.approx(2.0, abs=0.15)
    assert found.best_constant is not None
    assert found.best_constant.adjusted == pytest.approx(1.5, abs=0.15)


def test_where_one_arm_is_best_for_all_no_learned_policy_is_claimed_to_beat_it() -> None:
    found = valued(2, lift=1.0)
    assert found.best_constant is not None
    assert found.best_constant.name == "one"
    assert Verdict.BETTER not in {claim.verdict for claim in found.claims}
    chosen = next(one for one in found.learned if one.name == BEST_CONSTANT)
    assert chosen.plays == (("one", 1.0),)


def test_where_nothing_matters_a_learned_policy_is_called_better_or_worse_seldom() -> None:
    # 2.5 % each at most: of 100 worlds 2.5, and 3 standard deviations more.
    found = [valued(seed, rows=2_400).claims[0].verdict for seed in range(100, 200)]
    assert found.count(Verdict.BETTER) <= 7
    assert found.count(Verdict.WORSE) <= 7


def test_a_row_is_decided_by_models_that_never_saw_its_customer() -> None:
    units = world(3, waves=2, rows=2_000)
    log = units.log("money")
    before, _ = learned_policies(log, learners=LINEAR)
    # Customer 7 becomes the luckiest of all with every arm drawn: it changes nothing in what customer 7 is given.
    lucky = np.where(units.customer == 7, 1_000.0, log.reward)
    after, _ = learned_policies(log.with_reward(lucky), learners=LINEAR)
    mine = units.customer == 7
    for one, other in zip(before, after, strict=True):
        assert (one.probability[mine] == other.probability[mine]).all()
        assert (one.probability != other.probability).any()


def test_rows_of_one_customer_count_once_so_repeating_the_log_tells_nothing_new() -> None:
    once = world(4, rows=1_800)
    columns = {name: np.tile(getattr(once, name), 4) for name in ("arm", "customer", "decided_at")}
    rewards = {"money": np.tile(once.rewards["money"], 4)}
    again = replace(once, **columns, context=np.tile(once.context, (4, 1)), rewards=rewards)
    widths = []
    for units in (once, again):
        bounds = value_policies(units.log("money"), "money", learners=LINEAR).constants[0].plain_interval
        assert bounds is not None
        widths.append(bounds.high - bounds.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


def test_a_confounded_log_is_not_read_further() -> None:
    found: Answer = answer(STUDY, world(5, confounded=0.5))
    assert not found.balance.passed
    assert found.valuations == ()


def test_an_arm_that_was_hardly_ever_drawn_has_no_value() -> None:
    units = world(6, rows=1_000)
    found = value_policies(units.log("money"), "money", learners=LINEAR)
    short = [one for one in found.constants if one.insufficient is not None]
    assert {one.name for one in short} <= {"one", "two"}
    assert all(one.adjusted is None and "effective sample size" in str(one.insufficient) for one in short)
    assert short
    assert all(claim.verdict == Verdict.INSUFFICIENT for claim in found.claims)
