"""Later places of recorded slates: drawn from what the places before had left, with the probability recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from experiments.ope.diagnostics import diagnose
from experiments.ope.evaluation import evaluate, silent_places
from experiments.ope.evidence import evidence
from experiments.ope.log_ledger import LedgerLog, ledger_log
from experiments.ope.slates import Slates, told
from experiments.ope.target import Uniform, distribution
from features.catalogue import parse_catalogue
from features.cli import typer
from features.clock import DAY, SECOND
from features.domain import DO_NOTHING, Arm, Customer
from features.ledger import Ledger, RewardRow, open_ledger
from features.settings import Settings
from serving.engine import decide
from serving.expressions import compile_catalogue
from serving.replay import Archive
from serving.request import Knowledge, Request
from serving.strategy import Strategy
from training.bandit import PolicySnapshot
from training.explorer import named_explorer

NOW = 1_780_315_200_000_000
LATER = NOW + 60 * DAY
POLICY = "epsilon-greedy-0.9"
CLASSES = dict.fromkeys(("red", "blue", "guide", "news"), "marketing")
#: `red` and `blue` exclude each other; `mail` may go out once a day, whatever is in it.
CATALOGUE = """
[[group]]
id = "offers"
exclusive = true
[[group]]
id = "help"
[[channel]]
id = "mail"
[[channel]]
id = "web"
outbound = false
[[action]]
id = "red"
group = "offers"
value = 30.0
treatment = [{ channel = "web" }]
[[action]]
id = "blue"
group = "offers"
value = 20.0
treatment = [{ channel = "web" }, { channel = "mail" }]
[[action]]
id = "guide"
group = "help"
value = 10.0
treatment = [{ channel = "web" }, { channel = "mail" }]
[[action]]
id = "news"
group = "help"
value = 5.0
treatment = [{ channel = "mail" }]
[[contact_policy]]
id = "one-mail-a-day"
scope = "channel"
of = "mail"
limit = 1
window_days = 1
"""


def decided(
    folder: Path, requests: int, limit: int = 3, policy: str = POLICY, incumbent: Arm | None = None
) -> tuple[Settings, Ledger]:
    """A ledger with so many slates as the engine makes them; `red` in second place succeeds, nothing else."""
    settings = Settings(home=folder)
    ledger, catalogue = open_ledger(settings.ledger), parse_catalogue({"all.toml": CATALOGUE.encode()})
    ledger.keep_catalogue(catalogue.version, {"all.toml": CATALOGUE})
    strategy = Strategy(compile_catalogue(catalogue, None)[0], None, PolicySnapshot(), named_explorer(policy))
    customers = [Customer(f"c{n}", consents={"mail": "granted"} if n % 2 else {}) for n in range(requests)]
    ledger.put_customers(customers)
    rewards = []
    for n, customer in enumerate(customers):
        request = Request(f"r{n}", customer.customer_id, limit=limit, incumbent=incumbent)
        made = decide(
            request, Knowledge(customer), strategy, decision_id=f"d{n}", now=NOW + n * SECOND, layers=[], salt="s"
        )
        # Without a model every decision is a fallback; here all are scored alike on purpose.
        made = replace(made, fallback_reason=None)
        ledger.append_decision(made, request_hash="", answer=b"", contact_version=0, action_classes=CLASSES)
        rewards += [
            RewardRow(made.decision_id, item.rank, "final", 30_000_000, 1_000_000, None, None)
            for item in made.items
            if (item.rank, item.arm.action) == (2, "red")
        ]
    ledger.save_learning(1, position=0, state="{}", now=LATER, rewards=rewards)
    return settings, ledger


def read(settings: Settings, ledger: Ledger) -> tuple[LedgerLog, list[str]]:
    slates = Slates(Archive(ledger, settings.bundle_folder))
    log = ledger_log(settings.ledger, LATER, "response", slates=slates)
    return log, told(slates.left_out)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Ledger]]:
    settings, ledger = decided(tmp_path_factory.mktemp("home"), 1_500)
    yield settings, ledger
    ledger.close()


def test_every_place_asked_for_is_a_row_until_the_slate_ended_by_doing_nothing(home: tuple[Settings, Ledger]) -> None:
    log, notes = read(*home)
    found = log.feedback
    assert notes == []
    assert found.place is not None
    nothing = found.arm == found.arms.index(DO_NOTHING.key)
    for rank in (1, 2):
        assert (found.place == rank + 1).sum() == ((found.place == rank) & ~nothing).sum()
    # Doing nothing was drawn in later places too, though no item says so.
    assert all(nothing[found.place == rank].sum() > 100 for rank in (2, 3))


def test_a_later_place_was_drawn_from_what_exclusive_groups_and_contact_limits_left(
    home: tuple[Settings, Ledger],
) -> None:
    found = read(*home)[0].feedback
    assert found.place is not None
    assert found.allowed is not None
    assert found.decision_id is not None
    arm_of = dict(zip(found.decision_id[found.place == 1], np.array(found.arms)[found.arm], strict=False))
    for decision, allowed in zip(found.decision_id[found.place == 2], found.allowed[found.place == 2], strict=True):
        first, left = arm_of[decision], {arm for arm, there in zip(found.arms, allowed, strict=True) if there}
        action, channel = first.split("@")
        gone = {arm for arm in found.arms if arm.startswith(action)}
        gone |= {arm for arm in found.arms if channel == "mail" and arm.endswith("@mail")}
        gone |= {arm for arm in found.arms if action in ("red", "blue") and arm.startswith(("red", "blue"))}
        assert not left & gone
        assert {"guide@web", "red@web", "blue@web", DO_NOTHING.key} - gone <= left


def test_probabilities_of_later_places_are_those_recorded_and_weigh_one_on_average(
    home: tuple[Settings, Ledger],
) -> None:
    log, _ = read(*home)
    found = log.feedback
    assert found.logging_probability is not None
    np.testing.assert_allclose(log.rescored(POLICY), found.logging_probability, atol=1e-12)
    other = log.rescored("epsilon-greedy-0.5")
    for rank in (1, 2, 3):
        part = found.take(found.place == rank).with_reward(np.arange((found.place == rank).sum()) % 2.0)
        for target in (Uniform(), distribution(part, "other", other[found.place == rank])):
            weights = diagnose(evidence(part, target))
            assert abs(weights.mean_weight - 1.0) < 3.5 * weights.mean_weight_error


def test_a_target_is_valued_by_place_and_places_that_tell_nothing_are_named(home: tuple[Settings, Ledger]) -> None:
    found = read(*home)[0].feedback
    assert set(silent_places(found)) == {1, 3}
    (second,) = evaluate(found, [Uniform()])
    assert second.place == 2
    allowed = found.allowed[found.place == 2]  # type: ignore[index]
    truth = (allowed[:, found.arms.index("red@web")] / allowed.sum(axis=1)).mean()
    interval = second.headline.interval
    assert interval is not None
    assert interval.low < truth < interval.high


def test_places_that_no_record_can_state_are_left_out_by_name(tmp_path: Path) -> None:
    settings, ledger = decided(tmp_path, 60)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        ((decision,),) = connection.execute("SELECT min(decision_id) FROM decision_items WHERE rank = 2")
        changed = "UPDATE decision_items SET action_probability = 0.123 WHERE rank = 2 AND decision_id = ?"
        connection.execute(changed, [decision])
    connection.close()
    log, notes = read(settings, ledger)
    assert notes == [
        "later places of 1 slate are not judged: they cannot be drawn again as they were: see `segue replay --all`"
    ]
    assert log.feedback.decision_id is not None
    assert (log.feedback.decision_id == decision).sum() == 1
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("DELETE FROM catalogues")
    connection.close()
    log, (note,) = read(settings, ledger)
    assert "was not kept" in note
    assert set(log.feedback.place.tolist()) == {1}  # type: ignore[union-attr]
    ledger.close()


def test_a_policy_that_ramps_new_arms_and_a_choice_that_was_followed_have_first_places_only(tmp_path: Path) -> None:
    for name, given, said in (
        ("ramped", {"policy": "epsilon-greedy-0.9,ramp-100-0.5"}, "ramps new arms"),
        ("followed", {"incumbent": Arm("guide", "web")}, ""),
    ):
        (tmp_path / name).mkdir()
        settings, ledger = decided(tmp_path / name, 40, **given)  # type: ignore[arg-type]
        log, notes = read(settings, ledger)
        assert set(log.feedback.place.tolist()) == {1}  # type: ignore[union-attr]
        assert said in "".join(notes)
        assert bool(notes) == bool(said)
        ledger.close()


def test_the_command_gives_a_value_by_place(home: tuple[Settings, Ledger]) -> None:
    from experiments.cli import commands

    app = typer.Typer()
    commands(app)
    asked = ["experiment", "evaluate", "ledger", "--home", str(home[0].home), "--target", "uniform"]
    done = CliRunner().invoke(app, [*asked, "--reward", "response"], catch_exceptions=False)
    told = " ".join(done.output.split())
    assert done.exit_code == 0, done.output
    assert "uniform, place 2 would have earned" in told
    assert "place 1 is not judged: all 1,500 rewards" in told
