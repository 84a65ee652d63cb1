"""What is learned is what the ledger says, whatever came first, twice, late, or in which portions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Action, Catalogue, Channel, Treatment
from features.clock import DAY
from features.domain import Arm, Outcome
from features.ledger import LearnableItem
from features.rewards import UNIT, RewardRules
from training.bandit import ArmStatistics, PolicySnapshot
from training.learner import Lesson, learn
from training.residual import taught
from training.statistics import Statistics

RULES = RewardRules(
    Catalogue(
        "v",
        {"web": Channel("web", False, 0.0, "responses", reports_display=True), "email": Channel("email")},
        ("g",),
        {"offer": Action("offer", "g", treatments=(Treatment("web"), Treatment("email")))},
        (),
    )
)
CLOSES = 7 * DAY
LATE = 30 * DAY


def item(channel: str = "web", *told: tuple[str, int], number: int = 1, at: int = 0) -> LearnableItem:
    outcomes = [Outcome(f"o{i}", f"d{number}", "c", "offer", kind, at + t) for i, (kind, t) in enumerate(told)]
    return LearnableItem(
        f"d{number}", 1, "c", Arm("offer", channel), 0.25, 0.4, 10.0, at, at + CLOSES, "b", "open", 0, None, None,
        at + CLOSES, tuple(sorted(outcomes, key=lambda o: (o.occurred_at, o.outcome_id))),
        (256, -64 * number),
    )  # fmt: skip


def sums(success: int, number: int = 1) -> tuple[int, ...]:
    """What `item` of this number adds."""
    return 1, success, UNIT // 4, *taught(success, 0.25, 0.4, (256, -64 * number))


def as_kept(items: Sequence[LearnableItem], lesson: Lesson) -> list[LearnableItem]:
    """The items as the ledger has them after a lesson."""
    kept = {(r.decision_id, r.rank): r for r in lesson.rewards}
    found = []
    for one in items:
        row = kept.get((one.decision_id, one.rank))
        found.append(one if row is None else one._replace(**row._asdict()))
    return found


def total(*lessons: Lesson) -> dict[str, Statistics]:
    found: dict[str, Statistics] = {}
    for lesson in lessons:
        for bundle, more in lesson.changes.items():
            found[bundle] = found.get(bundle, Statistics()) + more
    return found


def test_an_item_adds_once_its_success_and_what_was_predicted_on_the_day_of_its_decision() -> None:
    lesson = learn([item("web", ("accepted", 5), at=3 * DAY + 9)], RULES, 4 * DAY, LATE)
    assert total(lesson) == {"b": Statistics({("offer@web", 3): sums(UNIT)})}
    assert [r[:5] for r in lesson.rewards] == [("d1", 1, "provisional", 10 * UNIT, UNIT)]


def test_a_late_success_repairs_the_zero_exactly() -> None:
    quiet = [item("email")]
    zero = learn(quiet, RULES, CLOSES, LATE)
    assert total(zero) == {"b": Statistics({("offer@email", 0): sums(0)})}
    late = as_kept(quiet, zero)[0]._replace(outcomes=item("email", ("accepted", 5)).outcomes)
    repaired = learn([late], RULES, CLOSES + DAY, LATE)
    straight = learn([item("email", ("accepted", 5))], RULES, CLOSES + DAY, LATE)
    assert total(zero, repaired) == total(straight)
    assert repaired.rewards == straight.rewards


def test_a_contact_that_turns_out_to_have_failed_is_taken_back() -> None:
    quiet = [item("email")]
    zero = learn(quiet, RULES, CLOSES, LATE)
    failed = as_kept(quiet, zero)[0]._replace(outcomes=item("email", ("failed", 5)).outcomes)
    assert total(zero, learn([failed], RULES, CLOSES + DAY, LATE)) == {"b": Statistics()}


def test_hearing_the_same_again_teaches_nothing() -> None:
    told = [item("web", ("accepted", 5)), item("email", number=2)]
    once = learn(told, RULES, CLOSES, LATE)
    again = learn(as_kept(told, once), RULES, CLOSES + 1, LATE)
    assert (again.rewards, dict(again.changes)) == ([], {})


def test_what_was_decided_by_another_bundle_is_kept_for_that_one() -> None:
    told = [item("web", ("accepted", 5)), item("web", ("accepted", 5), number=2)._replace(bundle="older")]
    mine, other = (Statistics({("offer@web", 0): sums(UNIT, number)}) for number in (1, 2))
    assert total(learn(told, RULES, 10, LATE)) == {"b": mine, "older": other}


def test_a_decision_without_a_prediction_has_a_reward_and_teaches_nothing() -> None:
    lesson = learn([item("web", ("accepted", 5))._replace(p_model=None)], RULES, 10, LATE)
    assert len(lesson.rewards) == 1
    assert total(lesson) == {}


def test_what_was_decided_without_a_model_is_learned_apart() -> None:
    lesson = learn([item("web", ("accepted", 5))._replace(bundle=None)], RULES, 10, LATE)
    assert set(total(lesson)) == {""}


stories = st.lists(
    st.tuples(
        st.sampled_from(["web", "email"]),
        st.lists(
            st.tuples(
                st.sampled_from(["accepted", "ignored", "seen", "clicked", "failed", "converted"]),
                st.integers(0, 12 * DAY),
            ),
            max_size=4,
        ),
        st.integers(0, 20 * DAY),
    ),
    min_size=1,
    max_size=12,
)


@given(stories, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_duplication_and_portions_give_the_same_rewards_and_statistics(rows: list, rng, size: int) -> None:
    whole = [item(channel, *told, number=n, at=at) for n, (channel, told, at) in enumerate(rows)]
    end = 60 * DAY
    straight = learn(whole, RULES, end, LATE)
    kept = {one.decision_id: one._replace(outcomes=()) for one in whole}
    reports = [(one.decision_id, outcome) for one in whole for outcome in one.outcomes] * 2
    rng.shuffle(reports)
    lessons, now = [], 0
    for at in range(0, len(reports), size):
        for name, outcome in reports[at : at + size]:
            known = {outcome, *kept[name].outcomes}
            outcomes = tuple(sorted(known, key=lambda o: (o.occurred_at, o.outcome_id)))
            kept[name] = kept[name]._replace(outcomes=outcomes)
        now = rng.randint(now, end)
        some = rng.sample(list(kept.values()), rng.randint(0, len(kept)))
        lessons.append(learn(some, RULES, now, LATE))
        kept |= {one.decision_id: one for one in as_kept(some, lessons[-1])}
    full = [kept[one.decision_id]._replace(outcomes=one.outcomes) for one in whole]
    lessons.append(learn(full, RULES, end, LATE))
    assert as_kept(full, lessons[-1]) == as_kept(whole, straight)
    assert total(*lessons).get("b", Statistics()) == total(straight).get("b", Statistics())


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_survives_its_json() -> None:
    snapshot = PolicySnapshot(7, "b", {"offer@web": ArmStatistics(3, UNIT, 2 * UNIT, (-5, 7, 9))}, 20_000, 30.0)
    assert PolicySnapshot.from_json(snapshot.to_json()) == snapshot


def test_a_snapshot_of_the_first_version_is_still_read() -> None:
    old = '{"number":7,"bundle":"b","arms":{"offer@web":[3,1000000,2000000]}}'
    assert PolicySnapshot.from_json(old) == PolicySnapshot(7, "b", {"offer@web": ArmStatistics(3, UNIT, 2 * UNIT)})
    assert shifts(PolicySnapshot.from_json(old)) == [0.0, 0.0]


def shifts(snapshot: PolicySnapshot) -> list[float]:
    """By how much the logits of offer@web, and of an arm that is no kin of it, are corrected."""
    apart = (np.array([0, 1]), np.array([0, 1]))
    return snapshot.correction(("offer@web", "new@web"), apart, 3).shifts((256, -64), np.array([0, 1]))[0].tolist()


def test_an_untried_arm_keeps_the_model_and_a_tried_one_follows_the_data() -> None:
    assert shifts(PolicySnapshot(1, "b")) == [0.0, 0.0]
    answers = (50 * yes + 50 * no for yes, no in zip(sums(UNIT), sums(0), strict=True))
    tried, untried = shifts(PolicySnapshot.of(1, "b", Statistics({("offer@web", 0): tuple(answers)}), 0, 0.0))
    # Half accepted, the model said a quarter: 1.1 on the logit, but for the prior.
    assert 0.6 < tried < 1.1
    # No kin: of the little that all arms have in common, and no more.
    assert 0.0 < untried < 0.6 * tried


def test_what_is_forgotten_draws_an_arm_back_to_the_model() -> None:
    learned = Statistics({("offer@web", 0): tuple(100 * n for n in sums(UNIT))})
    found = [shifts(PolicySnapshot.of(1, "b", learned, day, 10.0))[0] for day in (0, 20, 100, 2_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0.0
    quarter = Statistics({("offer@web", 0): tuple(25 * n for n in sums(UNIT))})
    assert found[1] == pytest.approx(shifts(PolicySnapshot.of(1, "b", quarter, 0, 0.0))[0], rel=1e-6)
