"""What the outcomes of one decided item come to: windows, rules, and the three states."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations

import pytest

from features.catalogue import Action, Catalogue, Channel, Reward, Treatment
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Outcome
from features.ledger import LearnableItem
from features.rewards import UNIT, RewardRules, reward

CHANNELS = {
    "web": Channel("web", False, 0.0, "responses", reports_display=True, display_days=2.0),
    "app": Channel("app", False, 0.0, "responses"),
    "email": Channel("email"),
    "banner": Channel("banner", False, reports_display=True, display_days=2.0),
}
OFFER = Action("offer", "g", treatments=tuple(Treatment(name) for name in CHANNELS))
CLOSES = 7 * DAY
LATE = 30 * DAY


def item(channel: str = "email", *told: tuple[str, int] | tuple[str, int, float], shown: int | None = None):
    outcomes = [Outcome(f"o{n}", "d", "c", "offer", t[0], t[1], 1, *t[2:]) for n, t in enumerate(told)]
    outcomes.sort(key=lambda o: (o.occurred_at, o.outcome_id))
    return LearnableItem(
        "d", 1, "c", Arm("offer", channel), 0.25, 0.25, 10.0, 0, CLOSES, "b", "open", 0, None, shown, CLOSES,
        tuple(outcomes),
    )  # fmt: skip


def judged(one: LearnableItem, now: int, action: Action = OFFER) -> tuple[str, float, int | None, int | None]:
    """(state, money, success learned, due) at a moment."""
    rules = RewardRules(Catalogue("v", CHANNELS, ("g",), {action.id: action}, ()))
    state, units, success, due_at = reward(one, rules.of(one), now, LATE)
    return state, units / UNIT, None if success is None else success // UNIT, due_at


def test_an_open_window_is_not_a_zero() -> None:
    assert judged(item(), CLOSES - 1) == ("open", 0.0, None, CLOSES)


def test_silence_is_a_provisional_zero_when_the_window_closes_and_final_once_no_late_report_is_expected() -> None:
    assert judged(item(), CLOSES) == ("provisional", 0.0, 0, CLOSES + LATE)
    assert judged(item(), CLOSES + LATE) == ("final", 0.0, 0, None)


def test_a_channel_that_reports_every_response_is_learned_from_at_once() -> None:
    assert judged(item("app", ("accepted", 5)), 10) == ("provisional", 10.0, 1, CLOSES)
    assert judged(item("app", ("ignored", 5)), 10) == ("provisional", 0.0, 0, CLOSES)
    assert judged(item("app", ("accepted", 5)), CLOSES) == ("final", 10.0, 1, None)


def test_a_channel_that_reports_successes_only_is_learned_from_when_the_window_closes() -> None:
    early = item("email", ("accepted", 5))
    assert judged(early, CLOSES - 1) == ("provisional", 10.0, None, CLOSES)
    assert judged(early, CLOSES) == ("final", 10.0, 1, None)


def test_a_refusal_taken_back_inside_the_window_is_a_success() -> None:
    assert judged(item("app", ("ignored", 5), ("accepted", 9)), 10) == ("provisional", 10.0, 1, CLOSES)


def test_a_success_after_the_window_does_not_count_and_one_at_its_end_does() -> None:
    assert judged(item("email", ("accepted", CLOSES)), CLOSES)[1:3] == (10.0, 1)
    assert judged(item("email", ("accepted", CLOSES + 1)), CLOSES + 5) == ("provisional", 0.0, 0, CLOSES + LATE)


def test_a_late_report_of_a_success_in_time_counts_whenever_it_comes() -> None:
    assert judged(item("email", ("accepted", 5)), CLOSES + LATE + DAY) == ("final", 10.0, 1, None)


def test_seeing_is_neither_a_success_nor_a_refusal() -> None:
    assert judged(item("app", ("seen", 0)), 10) == ("open", 0.0, None, CLOSES)


# -- windows start at display ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "closes_at"),
    [
        (item("web", shown=HOUR), HOUR + CLOSES),
        (item("web", ("seen", HOUR)), HOUR + CLOSES),
        (item("web", ("seen", 3 * HOUR), shown=HOUR), HOUR + CLOSES),
        (item("web", ("seen", HOUR), shown=3 * HOUR), HOUR + CLOSES),
        (item("web", shown=5 * DAY), 2 * DAY + CLOSES),  # capped from the decision
        (item("web", shown=-5), CLOSES),  # a clock that is slow
        (item("web"), CLOSES),
    ],
)
def test_the_window_starts_with_the_display_at_the_latest_so_long_after_the_decision(
    one: LearnableItem, closes_at: int
) -> None:
    assert judged(one, closes_at - 1) == ("open", 0.0, None, closes_at)
    assert judged(one, closes_at)[0] == "provisional"


def test_what_was_never_displayed_teaches_nothing_where_displays_are_reported() -> None:
    assert judged(item("banner"), CLOSES) == ("provisional", 0.0, None, CLOSES + LATE)
    assert judged(item("banner", shown=5), CLOSES + 5)[2] == 0
    assert judged(item("email"), CLOSES)[2] == 0


def test_who_answers_has_seen_it() -> None:
    assert judged(item("banner", ("accepted", 5)), CLOSES)[2] == 1


def test_a_contact_that_failed_teaches_nothing_unless_it_was_made_after_all() -> None:
    assert judged(item("email", ("failed", 5)), CLOSES)[2] is None
    assert judged(item("email", ("failed", 5), shown=9), CLOSES + 9)[2] == 0
    assert judged(item("email", ("failed", 5), ("clicked", 9)), CLOSES)[2] == 0


# -- what outcomes earn ------------------------------------------------------------------------------------------------

DETAILED = replace(
    OFFER,
    rewards=(
        Reward("clicked", 0.5, 1.0),
        Reward("clicked", 0.2, 1.0, "email"),
        Reward("converted", None, 20.0),
        Reward("opted_out", -5.0),
    ),
)


def test_each_outcome_earns_its_own_value_in_its_own_window_on_its_own_channel() -> None:
    assert judged(item("app", ("clicked", DAY)), 2 * DAY, DETAILED)[1] == 0.5
    assert judged(item("email", ("clicked", DAY)), 2 * DAY, DETAILED)[1] == 0.2
    assert judged(item("app", ("clicked", DAY + 1)), 2 * DAY, DETAILED)[1] == 0.0
    assert judged(item("app", ("converted", 20 * DAY, 33.3)), 20 * DAY, DETAILED)[1] == 33.3
    assert judged(item("app", ("opted_out", DAY)), 2 * DAY, DETAILED)[1] == -5.0


def test_an_outcome_without_a_value_of_its_own_earns_what_it_reports_or_else_the_value_at_the_decision() -> None:
    assert judged(item("app", ("accepted", 5, 12.5)), 10)[1] == 12.5
    assert judged(item("app", ("accepted", 5)), 10)[1] == 10.0


def test_the_earliest_counts_or_all_add_up() -> None:
    told = item("app", ("accepted", 9), ("clicked", 5), ("clicked", 7))
    assert judged(told, 10, DETAILED)[1] == 0.5
    assert judged(told, 10, replace(DETAILED, reward_rule="sum"))[1] == 11.0


def test_nothing_that_earns_by_the_end_earns_the_default() -> None:
    costly = replace(OFFER, default_reward=-0.25)
    assert judged(item("email"), CLOSES - 1, costly)[1] == 0.0
    assert judged(item("email"), CLOSES, costly)[1] == -0.25
    assert judged(item("email", ("accepted", 5)), CLOSES, costly)[1] == 10.0


def test_success_is_learned_when_its_own_window_closes_though_others_are_still_open() -> None:
    quiet = item("email")
    assert judged(quiet, CLOSES, DETAILED) == ("provisional", 0.0, 0, 20 * DAY)
    assert judged(quiet, 20 * DAY, DETAILED) == ("provisional", 0.0, 0, 20 * DAY + LATE)


def test_an_action_may_call_another_outcome_its_success_with_another_window_on_a_channel() -> None:
    clicks = replace(OFFER, outcome="clicked", rewards=(Reward("clicked", None, 1.0, "email"),))
    assert judged(item("email", ("clicked", DAY)), DAY, clicks)[2] == 1
    assert judged(item("email", ("clicked", DAY + 1)), 2 * DAY, clicks)[2] == 0
    assert judged(item("app", ("clicked", 6 * DAY)), 6 * DAY, clicks)[2] == 1
    assert judged(item("app", ("accepted", 5)), CLOSES, clicks)[2] == 0


def test_an_action_the_catalogue_no_longer_has_keeps_the_window_of_its_decision() -> None:
    gone = item("email", ("accepted", 5))._replace(arm=Arm("old", "email"), closes_at=2 * DAY)
    assert judged(gone, 2 * DAY - 1) == ("provisional", 10.0, None, 2 * DAY)
    assert judged(gone, 2 * DAY) == ("final", 10.0, 1, None)


def test_doing_nothing_earns_nothing_and_is_final() -> None:
    assert judged(item()._replace(arm=DO_NOTHING), 0) == ("final", 0.0, None, None)


def test_amounts_no_sum_could_hold_are_limited() -> None:
    told = item("app", *[("accepted", n, 1e300) for n in range(5)])
    assert judged(told, 10, replace(OFFER, reward_rule="sum"))[1] == 1e12


def test_time_alone_changes_nothing_before_an_item_is_due() -> None:
    rng = random.Random(7)
    kinds = ["accepted", "clicked", "ignored", "seen", "failed", "converted", "opted_out"]
    for _ in range(300):
        told = [(rng.choice(kinds), rng.randrange(30 * DAY)) for _ in range(rng.randrange(4))]
        one = item(rng.choice([*CHANNELS]), *told, shown=rng.choice([None, rng.randrange(5 * DAY)]))
        at = rng.randrange(40 * DAY)
        found = judged(one, at, DETAILED)
        while found[3] is not None:
            assert found[3] > at
            assert judged(one, found[3] - 1, DETAILED) == found
            at, found = found[3], judged(one, found[3], DETAILED)
            assert judged(one, at, DETAILED) == found
        assert found[0] == "final"
        assert judged(one, at + 1_000 * DAY, DETAILED) == found


def test_the_order_in_which_outcomes_are_told_is_not_seen() -> None:
    told = [("accepted", 9), ("clicked", 5), ("ignored", 7)]
    assert len({judged(item("app", *order), 10, DETAILED) for order in permutations(told)}) == 1
