"""One decision: filters in order, the draw last, and a record that explains every arm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from features.catalogue import Catalogue, load_catalogue
from features.clock import DAY, HOUR, parse_time
from features.domain import DO_NOTHING, Arm, Candidate, Customer, Decision, Stage
from features.ledger import ContactSlot
from features.settings import Settings
from serving.assignment import Layer, holdout_layer
from serving.engine import decide
from serving.expressions import compile_catalogue
from serving.request import Knowledge, Request
from serving.strategy import P_WITHOUT_MODEL, Strategy
from training.bandit import UNIT, ArmStatistics, PolicySnapshot
from training.explorer import Explorer, make_explorer
from training.policies import EpsilonGreedy
from training.residual import taught

NOW = parse_time("2026-03-01T12:00:00Z")
CATALOGUE = """
[[group]]
id = "growth"
[[group]]
id = "help"
[[channel]]
id = "email"
cost = 0.01
[[channel]]
id = "web"
outbound = false
reports = "responses"
[[action]]
id = "upgrade"
group = "growth"
value = 40.0
lever = 55
eligible = "customer.tenure_days >= 30"
treatment = [{channel = "email", content = "upgrade/email"}, {channel = "web"}]
[[action]]
id = "christmas"
group = "growth"
value = 10.0
starts_at = 2026-12-01T00:00:00Z
ends_at = 2026-12-27T00:00:00Z
treatment = [{channel = "web"}]
[[action]]
id = "follow_up"
group = "help"
class = "service"
value = "5.0 + customer.tenure_days"
treatment = [{channel = "email"}]
[[contact_policy]]
id = "one-a-day"
scope = "all"
limit = 1
window_days = 1
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "all.toml").write_text(CATALOGUE)
    return load_catalogue(tmp_path)


@pytest.fixture
def strategy(catalogue: Catalogue) -> Strategy:
    compiled, faults = compile_catalogue(catalogue, ("tenure_days",))
    assert faults == []
    return Strategy(compiled, None, PolicySnapshot(), Explorer(EpsilonGreedy(0.1)))


ANNA = Knowledge(Customer("anna", consents={"email": "granted"}), {"tenure_days": 100.0})


def ask(
    strategy: Strategy, knowledge: Knowledge = ANNA, share: float = 0.0, now: int = NOW, **request: object
) -> Decision:
    asked = Request("r-1", "anna", **request)  # type: ignore[arg-type]
    layers = [Layer("holdout", "holdout", "everyone", share)]
    return decide(asked, knowledge, strategy, decision_id="d-1", now=now, layers=layers, salt="s")


def stages(decision: Decision) -> dict[str, tuple[Stage | None, str | None]]:
    return {c.arm: (c.removal.stage, c.removal.rule) if c.removal else (None, None) for c in decision.candidates or ()}


def candidate(decision: Decision, arm: str) -> Candidate:
    return next(c for c in decision.candidates or () if c.arm == arm)


def test_every_arm_is_considered_and_doing_nothing_is_never_removed(strategy: Strategy) -> None:
    found = stages(ask(strategy))
    assert found == {
        "upgrade@email": (None, None),
        "upgrade@web": (None, None),
        "christmas@web": (Stage.CATALOGUE, "starts_at"),
        "follow_up@email": (None, None),
        DO_NOTHING.key: (None, None),
    }


def test_probabilities_of_the_survivors_sum_to_one_and_the_removed_have_none(strategy: Strategy) -> None:
    decision = ask(strategy)
    assert decision.candidates is not None
    assert sum(c.probability for c in decision.candidates) == pytest.approx(1.0, abs=1e-12)
    assert all((c.probability > 0) == (c.removal is None) for c in decision.candidates)
    assert decision.action_probability == candidate(decision, decision.arm.key).probability


def test_a_survivor_shows_each_factor_of_its_priority(strategy: Strategy) -> None:
    one = candidate(ask(strategy), "upgrade@email")
    assert (one.p_model, one.action_value, one.lever, one.contact_cost) == (P_WITHOUT_MODEL, 40.0, 1.55, 0.01)
    assert one.priority == pytest.approx(P_WITHOUT_MODEL * 40.0 * 1.55 - 0.01)
    follow_up = candidate(ask(strategy), "follow_up@email")
    assert follow_up.action_value == 105.0


PLACED = """
[[intent]]
id = "leaving"
weight = [{ action = "upgrade", percent = 50 }]
[[action]]
id = "banner"
group = "growth"
value = 1.0
placements = ["home"]
treatment = [{channel = "web"}]
"""
READING = "applicable = \"context.intent == 'moving' || context.placement == 'attic'\"\n"


