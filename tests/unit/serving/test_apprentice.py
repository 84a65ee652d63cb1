"""Apprentice mode: the incumbent's choice is answered, Segue's own is written down, and agreement is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from features.clock import DAY
from features.domain import DO_NOTHING
from serving.explain import explanation
from serving.ramp.apprenticeship import apprenticed
from serving.replay import SAME, Archive, asked, make_again, replay, replay_one
from serving.request import EDITION
from serving.schema import DecideRequest, Incumbent
from serving.shadow import shares_of
from tests.unit.serving.conftest import SHOP_NOW

Deciding = Callable[..., Any]


def ask(world: Any, incumbent: Incumbent | None, name: str = "r", count: int = 40, now: int = SHOP_NOW) -> list[Any]:
    """Records of a decision for each of some customers."""
    decider = world.decider()
    made = []
    for n, customer in enumerate(world.ledger.customer_ids(count)):
        request = DecideRequest(f"{name}-{n}", customer, incumbent=incumbent)
        answer = json.loads(decider.decide(request, now).body)
        made.append(json.loads(world.ledger.decision(answer["decision_id"]).record))
    return [one for one in made if one["candidates"] is not None]


ADVICE = Incumbent("advice", "web")


def test_the_incumbents_choice_is_answered_for_certain_and_segues_own_is_recorded(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    made = ask(world, ADVICE)
    for one in made:
        (item,) = one["items"]
        assert (item["arm"], item["action_probability"]) == ({"action": "advice", "channel": "web"}, 1.0)
        assert (one["reason"], one["result"]) == ("apprentice", "action")
        told = one["apprentice"]
        assert told["incumbent"] == "advice@web"
        assert 0.0 < told["own_probability"] <= 1.0
    assert {v.kind for v in replay(world.ledger, world.settings.bundle_folder)} == {SAME}
    told = explanation(msgspec.json.decode(msgspec.json.encode(made[0])))["summary"]
    assert any("incumbent's choice, advice@web; Segue would have drawn" in line for line in told)


@pytest.mark.parametrize("policy", ["thompson", "epsilon-greedy"])
def test_what_segue_would_have_drawn_is_what_it_draws_by_itself(deciding: Deciding, policy: str) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True, policy=policy)
    told = [one["apprentice"] for one in ask(world, ADVICE)]
    assert {one["agreed"] for one in told} == {True, False}
    archive = Archive(world.ledger, world.settings.bundle_folder)
    again = []
    for one in world.ledger.live_records(0, 100):
        record = json.loads(one.record)
        if record["candidates"] is None:
            continue
        request, inputs = asked(record)
        strategy = archive.strategy(*(record["versions"][name] for name in ("bundle", "policy", "catalogue")))
        again.append(make_again(record, replace(request, incumbent=None), inputs, strategy))
    assert [one.arm.key for one in again] == [one["own"] for one in told]
    shares = [shares_of(one.candidates) for one in again]
    assert [of["advice@web"] for of in shares] == [one["incumbent_probability"] for one in told]
    # To agree is to choose what Segue would draw most often.
    assert [of["advice@web"] == max(of.values()) for of in shares] == [one["agreed"] for one in told]


def test_a_choice_that_a_limit_forbids_is_not_carried_out(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    # E-mail is consented to by half of them; one contact a day.
    made = ask(world, Incumbent("upgrade", "email"))
    followed = [one for one in made if one["reason"] == "apprentice"]
    refused = [one for one in made if one["reason"] == "incumbent_not_allowed"]
    assert followed
    assert refused
    assert all(one["items"][0]["arm"]["action"] == DO_NOTHING.action for one in refused)
    assert all(one["apprentice"]["incumbent_probability"] == 0.0 for one in refused)
    found = apprenticed(world.ledger.url)
    assert found is not None
    assert found.decisions == len(made)
    assert found.not_allowed == pytest.approx(len(refused) / len(made))


def test_an_incumbent_that_would_do_nothing_is_followed(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    made = ask(world, Incumbent("do_nothing"), count=4)
    assert {(one["reason"], one["result"], one["items"][0]["action_probability"]) for one in made} == {
        ("apprentice", "do_nothing", 1.0)
    }


def test_the_switch_is_offered_from_the_threshold_on(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    assert apprenticed(world.ledger.url) is None
    ask(world, ADVICE)
    found = apprenticed(world.ledger.url)
    assert found is not None
    assert "set apprentice = false" in found.told(found.agreed)
    assert "the switch is offered from" in found.told(found.agreed + 0.01)


def test_without_apprentice_mode_the_incumbent_has_no_say(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0)
    made = ask(world, ADVICE, now=SHOP_NOW + DAY)
    assert {one["apprentice"] for one in made} == {None}
    assert {one["reason"] for one in made} == {None}
    assert len({one["items"][0]["arm"]["action"] for one in made}) > 1


def test_an_incumbent_that_is_not_allowed_is_said_to_be_where_nothing_else_is_left_either(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    decider = world.decider()
    reasons = {}
    for incumbent in (Incumbent("upgrade", "email"), Incumbent("do_nothing")):
        request = DecideRequest(incumbent.action, "stranger-to-email", ("email",), incumbent=incumbent)
        # Nobody may be sent anything: whatever was asked for on that channel is out.
        customer = next(c for c in world.ledger.customer_ids(400) if only_nothing(world, c))
        answer = json.loads(decider.decide(msgspec.structs.replace(request, customer_id=customer), SHOP_NOW).body)
        record = json.loads(world.ledger.decision(answer["decision_id"]).record)
        assert [c for c in record["candidates"]["removed"] if c < 0] == [-1]
        reasons[incumbent.action] = record["reason"]
        assert (record["inputs"]["edition"], record["apprentice"]["incumbent"] is not None) == (EDITION, True)
    assert reasons == {"upgrade": "incumbent_not_allowed", "do_nothing": "apprentice"}
    found = apprenticed(world.ledger.url)
    assert found is not None
    assert (found.decisions, found.not_allowed) == (2, 0.5)
    assert {v.kind for v in replay(world.ledger, world.settings.bundle_folder)} == {SAME}


def only_nothing(world: Any, customer: str) -> bool:
    """Whether nothing is left for them on e-mail, and they are in no holdout."""
    decider = world.decider()
    answer = json.loads(decider.decide(DecideRequest(f"probe-{customer}", customer, ("email",)), SHOP_NOW - DAY).body)
    return bool(answer["reason"] == "no_eligible_action")


def test_decisions_of_before_replay_with_the_reason_they_were_given(deciding: Deciding) -> None:
    world = deciding(deadline_seconds=30.0, apprentice=True)
    customer = next(c for c in world.ledger.customer_ids(400) if only_nothing(world, c))
    request = DecideRequest("old", customer, ("email",), incumbent=Incumbent("upgrade", "email"))
    answer = json.loads(world.decider().decide(request, SHOP_NOW).body)
    (found,) = world.ledger.live_records(0, 1, answer["decision_id"])
    record = json.loads(found.record)
    del record["inputs"]["edition"]
    record["reason"] = "no_eligible_action"
    old = replace(found, record=json.dumps(record).encode())
    assert replay_one(old, Archive(world.ledger, world.settings.bundle_folder)).kind == SAME
