"""A challenger on live customers: in the shadow, on a share of them, back again, and on the throne."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.clock import DAY, SECOND
from features.domain import DO_NOTHING, Outcome
from features.errors import Conflict, InvalidInput
from features.ledger import read_arrow
from serving.batch import Batch, BatchRequest
from serving.contender import challenger, crown, go_back, reigning
from serving.metrics import Metrics
from serving.ramp import control
from serving.ramp.control import agreement, challenged, dethroned, ramp_round, start, stop, warning
from serving.ramp.state import CHALLENGER, RAMP, Ramp, Stage, Step, read_ramp, write_ramp
from serving.ramp.status import report, told_of
from serving.replay import SAME, replay
from serving.schema import DecideRequest
from serving.shadow import WAITING, Agreement
from tests.unit.serving.conftest import SHOP_NOW, NoTracker
from training.bundle import load_bundle, write_bundle
from training.learner import learn_round
from training.pointer import CHAMPION

Deciding = Callable[..., Any]


def ask(world: Any, name: str, now: int, count: int = 400) -> list[dict[str, Any]]:
    """A decision for everybody, as it was recorded."""
    decider = world.decider()
    ids = []
    for n, customer in enumerate(world.ledger.customer_ids(count)):
        body = decider.decide(DecideRequest(f"{name}-{n}", customer), now + n * SECOND).body
        ids.append(json.loads(body)["decision_id"])
    return [json.loads(world.ledger.decision(one).record) for one in ids]


def open_shop(deciding: Deciding, **given: Any) -> Any:
    named = {"policy": "epsilon-greedy", "probability_floor": 0.0}
    return deciding(deadline_seconds=30.0, shadow_share=1.0, **named, **given)


def begin(world: Any, policy: str = "uniform", catalogue: Path | None = None) -> Ramp:
    contender = challenger(world.settings, world.ledger, None, policy, catalogue)
    ramp = start(world.settings, world.ledger, contender, SHOP_NOW)
    assert world.live.refresh()
    return ramp


def test_a_ramp_under_way_is_not_replaced_and_the_champion_is_no_challenger(deciding: Deciding) -> None:
    world = open_shop(deciding)
    with pytest.raises(InvalidInput, match="champion itself"):
        begin(world, "epsilon-greedy-0.1")
    begin(world)
    with pytest.raises(Conflict, match="under way"):
        begin(world, "softmax-0.1")
    stop(world.settings, "enough")
    assert begin(world, "softmax-0.1").active


def go(world: Any, share: float) -> None:
    """Puts the ramp at this share, as if the steps before had passed."""
    ramp = read_ramp(world.settings.home)
    assert ramp is not None
    write_ramp(world.settings.home, Ramp(ramp.name, Stage.RAMPING, (*ramp.steps, Step(share, SHOP_NOW)), "by hand"))
    world.live.refresh()


def test_without_a_ramp_nothing_is_tried_and_nothing_waits(deciding: Deciding) -> None:
    world = open_shop(deciding)
    assert world.live.ramp is None
    (made, *_) = ask(world, "plain", SHOP_NOW, 3)
    assert set(made["variants"]) == {"holdout"}
    assert not list(world.live.shadow.work(world.live.strategy))


def test_in_the_shadow_the_champion_decides_and_the_challenger_is_asked_afterwards(deciding: Deciding) -> None:
    world = open_shop(deciding)
    begin(world)
    made = ask(world, "shadow", SHOP_NOW, 20)
    assert {m["versions"]["policy"] for m in made} == {"epsilon-greedy-0.1/0"}
    assert all(set(m["variants"]) == {"holdout"} for m in made)
    metrics = Metrics()
    compared = list(world.live.shadow.work(world.live.ramp.challenger))
    assert len(compared) == sum(m["candidates"] is not None for m in made)
    for one in compared:
        metrics.shadowed(one)
        assert one is not None
        assert 0.0 < one.overlap < 1.0
    told = metrics.text().decode()
    assert "segue_shadow_total{" in told
    assert "segue_ramp_share" in told
    # The champion in its own shadow would always choose alike.
    ask(world, "again", SHOP_NOW + DAY, 5)
    for one in world.live.shadow.work(world.live.strategy):
        assert one is not None
        assert (one.overlap, one.same) == (pytest.approx(1.0), True)


def test_a_share_of_customers_is_decided_for_by_the_challenger_and_replays(deciding: Deciding) -> None:
    world = open_shop(deciding)
    ramp = begin(world)
    go(world, 0.5)
    made = ask(world, "half", SHOP_NOW)
    for one in made:
        policy = one["versions"]["policy"].split("/")[0]
        assert policy == {"challenger": "uniform", "champion": "epsilon-greedy-0.1"}[one["variants"][ramp.name]]
    tried = sum(m["variants"][ramp.name] == "challenger" for m in made)
    assert 150 < tried < 250
    again = ask(world, "once-more", SHOP_NOW + DAY)
    assert [m["variants"] for m in again] == [m["variants"] for m in made]
    assert {v.kind for v in replay(world.ledger, world.settings.bundle_folder)} == {SAME}


def test_a_batch_tries_the_challenger_on_the_same_customers(deciding: Deciding) -> None:
    world = open_shop(deciding)
    ramp = begin(world)
    go(world, 0.5)
    alone = {m["customer_id"]: m["variants"] for m in ask(world, "one-by-one", SHOP_NOW)}
    live = world.live
    batch = Batch(world.settings, world.ledger, live.strategy, live.features, world.layers, live.ramp)
    customers = world.ledger.customer_ids(400)
    made = [d for block in batch.decide(BatchRequest("all"), customers, lambda: SHOP_NOW + DAY) for d in block]
    assert [d.customer_id for d in made] == customers
    for one in made:
        assert one.variants == alone[one.customer_id]
        policy = one.versions.policy.split("/")[0]
        assert policy == {"challenger": "uniform", "champion": "epsilon-greedy-0.1"}[one.variants[ramp.name]]
    assert {v.kind for v in replay(world.ledger, world.settings.bundle_folder)} == {SAME}


def tell(world: Any, made: list[dict[str, Any]], ramp: Ramp, kinds: dict[str, str], name: str) -> None:
    """Whoever was contacted answers by the group they are in."""
    outcomes = []
    for n, one in enumerate(made):
        arm = one["items"][0]["arm"]["action"]
        kind = kinds.get(one["variants"].get(ramp.name, "champion"))
        if arm != DO_NOTHING.action and kind:
            outcomes.append(
                Outcome(f"{name}-{n}", one["decision_id"], one["customer_id"], arm, kind, one["decided_at"] + SECOND)
            )
    world.ledger.append_outcomes(outcomes, SHOP_NOW + DAY)
    learn_round(world.ledger, world.live.strategy.catalogue, world.live.strategy.bundle_id, SHOP_NOW + 2 * DAY)


def test_a_challenger_that_makes_people_opt_out_is_turned_back_and_nobody_is_tried_on(deciding: Deciding) -> None:
    world = open_shop(deciding)
    before = (world.settings.bundle_folder / CHAMPION).read_bytes()
    ramp = begin(world)
    go(world, 0.5)
    tell(world, ask(world, "r", SHOP_NOW), ramp, {"challenger": "opted_out", "champion": "accepted"}, "o")
    after = ramp_round(world.settings, world.ledger, SHOP_NOW + DAY)
    assert after is not None
    assert after.stage is Stage.ROLLED_BACK
    assert "opt-outs worse" in after.told
    assert not (world.settings.bundle_folder / CHALLENGER).exists()
    # The champion was never touched, so there is nothing of it to restore.
    assert (world.settings.bundle_folder / CHAMPION).read_bytes() == before
    world.live.refresh()
    assert world.live.ramp is None
    assert {m["versions"]["policy"].split("/")[0] for m in ask(world, "after", SHOP_NOW + 2 * DAY, 20)} == {
        "epsilon-greedy-0.1"
    }
    assert ramp_round(world.settings, world.ledger, SHOP_NOW + 9 * DAY) is None


def test_a_shadow_that_does_well_goes_on_to_one_percent(deciding: Deciding) -> None:
    world = open_shop(deciding, gate_latency_ratio=100.0)
    begin(world, "thompson")
    ask(world, "s", SHOP_NOW, 150)
    early = ramp_round(world.settings, world.ledger, SHOP_NOW + DAY // 2)
    assert early is not None
    assert early.stage is Stage.SHADOW
    after = ramp_round(world.settings, world.ledger, SHOP_NOW + DAY)
    assert after is not None
    assert (after.stage, after.share) == (Stage.RAMPING, 0.01)
    assert "agreed with the champion in " in after.told
    world.live.refresh()
    assert world.live.ramp.layer.share == 0.01


def test_the_last_step_makes_the_challenger_the_champion_and_there_is_a_way_back(
    deciding: Deciding, tmp_path: Path
) -> None:
    # As much risk as one likes: whatever is not shown to be worse may go on.
    world = open_shop(deciding, ramp_risk=1.0, gate_harm_margin=1.0)
    before = reigning(world.settings, world.ledger)
    text = (world.settings.catalogue_folder / "all.toml").read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "all.toml").write_text(text + "\n# another\n")
    ramp = begin(world, "uniform", other)
    go(world, 0.5)
    # Uniform draws respond to everything, the champion's customers to nothing.
    tell(world, ask(world, "r", SHOP_NOW), ramp, {"challenger": "accepted"}, "o")
    contender = challenged(world.settings)
    assert contender is not None
    told = [str(part) for part in report(world.settings, world.ledger, read_ramp(world.settings.home), SHOP_NOW + DAY)]
    assert any("the next step, 100%" in part for part in told)
    assert any(contender.told() in part and before.told() in part for part in told)
    after = ramp_round(world.settings, world.ledger, SHOP_NOW + DAY)
    assert after is not None
    assert after.stage is Stage.FINISHED, after.told
    assert reigning(world.settings, world.ledger) == contender
    world.live.refresh()
    assert world.live.ramp is None
    assert world.live.strategy.policy.name == "uniform"
    assert "# another" in (world.settings.catalogue_folder / "all.toml").read_text()
    go_back(world.settings, world.ledger, NoTracker())
    assert reigning(world.settings, world.ledger) == before
    assert (world.settings.catalogue_folder / "all.toml").read_text() == text


def test_a_ramp_is_stopped_by_hand_even_when_its_file_is_damaged(deciding: Deciding) -> None:
    world = open_shop(deciding)
    begin(world)
    stopped = stop(world.settings, "stopped by hand")
    assert stopped is not None
    assert stopped.stage is Stage.ROLLED_BACK
    begin(world)
    (world.settings.home / RAMP).write_text("{")
    world.live.refresh()
    assert world.live.ramp is None
    assert stop(world.settings, "x") is None
    assert read_ramp(world.settings.home) is None
    assert challenged(world.settings) is None


def last_said(world: Any, ramp: Ramp | None, now: int = SHOP_NOW) -> str:
    return str([*report(world.settings, world.ledger, ramp, now)][-1])


def test_a_champion_replaced_by_another_way_ends_the_ramp_against_it(deciding: Deciding) -> None:
    world = open_shop(deciding)
    assert dethroned(world.settings, world.ledger, "somebody") is None
    begin(world)
    other = challenger(world.settings, world.ledger, None, "softmax-0.1", None)
    crown(world.settings, world.ledger, other, NoTracker())
    ended = dethroned(world.settings, world.ledger, "somebody")
    assert ended is not None
    assert (ended.stage, read_ramp(world.settings.home)) == (Stage.ROLLED_BACK, ended)
    assert "a champion that decides no longer" in ended.told
    assert challenged(world.settings) is None

    # Where the challenger itself was promoted meanwhile, it has won.
    begin(world)
    contender = challenged(world.settings)
    assert contender is not None
    crown(world.settings, world.ledger, contender, NoTracker())
    won = dethroned(world.settings, world.ledger, "somebody")
    assert won is not None
    assert won.stage is Stage.FINISHED
    assert "`segue promote --back`" in last_said(world, won)


def test_too_few_customers_for_a_first_share_are_warned_of(deciding: Deciding) -> None:
    world = open_shop(deciding)
    told = warning(world.ledger, begin(world))
    assert told is not None
    assert "1% of 400 customers are about 4" in told
    assert "--first-share 0.25" in told
    stop(world.settings, "enough")
    contender = challenger(world.settings, world.ledger, None, "uniform", None)
    assert warning(world.ledger, start(world.settings, world.ledger, contender, SHOP_NOW, 0.25)) is None


def test_status_says_what_can_be_done_next_whatever_the_ramp_came_to(deciding: Deciding) -> None:
    world = open_shop(deciding)
    assert "`segue ramp start` tries a challenger" in last_said(world, None)
    ramp = begin(world)
    assert "`segue ramp stop` ends the ramp now" in last_said(world, ramp)
    (world.settings.bundle_folder / CHALLENGER).unlink()
    assert "its challenger is not to be found" in last_said(world, ramp)
    stopped = stop(world.settings, "stopped by hand")
    assert "for everybody decides bundle " in last_said(world, stopped)


def test_every_decision_since_a_ramp_began_is_accounted_for(deciding: Deciding) -> None:
    assert told_of(Agreement()) == "nothing was decided since it began"
    world = open_shop(deciding)
    begin(world)
    made = ask(world, "many", SHOP_NOW, 340)
    contender = challenged(world.settings)
    assert contender is not None
    found = agreement(world.settings, world.ledger, contender, SHOP_NOW)
    assert (found.older, found.failed) == (40, 0)
    assert found.decisions == 300 - found.idle
    assert found.idle <= sum(m["candidates"] is None for m in made)
    told = told_of(found)
    assert told.startswith(f"of 340 decisions since it began {found.decisions} were compared")
    assert "40 were skipped, being older than the latest 300" in told


def test_decisions_beyond_the_pace_of_the_shadow_are_counted(deciding: Deciding) -> None:
    world = open_shop(deciding)
    begin(world)
    assert world.live.shadow.let_go() == 0
    rounds = -(-(WAITING + 50) // 400)
    offered = sum(
        m["candidates"] is not None for n in range(rounds) for m in ask(world, f"many-{n}", SHOP_NOW + n * DAY)
    )
    assert world.live.shadow.let_go() == offered - WAITING
    assert world.live.shadow.let_go() == 0


def newer_bundle(world: Any) -> str:
    """Another bundle, newer than the champion: the same models, made a second later."""
    champion = reigning(world.settings, world.ledger).bundle
    assert champion is not None
    held = load_bundle(world.settings.bundle_folder / champion)
    manifest = json.loads((world.settings.bundle_folder / champion / "manifest.json").read_text())
    files = {name: (world.settings.bundle_folder / champion / name).read_bytes() for name in manifest["files"]}
    manifest = {k: v for k, v in manifest.items() if k != "files"} | {"created_at": manifest["created_at"] + SECOND}
    path = write_bundle(world.settings.bundle_folder, manifest, files)
    assert path.name > held.bundle_id
    return path.name


def test_what_is_not_named_is_the_champions_and_the_newest_bundle_only_where_nothing_is(
    deciding: Deciding, tmp_path: Path
) -> None:
    world = open_shop(deciding)
    champion, newest = reigning(world.settings, world.ledger), newer_bundle(world)
    other = tmp_path / "other"
    other.mkdir()
    text = (world.settings.catalogue_folder / "all.toml").read_text()
    (other / "all.toml").write_text(text + "\n# another\n")

    def parts(*asked: Any) -> list[str]:
        found = challenger(world.settings, world.ledger, *asked)
        assert found.bundle in (champion.bundle, newest)
        return found.differences(champion)

    assert parts(None, "uniform", None) == ["policy"]
    assert parts(None, None, other) == ["catalogue"]
    assert parts(None, "uniform", other) == ["policy", "catalogue"]
    assert parts(None, None, None) == ["bundle"]
    assert parts(newest, "uniform", None) == ["bundle", "policy"]
    (world.settings.bundle_folder / CHAMPION).unlink()
    assert challenger(world.settings, world.ledger, None, "uniform", None).bundle == newest


def edit(world: Any, words: str) -> str:
    """Adds words to the home's catalogue; its version then."""
    file = world.settings.catalogue_folder / "all.toml"
    file.write_text(file.read_text() + f"\n# {words}\n")
    return reigning(world.settings, world.ledger).catalogue