@pytest.mark.parametrize(
    ("asked", "warnings"),
    [
        ({}, ()),
        ({"intent": "leaving", "placement": "home"}, ()),
        ({"intent": "leving"}, ("unknown_intent",)),
        ({"intent": "leaving", "placement": "hoem"}, ("unknown_placement",)),
        ({"intent": "home", "placement": "leaving"}, ("unknown_intent", "unknown_placement")),
    ],
)
def test_what_a_request_names_and_the_catalogue_does_not_know_is_warned_of(
    tmp_path: Path, asked: dict[str, str], warnings: tuple[str, ...]
) -> None:
    def deciding_by(catalogue: str) -> Strategy:
        (tmp_path / "all.toml").write_text(catalogue)
        compiled, faults = compile_catalogue(load_catalogue(tmp_path), ("tenure_days",))
        assert faults == []
        return Strategy(compiled, None, PolicySnapshot(), Explorer(EpsilonGreedy(0.1)))

    strategy = deciding_by(CATALOGUE + PLACED)
    assert ask(strategy, **asked).warnings == warnings
    assert ask(strategy, Knowledge(None), **asked).warnings == warnings  # whoever it is about
    # A condition that reads them may know any name.
    assert ask(deciding_by(CATALOGUE + PLACED + READING), **asked).warnings == ()


def test_the_same_arguments_give_the_same_decision(strategy: Strategy) -> None:
    assert msgspec.json.encode(ask(strategy)) == msgspec.json.encode(ask(strategy))


def test_a_holdout_customer_gets_nothing_with_certainty(strategy: Strategy) -> None:
    decision = ask(strategy, share=1.0)
    assert (decision.result, decision.reason, decision.arm) == ("do_nothing", "holdout", DO_NOTHING)
    assert decision.action_probability == 1.0
    assert decision.variants == {"holdout": "holdout"}


def test_an_unknown_customer_is_a_result(strategy: Strategy) -> None:
    decision = ask(strategy, Knowledge(None))
    assert (decision.result, decision.reason) == ("do_nothing", "unknown_customer")


def test_unknown_consent_stops_marketing_but_not_service(strategy: Strategy) -> None:
    found = stages(ask(strategy, replace(ANNA, customer=Customer("anna"))))
    assert found["upgrade@email"] == (Stage.CONSENT, "consent.email")
    assert found["upgrade@web"] == (None, None)
    assert found["follow_up@email"] == (None, None)


def test_denied_consent_stops_service_too(strategy: Strategy) -> None:
    found = stages(ask(strategy, replace(ANNA, customer=Customer("anna", consents={"email": "denied"}))))
    assert found["follow_up@email"] == (Stage.CONSENT, "consent.email")


def test_a_condition_on_a_missing_feature_removes_and_says_so(strategy: Strategy) -> None:
    decision = ask(strategy, replace(ANNA, features={}, fallback_reason="features_unavailable"))
    removal = candidate(decision, "upgrade@web").removal
    assert removal is not None
    assert (removal.stage, removal.rule, removal.seen) == (
        Stage.ELIGIBILITY,
        "eligible",
        "customer.tenure_days = missing",
    )
    assert decision.fallback_reason == "features_unavailable"


def test_a_missing_model_is_marked(strategy: Strategy) -> None:
    assert ask(strategy).fallback_reason == "no_model"


def test_only_channels_asked_for_remain(strategy: Strategy) -> None:
    found = stages(ask(strategy, channels=("web",)))
    assert found["upgrade@email"] == (Stage.CATALOGUE, "channels")
    assert found["upgrade@web"] == (None, None)


def test_no_arm_left_is_a_result(strategy: Strategy) -> None:
    decision = ask(strategy, channels=())
    assert (decision.result, decision.reason, decision.action_probability) == ("do_nothing", "no_eligible_action", 1.0)


def test_dates_open_and_close_exactly(strategy: Strategy) -> None:
    start, end = parse_time("2026-12-01T00:00:00Z"), parse_time("2026-12-27T00:00:00Z")
    live = {at: stages(ask(strategy, now=at))["christmas@web"][1] for at in (start - 1, start, end - 1, end)}
    assert live == {start - 1: "starts_at", start: None, end - 1: None, end: "ends_at"}


def slot(hours_ago: int, state: str = "reserved", action: str = "upgrade", kind: str = "marketing") -> ContactSlot:
    at = NOW - hours_ago * HOUR
    return ContactSlot(Arm(action, "email"), "growth", kind, at, at + DAY, state)


@pytest.mark.parametrize(
    ("slots", "held"),
    [
        ([], False),
        ([slot(1)], True),
        ([slot(23)], True),
        ([slot(24)], False),
        ([slot(1, kind="service")], False),
    ],
)
def test_the_contact_limit_counts_marketing_contacts_in_its_window(
    strategy: Strategy, slots: list[ContactSlot], held: bool
) -> None:
    found = stages(ask(strategy, replace(ANNA, slots=slots)))
    assert (found["upgrade@email"] == (Stage.CONTACT_POLICY, "one-a-day")) is held
    assert found["upgrade@web"] == (None, None)  # a visit is no contact
    assert found["follow_up@email"] == (None, None)  # service passes marketing limits


