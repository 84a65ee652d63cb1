from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.history import allowed_arms, answer_kind, history, write_history
from experiments.simulator import (
    World,
    best_arm,
    expected_reward,
    expected_rewards,
    random_reward,
    response_probabilities,
    response_probability,
    silent_days,
    true_values,
)
from features.catalogue import EMPTY_CATALOGUE, Channel, load_catalogue
from features.clock import DAY
from features.domain import DO_NOTHING, Arm
from features.ledger import open_ledger
from features.settings import SHIPPED

CATALOGUE = load_catalogue(SHIPPED / "catalogue")
NOW = 20_000 * DAY
WORLD = World(7, CATALOGUE, 300)
PAST = history(WORLD, 120, now=NOW)


def test_the_truth_is_a_function_of_seed_and_ids_alone() -> None:
    arm = next(CATALOGUE.arms())
    again = World(7, CATALOGUE, 300)
    other = World(8, CATALOGUE, 300)
    ids = WORLD.customer_ids[:20]
    truth = response_probabilities(WORLD, ids, [arm], None)
    assert np.array_equal(truth, response_probabilities(again, ids, [arm], None))
    assert not np.array_equal(truth, response_probabilities(other, ids, [arm], None))


def test_a_larger_world_keeps_the_customers_of_a_smaller_one() -> None:
    larger = World(7, CATALOGUE, 600)
    arms = list(CATALOGUE.arms())
    ids = WORLD.customer_ids[:50]
    assert np.array_equal(silent_days(WORLD, ids), silent_days(larger, ids))
    assert (
        np.abs(response_probabilities(WORLD, ids, arms, None) - response_probabilities(larger, ids, arms, None)).max()
        < 1e-12
    )


def test_a_world_answers_for_customers_it_did_not_make() -> None:
    arm = next(CATALOGUE.arms())
    assert 0.0 < response_probability(WORLD, "0009655768c64bdeb2e877511632db8f", arm, NOW) < 1.0
    assert silent_days(WORLD, ["0009655768c64bdeb2e877511632db8f"])[0] == 0.0


def test_doing_nothing_earns_nothing() -> None:
    assert expected_reward(WORLD, "sim-000001", DO_NOTHING, NOW) == 0.0
    assert response_probability(WORLD, "sim-000001", DO_NOTHING, NOW) == 0.0


def test_the_expected_reward_is_probability_times_value_less_the_cost_of_contact() -> None:
    arm = Arm("upgrade_premium", "sms")
    p = response_probability(WORLD, "sim-000001", arm, NOW)
    assert expected_reward(WORLD, "sim-000001", arm, NOW) == pytest.approx(p * 40.0 - 0.06)


def test_the_best_arm_earns_no_less_than_a_random_one() -> None:
    arms = [*CATALOGUE.arms(), DO_NOTHING]
    best = best_arm(WORLD, "sim-000002", arms, NOW)
    assert expected_reward(WORLD, "sim-000002", best, NOW) >= random_reward(WORLD, "sim-000002", arms, NOW)


def test_choosing_for_each_customer_beats_the_best_single_arm_and_that_beats_random() -> None:
    rewards = expected_rewards(WORLD, WORLD.customer_ids, list(CATALOGUE.arms()))
    one_for_all, random = rewards.mean(axis=0).max(), rewards.mean()
    assert rewards.max(axis=1).mean() > 1.5 * one_for_all
    assert one_for_all > 1.2 * random > 0


def test_a_value_over_scores_uses_the_true_scores_and_an_unreadable_one_a_constant() -> None:
    churn = true_values(WORLD, WORLD.customer_ids, "stay_discount")
    assert churn.min() >= 0.0
    assert churn.max() <= 60.0
    assert churn.std() > 1.0
    action = replace(CATALOGUE.actions["stay_discount"], value="customer.age > 30 ? 5.0 : 2.0")
    odd = World(7, replace(CATALOGUE, actions={**CATALOGUE.actions, "stay_discount": action}), 10)
    assert np.ptp(true_values(odd, odd.customer_ids, "stay_discount")) == 0.0


def test_past_decisions_state_the_probability_of_a_uniform_draw() -> None:
    customers = {c.customer_id: c for c in PAST.customers}
    assert len(PAST.decisions) > 1_000
    for decision in PAST.decisions:
        allowed = allowed_arms(WORLD, customers[decision.customer_id])
        assert decision.arm in allowed
        assert decision.action_probability == 1.0 / len(allowed)


def test_outcomes_of_the_past_follow_the_truth() -> None:
    accepted = {o.decision_id for o in PAST.outcomes if o.kind == "accepted"}
    contacts = [d for d in PAST.decisions if d.arm != DO_NOTHING and d.items[0].closes_at <= NOW]
    expected = [response_probability(WORLD, d.customer_id, d.arm) for d in contacts]
    seen = [d.decision_id in accepted for d in contacts]
    error = np.sqrt(np.sum(np.array(expected) * (1 - np.array(expected))))
    assert abs(sum(seen) - sum(expected)) < 3.5 * error
    assert np.corrcoef(expected, seen)[0, 1] > 0.15


def test_a_channel_that_reports_acceptances_keeps_silent_about_the_rest() -> None:
    quiet, open_ = Channel("email"), Channel("web", outbound=False, reports="responses")
    assert answer_kind(quiet, True, "accepted", 0.5) == "accepted"
    assert answer_kind(quiet, False, "accepted", 0.5) is None
    assert answer_kind(open_, False, "accepted", 0.1) == "rejected"
    assert answer_kind(open_, False, "accepted", 0.9) == "ignored"


def test_nothing_of_the_past_lies_in_the_future_or_before_the_customer_joined() -> None:
    joined = {c.customer_id: c.created_at or 0 for c in PAST.customers}
    assert max(e.occurred_at for e in PAST.events) <= NOW
    assert max(o.occurred_at for o in PAST.outcomes) <= NOW
    assert all(e.occurred_at >= joined[e.customer_id] - DAY for e in PAST.events)


def test_ids_are_unique_and_some_customers_deny_a_channel_and_some_never_said() -> None:
    assert len({e.event_id for e in PAST.events}) == len(PAST.events)
    assert len({o.outcome_id for o in PAST.outcomes}) == len(PAST.outcomes)
    said = [c.consents.get("email") for c in PAST.customers]
    assert {"granted", "denied", None} == set(said)


def test_writing_the_same_history_twice_changes_nothing(tmp_path: Path) -> None:
    ledger, small, heard = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), World(7, CATALOGUE, 20), []
    past = write_history(small, ledger, NOW, heard.append)
    counts = [ledger.count(table) for table in ("customers", "events", "decisions", "outcomes")]
    assert counts == [len(past.customers), len(past.events), len(past.decisions), len(past.outcomes)]
    assert heard[-1] == 1.0
    assert heard == sorted(heard)
    write_history(small, ledger, NOW)
    assert counts == [ledger.count(table) for table in ("customers", "events", "decisions", "outcomes")]
    ledger.close()


def test_an_empty_world_and_an_empty_catalogue_have_an_empty_past() -> None:
    assert history(World(1, CATALOGUE, 0), now=NOW).events == []
    assert all(d.arm == DO_NOTHING for d in history(World(1, EMPTY_CATALOGUE, 5), now=NOW).decisions)