def test_a_challenger_without_a_catalogue_of_its_own_goes_along_with_edits_of_the_homes(
    deciding: Deciding, caplog: pytest.LogCaptureFixture
) -> None:
    world = open_shop(deciding, ramp_risk=1.0, gate_harm_margin=1.0)
    ramp = begin(world)
    assert not any("was edited" in str(part) for part in report(world.settings, world.ledger, ramp, SHOP_NOW))
    edited = edit(world, "an offer less")
    told = [str(part) for part in report(world.settings, world.ledger, ramp, SHOP_NOW)]
    assert any("edited once" in part and "the challenger goes along when `segue work`" in part for part in told)
    for _ in range(2):
        ramp_round(world.settings, world.ledger, SHOP_NOW + 1)
    assert caplog.text.count("the catalogue was edited once since the ramp began") == 1
    contender = challenged(world.settings)
    assert contender is not None
    assert contender.catalogue == edited
    world.live.refresh()
    assert world.live.ramp.challenger.catalogue.version == edited
    told = [str(part) for part in report(world.settings, world.ledger, read_ramp(world.settings.home), SHOP_NOW)]
    assert any("champion and challenger both decide by it" in part for part in told)

    # Whoever wins, the home keeps what its people wrote, the last word included.
    ramp = read_ramp(world.settings.home)  # type: ignore[assignment]
    write_ramp(world.settings.home, replace(ramp, stage=Stage.RAMPING, steps=(*ramp.steps, Step(0.5, SHOP_NOW))))
    world.live.refresh()
    tell(world, ask(world, "r", SHOP_NOW), ramp, {"challenger": "accepted"}, "o")
    edit(world, "the last word")
    after = ramp_round(world.settings, world.ledger, SHOP_NOW + DAY)
    assert after is not None
    assert (after.stage, after.edits) == (Stage.FINISHED, 2)
    assert "# the last word" in (world.settings.catalogue_folder / "all.toml").read_text()