def test_an_expired_promise_that_was_never_shown_counts_no_more(strategy: Strategy) -> None:
    expired = ContactSlot(Arm("upgrade", "email"), "growth", "marketing", NOW - 2 * HOUR, NOW - HOUR, "reserved")
    shown = msgspec.structs.replace(expired, state="committed")
    assert stages(ask(strategy, replace(ANNA, slots=[expired])))["upgrade@email"] == (None, None)
    assert stages(ask(strategy, replace(ANNA, slots=[shown])))["upgrade@email"][0] == Stage.CONTACT_POLICY


def test_what_was_learned_changes_the_priority_and_the_draw(strategy: Strategy) -> None:
    answer = [taught(success, P_WITHOUT_MODEL, P_WITHOUT_MODEL, ()) for success in (UNIT, 0)]
    residual = tuple(50 * (yes + no) for yes, no in zip(*answer, strict=True))
    loved = PolicySnapshot(1, None, {"upgrade@web": ArmStatistics(100, 50_000_000, 2_000_000, residual)})
    decision = ask(replace(strategy, snapshot=loved))
    one = candidate(decision, "upgrade@web")
    assert one.p_accept == pytest.approx(0.4, abs=0.05)  # half of 100 accepted it, 2 % were expected to
    assert one.probability == max(c.probability for c in decision.candidates or ())
    assert decision.versions.policy == "epsilon-greedy-0.1/1"


def test_in_a_new_home_draws_go_by_what_a_success_is_worth_and_every_arm_has_a_chance(strategy: Strategy) -> None:
    new = replace(strategy, policy=make_explorer(Settings()))
    made = ask(new)
    assert (made.fallback_reason, made.versions.policy) == ("no_model", f"{new.policy.name}/0")
    possible = sorted((c for c in made.candidates or () if c.removal is None), key=lambda c: c.priority or 0.0)
    # Of the arms nothing is known but what they are worth: one probability for all, and unsure of it alike.
    arms = [c for c in possible if c.arm != DO_NOTHING.key]
    assert [c.p_accept for c in arms] == [P_WITHOUT_MODEL] * 3
    unsure = [(c.deviation or 0.0) / ((c.priority or 0.0) + c.contact_cost) for c in arms]
    assert unsure == pytest.approx([unsure[0]] * 3)
    assert 0.5 < unsure[0] < 1.0
    shares = [c.probability for c in possible]
    assert shares == sorted(shares)
    assert shares[0] == new.policy.probability_floor  # doing nothing: no arm is likely to bring less
    assert shares[1] > 0.05
    assert shares[-1] < 0.8


def test_an_empty_catalogue_is_a_result(tmp_path: Path) -> None:
    compiled, _ = compile_catalogue(load_catalogue(tmp_path), ())
    decision = ask(Strategy(compiled, None, PolicySnapshot(), Explorer(EpsilonGreedy())))
    assert (decision.result, decision.reason) == ("do_nothing", "empty_catalogue")


def test_a_slate_fills_places_with_different_actions(strategy: Strategy) -> None:
    for number in range(40):
        layers = [holdout_layer(0.0)]
        asked = Request(f"r{number}", "anna", limit=3)
        decision = decide(asked, ANNA, strategy, decision_id=f"d{number}", now=NOW, layers=layers, salt="s")
        actions = [i.arm.action for i in decision.items]
        assert len(set(actions)) == len(actions)
        assert [i.rank for i in decision.items] == list(range(1, len(actions) + 1))


LIMITS = """
[[quiet_hours]]
id = "night"
start = "21:00"
end = "08:00"
zones = ["Europe/Berlin"]
[[intent]]
id = "cancel"
weight = [{ group = "help", percent = 80 }, { action = "follow_up", percent = -30 }]
"""
NIGHT = parse_time("2026-03-01T23:00:00Z")  # midnight in Berlin


def with_limits(folder: Path, more: str = LIMITS, changed: str = CATALOGUE) -> Strategy:
    (folder / "limits.toml").write_text(changed + more)
    compiled, faults = compile_catalogue(load_catalogue(folder), ("tenure_days",))
    assert faults == []
    return Strategy(compiled, None, PolicySnapshot(), Explorer(EpsilonGreedy(0.1)))


def test_quiet_hours_hold_back_marketing_that_goes_out_and_nothing_else(tmp_path: Path) -> None:
    found = stages(ask(with_limits(tmp_path), now=NIGHT))
    assert found["upgrade@email"] == (Stage.CONTACT_POLICY, "night")
    assert found["upgrade@web"] == (None, None)
    assert found["follow_up@email"] == (None, None)


