"""Each decision is learned from exactly once, when it is final, and a late success repairs what was learned."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Action, Catalogue, Channel, Treatment
from features.clock import DAY
from features.domain import Arm, Outcome
from features.ledger import LearnableItem
from training.bandit import UNIT, ArmStatistics, PolicySnapshot
from training.learner import learn, reward

CATALOGUE = Catalogue(
    "v",
    {"web": Channel("web", False, 0.0, "responses"), "email": Channel("email")},
    ("g",),
    {"offer": Action("offer", "g", treatments=(Treatment("web"), Treatment("email")))},
    (),
)
CLOSES = 7 * DAY


def item(channel: str = "web", *kinds: tuple[str, int], state: str = "open", units: int = 0, number: int = 1):
    outcomes = tuple(Outcome(f"o{i}", f"d{number}", "c", "offer", kind, at) for i, (kind, at) in enumerate(kinds))
    return LearnableItem(
        f"d{number}", 1, "c", Arm("offer", channel), 0.25, 0.25, 10.0, 0, CLOSES, "b", state, units, outcomes
    )


def test_a_channel_that_reports_every_response_is_learned_from_at_once() -> None:
    assert reward(item("web", ("accepted", 5)), CATALOGUE, now=10) == ("final", UNIT)
    assert reward(item("web", ("ignored", 5)), CATALOGUE, now=10) == ("final", 0)


def test_a_channel_that_reports_successes_only_is_learned_from_when_the_window_closes() -> None:
    early = item("email", ("accepted", 5))
    assert reward(early, CATALOGUE, now=CLOSES - 1) == ("open", 0)
    assert reward(early, CATALOGUE, now=CLOSES) == ("final", UNIT)


def test_an_open_window_is_not_a_zero() -> None:
    assert reward(item("email"), CATALOGUE, now=CLOSES - 1) == ("open", 0)
    assert reward(item("email"), CATALOGUE, now=CLOSES) == ("final", 0)


def test_a_success_after_the_window_does_not_count() -> None:
    assert reward(item("email", ("accepted", CLOSES + 1)), CATALOGUE, now=CLOSES + 5) == ("final", 0)


def test_seeing_is_neither_a_success_nor_a_refusal() -> None:
    assert reward(item("web", ("seen", 5)), CATALOGUE, now=10) == ("open", 0)


def test_a_late_success_repairs_the_zero_exactly() -> None:
    start = PolicySnapshot(0, "b")
    zero, rewards = learn(start, [item("email")], CATALOGUE, now=CLOSES)
    assert rewards == [("d1", 1, "final", 0)]
    late = item("email", ("accepted", 5), state="final", units=0)
    repaired, again = learn(zero, [late], CATALOGUE, now=CLOSES + DAY)
    straight, _ = learn(start, [item("email", ("accepted", 5))], CATALOGUE, now=CLOSES + DAY)
    assert repaired.arms == straight.arms == {"offer@email": ArmStatistics(1, UNIT, UNIT // 4)}
    assert again == [("d1", 1, "final", UNIT)]


def test_hearing_the_same_again_teaches_nothing() -> None:
    once, _ = learn(PolicySnapshot(0, "b"), [item("web", ("accepted", 5))], CATALOGUE, now=10)
    done = item("web", ("accepted", 5), state="final", units=UNIT)
    twice, rewards = learn(once, [done], CATALOGUE, now=20)
    assert rewards == []
    assert twice.arms == once.arms


def test_decisions_of_another_bundle_do_not_correct_this_one() -> None:
    other = replace(item("web", ("accepted", 5)), bundle="older")
    learned, rewards = learn(PolicySnapshot(0, "b"), [other], CATALOGUE, now=10)
    assert learned.arms == {}
    assert rewards == [("d1", 1, "final", UNIT)]


heard = st.lists(st.tuples(st.sampled_from(["web", "email"]), st.booleans()), min_size=1, max_size=30)


@given(heard, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_and_any_batches_give_the_same_policy(rows: list, random, size: int) -> None:
    items = [item(channel, ("accepted" if yes else "ignored", 5), number=n) for n, (channel, yes) in enumerate(rows)]
    start = PolicySnapshot(0, "b")
    whole, _ = learn(start, items, CATALOGUE, now=CLOSES)
    mixed = random.sample(items, len(items))
    parts = start
    for at in range(0, len(mixed), size):
        parts, _ = learn(parts, mixed[at : at + size], CATALOGUE, now=CLOSES)
    assert parts.arms == whole.arms


def test_a_snapshot_survives_its_json() -> None:
    snapshot = PolicySnapshot(7, "b", {"offer@web": ArmStatistics(3, UNIT, 2 * UNIT)})
    assert PolicySnapshot.from_json(snapshot.to_json()) == snapshot


def test_an_untried_arm_keeps_the_model_and_a_tried_one_follows_the_data() -> None:
    snapshot = PolicySnapshot(1, "b", {"loved": ArmStatistics(1000, 100 * UNIT, 50 * UNIT)})
    assert snapshot.ratio("new") == 1.0
    assert snapshot.ratio("loved") == 102 / 52
