"""A change of strategy on recorded requests: what stays, what moves, and no limit broken in a simulated past."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from experiments.change.again import Simulation, Step
from experiments.change.alternative import Alternative, read_alternative
from experiments.change.finding import Asked, Finding, simulate_change
from experiments.change.lines import verdict
from experiments.change.worth import Estimate
from experiments.cli import commands
from features.clock import DAY, HOUR, MINUTE, SECOND
from features.domain import DO_NOTHING, Outcome
from features.errors import CatalogueError, InvalidInput, NoData, NotFound
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from features.store import open_feature_store
from serving.assignment import holdout_layer
from serving.decider import Decider
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.replay import Archive
from serving.schema import DecideRequest
from tests.unit.serving.conftest import SHOP_NOW, shop  # noqa: F401  a fixture
from training.learner import learn_round

LATER = SHOP_NOW + 60 * DAY
NIGHT = """
[[quiet_hours]]
id = "night"
start = "13:00"
end = "15:00"
"""
ROUNDS, CUSTOMERS = 6, 120


def decide(home: Settings, ledger: Ledger) -> None:
    """Six days of requests, one with a slate and one by e-mail alone; only advice is ever accepted."""
    live = Live(home, ledger, lambda: open_feature_store(home))
    live.refresh()
    late = iter(range(1, 1_000_000))
    deciders = [
        Decider(home, ledger, live, [holdout_layer(0.05)], Metrics(), Journal(None), clock)
        for clock in (lambda: 0.0, lambda: float(next(late)) * 100.0)
    ]
    told: list[Outcome] = []
    for turn in range(ROUNDS):
        for n, customer in enumerate(ledger.customer_ids(CUSTOMERS)):
            at = SHOP_NOW + turn * DAY + n * MINUTE
            given = {"limit": 3} if turn == 2 else {"channels": ("email",)} if turn == 4 else {}
            asked = DecideRequest(f"r-{turn}-{n}", customer, **given)  # type: ignore[arg-type]
            answer = json.loads(deciders[n == 7].decide(asked, at).body)
            for item in answer["items"]:
                told += react(ledger, answer["decision_id"], customer, item, at, n)
        ledger.append_outcomes(told, SHOP_NOW + turn * DAY + 20 * HOUR)
    deciders[0].decide(DecideRequest("r-nobody", "nobody"), SHOP_NOW)
    learn_round(ledger, live.strategy.catalogue, live.strategy.bundle_id, LATER)


def react(ledger: Ledger, decision: str, customer: str, item: dict[str, object], at: int, n: int) -> list[Outcome]:
    """Everything is displayed at once; a few reject, and one in thirty of those written to opts out."""
    action, rank = str(item["action"]), int(str(item["rank"]))
    if action == DO_NOTHING.action:
        return []
    ledger.mark_shown(decision, rank, at + SECOND)
    kind = "accepted" if action == "advice" else "rejected" if n % 11 == 0 else "ignored"
    if item["channel"] == "email" and n % 30 == 0:
        kind = "opted_out"
    return [Outcome(f"o-{decision}-{rank}", decision, customer, action, kind, at + HOUR, rank)]


@pytest.fixture(scope="module")
def past(shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:  # noqa: F811
    """A home with a past; tests that write work on copies."""
    folder = tmp_path_factory.mktemp("past") / "home"
    shutil.copytree(shop.home, folder)
    (folder / "catalogue" / "night.toml").write_text(NIGHT)
    # Half of the draws at random: what another catalogue would rather send has been sent often enough to be judged.
    home = Settings(
        home=folder,
        holdout_share=0.05,
        policy="epsilon-greedy",
        epsilon=0.5,
        probability_floor=0.0,
        deadline_seconds=30.0,
    )
    ledger = open_ledger(home.ledger)
    decide(home, ledger)
    ledger.close()
    return home


@pytest.fixture
def ledger(past: Settings) -> Iterator[Ledger]:
    opened = open_ledger(past.ledger)
    yield opened
    opened.close()


def edited(past: Settings, folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """A copy of the catalogue with these replacements; each must be there."""
    shutil.copytree(past.catalogue_folder, folder)
    text = (folder / "all.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "all.toml").write_text(text + more)
    return folder


def simulated(past: Settings, ledger: Ledger, folder: Path, **asked: str) -> Finding:
    return simulate_change(past, ledger, Asked(folder, **asked), LATER)


def steps_of(past: Settings, ledger: Ledger, folder: Path) -> list[Step]:
    alternative = Alternative(Archive(ledger, past.bundle_folder), read_alternative(past, folder))
    return list(Simulation(ledger, alternative).steps())


def values(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.insufficient is None, estimate.insufficient
    assert estimate.then
    assert estimate.new
    assert estimate.difference
    return estimate.then.value, estimate.new.value, estimate.difference.value


def test_today_against_today_is_the_same_to_the_last_bit(past: Settings, ledger: Ledger) -> None:
    steps = steps_of(past, ledger, past.catalogue_folder)
    assert len(steps) == ROUNDS * CUSTOMERS + 1
    recorded = {one.decision_id: one.record for one in ledger.live_records(0, 10_000)}
    for step in steps:
        assert not step.kept
        assert step.decision is not None
        assert msgspec.json.encode(step.decision) == recorded[step.decision.decision_id]
    assert {step.then.reason for step in steps} >= {None, "holdout", "unknown_customer", "deadline_exceeded"}
    assert max(len(step.then.arms) for step in steps) > 1
    found = simulated(past, ledger, past.catalogue_folder)
    assert found.changed == 0
    assert found.then == found.new
    assert found.then.quiet
    assert found.then.limits
    assert found.then.contacts
    for estimate in (found.worth.model, found.worth.corrected):
        then, new, difference = values(estimate)
        assert (then, difference) == (new, 0.0)
        assert estimate.then == estimate.new
    assert verdict(found) == "insufficient"


def test_today_is_what_the_ledger_itself_says(past: Settings, ledger: Ledger) -> None:
    found = simulated(past, ledger, past.catalogue_folder)
    records = [json.loads(one.record) for one in ledger.live_records(0, 10_000)]
    written = [r["customer_id"] for r in records for i in r["items"] if i["arm"]["channel"] == "email"]
    assert (found.then.contacts, len(found.then.contacted)) == (len(written), len(set(written)))
    assert found.then.idle == sum(r["items"][0]["arm"]["action"] == "do_nothing" for r in records)
    removed = [(r, n) for r in records if r["candidates"] for n in r["candidates"]["removed"] if n >= 0]
    by_rule = defaultdict(int)
    for record, number in removed:
        removal = record["candidates"]["removals"][number]
        by_rule[removal["stage"], removal["rule"]] += 1
    assert found.then.removed == by_rule
    # The corrected value of today is what was earned: nothing is weighed, and the model's own error cancels on average.
    items = {one.decision_id: one for one in ledger.live_records(0, 10_000)}
    earned = [
        sum(i.reward_units for i in ledger.decision(d).items if i.rank == 1) / 1e6
        - (0.01 if items[d].items[0].channel == "email" else 0.0)
        for d in items
    ]
    assert found.worth.corrected.then is not None
    interval = found.worth.corrected.then.interval
    assert interval.low < np.mean(earned) < interval.high


@pytest.mark.parametrize(
    ("limit", "days", "counts"), [(1, 2, "delivered"), (1, 7, "delivered"), (2, 30, "delivered"), (1, 3, "decided")]
)
def test_no_limit_is_broken_in_the_simulated_past(
    past: Settings, ledger: Ledger, tmp_path: Path, limit: int, days: int, counts: str
) -> None:
    folder = edited(
        past,
        tmp_path / "new",
        ("limit = 1\nwindow_days = 1", f'counts = "{counts}"\nlimit = {limit}\nwindow_days = {days}'),
    )
    written: dict[str, list[int]] = defaultdict(list)
    for step in steps_of(past, ledger, folder):
        written[step.new.customer_id] += [step.recorded.decided_at] * sum(a.channel == "email" for a in step.new.arms)
    most = max(
        sum(at - days * DAY < other <= at for other in moments) for moments in written.values() for at in moments
    )
    assert most == limit


def test_a_tighter_cap_means_fewer_contacts_and_says_where_they_went(
    past: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    month = edited(past, tmp_path / "month", ("limit = 1\nwindow_days = 1", "limit = 1\nwindow_days = 30"))
    never = edited(
        past, tmp_path / "never", ("limit = 1\nwindow_days = 1", 'limit = 0\nmode = "forbid"\nwindow_days = 1')
    )
    one, none = simulated(past, ledger, month), simulated(past, ledger, never)
    assert 0 < one.new.contacts < one.then.contacts
    # At most one contact in the month, so as many contacts as customers; nobody is reached whom today does not reach
    # unless the draws, which are the same, now find other arms open.
    assert one.new.contacts == len(one.new.contacted)
    assert one.new.limits["one-a-day"] > one.then.limits["one-a-day"]
    assert one.new.removed["contact_policy", "one-a-day"] > one.then.removed["contact_policy", "one-a-day"]
    assert (none.new.contacts, len(none.new.contacted)) == (0, 0)
    assert none.new.share(len(none.new.contacted)) == 0.0


def test_a_new_action_gets_its_share_and_a_removed_channel_loses_its_own(
    past: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    extra = '[[action]]\nid = "extra"\ngroup = "help"\nvalue = 90.0\ntreatment = [{ channel = "web" }]\n'
    found = simulated(past, ledger, edited(past, tmp_path / "more", more=extra))
    assert found.then.actions["extra"] == 0
    assert found.new.actions["extra"] > 0.2 * found.new.offers
    # Nobody was ever offered it: there the model alone speaks, and it is told so.
    assert found.worth.diagnostics is not None
    assert found.worth.diagnostics.support < 0.5
    without = edited(
        past,
        tmp_path / "less",
        ('{ channel = "email", content = "upgrade/email" }, ', ""),
        ('{ channel = "email" }, ', ""),
    )
    gone = simulated(past, ledger, without)
    assert gone.then.channels["email"] > 0
    assert set(gone.new.channels) == {"web"}
    assert gone.new.contacts == 0
    assert not any(rule == "consent.email" for _, rule in gone.new.removed)


def test_a_limit_on_answers_that_is_new_counts_those_to_contacts_made_elsewhere_too(
    past: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    """The same home decided without the limit, then tried with it: as if it had always been there."""
    rule = (past.catalogue_folder / "all.toml").read_text().rpartition("[[contact_policy]]")[2]
    with_it = simulated(past, ledger, past.catalogue_folder).new
    assert with_it.limits["no-means-no"] > 0
    shutil.copytree(past.home, tmp_path / "home")
    home = replace(past, home=tmp_path / "home")
    all_toml = home.catalogue_folder / "all.toml"
    all_toml.write_text(all_toml.read_text().replace("[[contact_policy]]" + rule, ""))
    again = open_ledger(home.ledger)
    live = Live(home, again, lambda: open_feature_store(home))
    live.refresh()
    decider = Decider(home, again, live, [], Metrics(), Journal(None), lambda: 0.0)
    at = SHOP_NOW + (ROUNDS + 1) * DAY
    for n, customer in enumerate(again.customer_ids(CUSTOMERS)):
        decider.decide(DecideRequest(f"unlimited-{n}", customer), at)
    alternative = Alternative(Archive(again, home.bundle_folder), read_alternative(home, past.catalogue_folder))
    held = [step for step in Simulation(again, alternative).steps() if step.recorded.decided_at == at]
    again.close()
    assert len(held) == CUSTOMERS
    plan = alternative.strategies(held[0].recorded.record or {})[1].contact_plan
    assert plan.heard_back is not None
    for step in held:
        assert step.then.candidates is not None
        assert step.new.candidates is not None
        assert not any(removal.rule == "no-means-no" for removal in step.then.candidates.removals)
        said_no = any(removal.rule == "no-means-no" for removal in step.new.candidates.removals)
        with_all = ledger.before_decision("new", step.recorded.customer_id, at, at - 30 * DAY).heard
        growth = [one for one in with_all if one.kind == "rejected" and one.action_group == "growth"]
        assert said_no == (len(growth) >= 2)


def test_what_pays_is_found_to_pay_by_what_was_seen_though_the_model_thinks_little_of_it(
    past: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    folder = edited(past, tmp_path / "new", ('class = "service"\n', 'class = "service"\nlever = 3000\n'))
    found = simulated(past, ledger, folder)
    then, new, difference = values(found.worth.corrected)
    assert new > then
    assert difference == pytest.approx(new - then)
    assert verdict(found) == "better"
    # Who always takes advice, worth 4.0 to nine in ten, earns about that.
    assert 1.5 < new < 4.5


def test_raising_every_value_makes_nobody_richer(past: Settings, ledger: Ledger, tmp_path: Path) -> None:
    raised = edited(
        past,
        tmp_path / "new",
        ("value = 40.0", "value = 4000.0"),
        (
            '"10.0 + 40.0 * score.churn + score.conversion"',
            '"1000.0 + 4000.0 * score.churn + 100.0 * score.conversion"',
        ),
        ("value = 4.0", "value = 400.0"),
    )
    found = simulated(past, ledger, raised)
    then, new, _ = values(found.worth.model)
    # What it costs to contact weighs a hundredth, so a few arms worth no message are sent now; no more than that.
    assert new == pytest.approx(then, rel=0.05)


def test_another_policy_is_tried_on_the_same_catalogue(past: Settings, ledger: Ledger) -> None:
    found = simulated(past, ledger, past.catalogue_folder, policy="uniform")
    assert found.changed > 0
    assert values(found.worth.model)[2] < 0.0
    with pytest.raises(InvalidInput, match="nonsense"):
        simulated(past, ledger, past.catalogue_folder, policy="nonsense")


def test_without_the_learner_nothing_is_claimed_of_rewards(shop: Settings, tmp_path: Path) -> None:  # noqa: F811
    shutil.copytree(shop.home, tmp_path / "home")
    home = replace(shop, home=tmp_path / "home", deadline_seconds=30.0)
    ledger = open_ledger(home.ledger)
    with pytest.raises(NoData, match="segue up"):
        simulated(home, ledger, home.catalogue_folder)
    live = Live(home, ledger, lambda: open_feature_store(home))
    live.refresh()
    decider = Decider(home, ledger, live, [], Metrics(), Journal(None), lambda: 0.0)
    for n, customer in enumerate(ledger.customer_ids(40)):
        decider.decide(DecideRequest(f"r-{n}", customer), SHOP_NOW)
    found = simulated(home, ledger, home.catalogue_folder)
    ledger.close()
    assert "segue work" in str(found.worth.corrected.insufficient)
    assert values(found.worth.model)[2] == 0.0


def test_a_decision_that_cannot_be_made_again_stays_and_is_told(past: Settings, tmp_path: Path) -> None:
    shutil.copytree(past.home, tmp_path / "home")
    home = replace(past, home=tmp_path / "home")
    folder = edited(past, tmp_path / "new", ("limit = 1\nwindow_days = 1", "limit = 1\nwindow_days = 30"))
    shutil.rmtree(home.bundle_folder)
    ledger = open_ledger(home.ledger)
    with pytest.raises(NoData, match="is not in bundles"):
        simulated(home, ledger, folder)
    ledger.close()


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    app = typer.Typer()
    commands(app)
    result = CliRunner().invoke(app, ["simulate", "--replay", *arguments])
    return result.exit_code, result.output, result.exception


def test_the_command_prints_tables_and_writes_page_and_data(past: Settings, tmp_path: Path) -> None:
    shutil.copytree(past.home, tmp_path / "home")
    folder = edited(past, tmp_path / "new", ("limit = 1\nwindow_days = 1", "limit = 1\nwindow_days = 30"))
    code, output, _ = run("--home", str(tmp_path / "home"), "--catalogue", str(folder))
    assert code == 0
    assert "customers contacted" in output
    assert "Contacts go from" in output
    (page,) = (tmp_path / "home" / "reports").glob("change-*.html")
    (data,) = (tmp_path / "home" / "reports").glob("change-*.json")
    html, told = page.read_text(), json.loads(data.read_text())
    assert html.count("<svg") >= 4
    assert not any(fetched in html for fetched in ("<script", "src=", "<link"))
    assert told["new"]["contacts"] < told["today"]["contacts"]
    assert {"reach", "channels", "actions", "do_nothing_share", "removed", "limits"} <= set(told["new"])
    assert set(told["value"]["model"]["difference"]) == {"value", "interval"}


def test_a_broken_catalogue_is_refused_with_file_and_line(past: Settings, ledger: Ledger, tmp_path: Path) -> None:
    wrong = edited(past, tmp_path / "wrong", ("value = 40.0", 'value = "40.0 * score.nonsense"'))
    line = (wrong / "all.toml").read_text().splitlines().index('value = "40.0 * score.nonsense"') + 1
    with pytest.raises(CatalogueError, match=rf"all\.toml:{line}"):
        simulated(past, ledger, wrong)
    unclosed = edited(past, tmp_path / "unclosed", ("limit = 2\n", "limit = 0\n"))
    line = (unclosed / "all.toml").read_text().splitlines().index("limit = 0") + 1
    with pytest.raises(CatalogueError, match=rf"all\.toml:{line}"):
        simulated(past, ledger, unclosed)
    with pytest.raises(NotFound, match="no such folder"):
        simulated(past, ledger, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="no TOML file"):
        simulated(past, ledger, tmp_path / "empty")
    code, _, error = run("--home", str(past.home), "--catalogue", str(wrong))
    assert code != 0
    assert isinstance(error, CatalogueError)


def test_options_that_need_replay_say_so(past: Settings) -> None:
    app = typer.Typer()
    commands(app)
    result = CliRunner().invoke(app, ["simulate", "--home", str(past.home), "--catalogue", str(past.catalogue_folder)])
    assert isinstance(result.exception, InvalidInput)
    assert "--replay" in str(result.exception)