def only_mail(knowledge: Knowledge = ANNA, **consents: str) -> Knowledge:
    """Service messages denied, so that nothing but the upgrade is left."""
    said = {"email": "granted", "service/email": "denied"} | consents
    return replace(knowledge, customer=Customer("anna", zone="Europe/Berlin", consents=said))


def test_where_only_time_holds_everything_back_the_answer_says_when_to_ask_again(tmp_path: Path) -> None:
    strategy = with_limits(tmp_path)
    decision = ask(strategy, only_mail(), now=NIGHT, channels=("email",))
    assert (decision.reason, decision.defer_until) == ("no_eligible_action", parse_time("2026-03-02T07:00:00Z"))
    assert decision.defer_until is not None
    later = ask(strategy, only_mail(), now=decision.defer_until, channels=("email",))
    assert stages(later)["upgrade@email"] == (None, None)
    assert later.defer_until is None


def test_a_limit_that_opens_in_the_night_waits_for_the_morning(tmp_path: Path) -> None:
    contact = slot(13)  # opens at 23:00 UTC, midnight in Berlin
    decision = ask(with_limits(tmp_path), replace(only_mail(), slots=[contact]), channels=("email",))
    assert decision.defer_until == parse_time("2026-03-02T07:00:00Z")


def test_what_else_than_time_stands_in_the_way_is_not_waited_for(tmp_path: Path) -> None:
    strategy = with_limits(tmp_path)
    assert ask(strategy, only_mail(email="denied"), now=NIGHT, channels=("email",)).defer_until is None
    expiring = only_mail(email="granted@2026-03-02T06:00:00Z")  # before the morning
    assert ask(strategy, expiring, now=NIGHT, channels=("email",)).defer_until is None
    forbidden = with_limits(tmp_path, LIMITS + '[[contact_policy]]\nid = "never"\nmode = "forbid"\n')
    assert ask(forbidden, only_mail(), now=NIGHT, channels=("email",)).defer_until is None
    assert ask(strategy, only_mail(), now=NIGHT).defer_until is None  # the web is open


def test_a_suppressed_customer_gets_nothing_on_any_channel(strategy: Strategy) -> None:
    gone = Customer("anna", consents={"email": "granted"}, suppressed="fraud")
    decision = ask(strategy, replace(ANNA, customer=gone))
    assert (decision.reason, decision.defer_until) == ("no_eligible_action", None)
    assert {rule for arm, (_, rule) in stages(decision).items() if arm != DO_NOTHING.key} == {"suppression"}


def test_what_the_customer_came_for_weighs_and_is_stored(tmp_path: Path) -> None:
    strategy = with_limits(tmp_path)
    weighed = candidate(ask(strategy, intent="cancel"), "follow_up@email")
    plain = candidate(ask(strategy, intent="browse"), "follow_up@email")
    assert (weighed.context_weight, plain.context_weight) == (1.5, 1.0)
    assert weighed.priority == pytest.approx(1.5 * (plain.priority or 0) + 0.5 * 0.01)  # the cost is not weighed
    assert candidate(ask(strategy, intent="cancel"), "upgrade@email").context_weight == 1.0


def slates(strategy: Strategy, knowledge: Knowledge = ANNA, **request: object) -> list[Decision]:
    layers = [holdout_layer(0.0)]
    return [
        decide(
            Request(f"r{n}", "anna", limit=4, **request),  # type: ignore[arg-type]
            knowledge,
            strategy,
            decision_id=f"d{n}",
            now=NOW,
            layers=layers,
            salt="s",
        )
        for n in range(60)
    ]


EXTRA = (
    '[[action]]\nid = "extra"\ngroup = "growth"\nvalue = 30.0\ntreatment = [{channel = "email"}, {channel = "web"}]\n'
)


def test_a_slate_keeps_within_the_contact_limits(tmp_path: Path) -> None:
    every = slates(with_limits(tmp_path, EXTRA))
    mails = [sum(i.arm.channel == "email" and i.arm.action != "follow_up" for i in d.items) for d in every]
    assert max(mails) == 1  # one marketing contact a day, also within one answer
    assert any(len(d.items) > 1 for d in every)


def test_of_an_exclusive_group_a_slate_has_one_action(tmp_path: Path) -> None:
    exclusive = CATALOGUE.replace('id = "growth"', 'id = "growth"\nexclusive = true', 1)
    every = slates(with_limits(tmp_path, EXTRA, exclusive))
    assert max(sum(i.action_group == "growth" for i in d.items) for d in every) == 1
    free = slates(with_limits(tmp_path, EXTRA))
    assert max(sum(i.action_group == "growth" for i in d.items) for d in free) == 2