def test_a_challenger_with_its_own_catalogue_keeps_it_and_that_is_said(
    deciding: Deciding, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = open_shop(deciding)
    other = tmp_path / "other"
    other.mkdir()
    (other / "all.toml").write_text((world.settings.catalogue_folder / "all.toml").read_text() + "\n# own\n")
    begin(world, "uniform", other)
    before = challenged(world.settings)
    edit(world, "a new price")
    after = ramp_round(world.settings, world.ledger, SHOP_NOW + 1)
    assert after is not None
    assert challenged(world.settings) == before
    assert "the challenger by its own" in caplog.text
    told = [str(part) for part in report(world.settings, world.ledger, after, SHOP_NOW)]
    assert any("its catalogue replaces the home's" in part for part in told)


def test_a_ramp_of_before_says_nothing_of_edits(deciding: Deciding) -> None:
    world = open_shop(deciding)
    begin(world)
    file = world.settings.home / RAMP
    content = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in content.items() if k not in ("catalogue", "follows", "edits")}))
    edit(world, "unnoticed")
    ramp = ramp_round(world.settings, world.ledger, SHOP_NOW + 1)
    assert ramp is not None
    assert (ramp.stage, ramp.catalogue, ramp.edits) == (Stage.SHADOW, None, 0)
    assert not any("was edited" in str(part) for part in report(world.settings, world.ledger, ramp, SHOP_NOW))


def test_decisions_made_while_they_are_counted_are_not_counted_below_nothing(
    deciding: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_shop(deciding)
    begin(world)
    calls = iter(range(100))

    def busy(url: str, query: str) -> Any:
        found = read_arrow(url, query)
        ask(world, f"meanwhile-{next(calls)}", SHOP_NOW, 3)
        return found

    monkeypatch.setattr(control, "read_arrow", busy)
    contender = challenged(world.settings)
    assert contender is not None
    for _ in range(3):
        assert agreement(world.settings, world.ledger, contender, SHOP_NOW).older == 0
