"""Promotion from a home: decisions made again by both strategies, and only what passes moves the pointer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from experiments.cli import commands
from experiments.gate.command import keep
from experiments.gate.promotion import Finding, find, install, learned_until
from experiments.gate.redecide import Question, compare
from features.clock import DAY, SECOND
from features.domain import DO_NOTHING, Outcome
from features.errors import InvalidInput, NotFound
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from features.store import open_feature_store
from serving.assignment import holdout_layer
from serving.contender import Contender, challenger, reigning
from serving.decider import Decider
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live
from serving.replay import Archive
from serving.schema import DecideRequest
from tests.unit.serving.conftest import SHOP_NOW, shop  # noqa: F401  a fixture
from training.bundle import champion, load_bundle, publish_champion, write_bundle
from training.evaluate import Verdict
from training.learner import learn_round
from training.pointer import read_pointer

LATER = SHOP_NOW + 60 * DAY


class Memory:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.files: dict[str, bytes] = {}

    def record(self, report: object) -> None: ...

    def promote(self, folder: Path) -> None: ...

    def judged(self, _folder: Path, tags: dict[str, str], files: dict[str, bytes]) -> None:
        self.tags, self.files = dict(tags), dict(files)


@pytest.fixture
def home(shop: Settings, tmp_path: Path) -> Settings:  # noqa: F811
    shutil.copytree(shop.home, tmp_path / "home")
    return Settings(home=tmp_path / "home", holdout_share=0.0, epsilon=0.5, deadline_seconds=30.0)


@pytest.fixture
def ledger(home: Settings) -> Iterator[Ledger]:
    opened = open_ledger(home.ledger)
    yield opened
    opened.close()


def live_of(home: Settings, ledger: Ledger) -> Live:
    live = Live(home, ledger, lambda: open_feature_store(home))
    live.refresh()
    return live


def decide(home: Settings, ledger: Ledger, rounds: int = 3, loved: str = "advice") -> None:
    """The champion decides for everybody; who is offered `loved` always accepts, the others never do."""
    live = live_of(home, ledger)
    decider = Decider(home, ledger, live, [holdout_layer(0.0)], Metrics(), Journal(None), lambda: 0.0)
    outcomes = []
    for turn in range(rounds):
        for n, customer in enumerate(ledger.customer_ids(400)):
            # Features of a moment ago: as they are served.
            at = SHOP_NOW + turn * 2 * DAY + n * SECOND
            answer = json.loads(decider.decide(DecideRequest(f"r-{turn}-{n}", customer), at).body)
            arm = answer["items"][0]["action"]
            if arm != DO_NOTHING.action:
                kind = "accepted" if arm == loved else "ignored"
                outcomes.append(Outcome(f"o-{turn}-{n}", answer["decision_id"], customer, arm, kind, at + 1))
    ledger.append_outcomes(outcomes, SHOP_NOW + 8 * DAY)
    learn_round(ledger, live.strategy.catalogue, live.strategy.bundle_id, LATER)


def copy_of(home: Settings) -> str:
    """The champion's bundle under another id: released a second later, the same in all else."""
    folder = champion(home.bundle_folder)
    assert folder is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {name: (folder / name).read_bytes() for name in manifest.pop("files")}
    manifest["created_at"] += SECOND
    return write_bundle(home.bundle_folder, manifest, files).name


def test_the_same_strategy_makes_every_decision_again_as_it_was_made(home: Settings, ledger: Ledger) -> None:
    decide(home, ledger)
    now = reigning(home, ledger)
    other = Contender(now.bundle, now.policy + ",floor-0.1", now.catalogue)
    archive = Archive(ledger, home.bundle_folder)
    found = compare(ledger, archive, Question(now, now, 0, LATER, ("channels", "consent", "tenure_days")))
    assert len(found.log) > 800
    assert found.log.logging_probability is not None
    champion_shares = found.champion.probability  # type: ignore[attr-defined]
    np.testing.assert_array_equal(champion_shares, found.log.logging_probability)
    np.testing.assert_allclose(found.candidate.probability, champion_shares, atol=0)  # type: ignore[attr-defined]
    # Another policy plays otherwise, and each row is a distribution still.
    moved = compare(ledger, archive, Question(now, other, 0, LATER)).candidate.probability  # type: ignore[attr-defined]
    assert np.abs(moved - champion_shares).max() > 1e-4
    np.testing.assert_allclose(moved.sum(axis=1), 1.0)
    assert {name.split(" ")[0] for name in found.segments} == {"consent", "tenure_days"}
    responded = ~np.isnan(found.response)
    arms = np.array(found.log.arms)[found.log.arm]
    assert (found.response[responded] == np.char.startswith(arms[responded], "advice")).all()
    assert not np.isnan(found.p_accept[responded]).any()


def test_a_catalogue_that_favours_what_pays_passes_and_is_installed(
    home: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    decide(home, ledger)
    better = tmp_path / "better"
    better.mkdir()
    text = (home.catalogue_folder / "all.toml").read_text()
    text = text.replace('group = "help"\n', 'group = "help"\nlever = 2000\n')
    (better / "all.toml").write_text(text)
    candidate = challenger(home, ledger, reigning(home, ledger).bundle, None, better)
    easy = replace(
        home,
        gate_segments="consent,tenure_days",
        gate_harm_margin=0.05,
        # Accepted by rule, not by what the model expects; and timed on whatever machine this is.
        gate_calibration_error=10.0,
        gate_latency_ratio=50.0,
    )
    finding = find(easy, ledger, candidate, LATER)
    by_name = {gate.name: gate for gate in finding.gates}
    assert by_name["value"].verdict is Verdict.PASS, by_name["value"].explanation
    assert finding.verdict is Verdict.PASS, [g for g in finding.gates if g.verdict is not Verdict.PASS]
    memory = Memory()
    html, machine = keep(finding, home, memory)
    assert memory.tags["gate"] == "pass"
    assert memory.files["promotion.html"] == html.read_bytes()
    said = json.loads(machine.read_text())
    assert [gate["name"] for gate in said["gates"]] == [gate.name for gate in finding.gates]
    assert said["champion"]["catalogue"] != said["candidate"]["catalogue"]
    install(home, ledger, finding, memory)
    assert reigning(home, ledger) == candidate
    assert (home.catalogue_folder / "all.toml").read_text() == text
    live = live_of(home, ledger)
    assert live.strategy.catalogue.version == candidate.catalogue


def test_another_policy_decides_from_the_pointer_once_it_is_installed(home: Settings, ledger: Ledger) -> None:
    candidate = challenger(home, ledger, None, "thompson", None)
    finding = find(home, ledger, candidate, LATER)
    assert finding.first
    assert finding.verdict is Verdict.PASS
    live = live_of(home, ledger)
    install(home, ledger, finding, Memory())
    live.refresh()
    assert live.strategy.policy.name == "thompson"
    assert reigning(home, ledger) == candidate
    own = challenger(home, ledger, None, "epsilon-greedy-0.5", None)
    install(home, ledger, find(home, ledger, own, LATER), Memory())
    live.refresh()
    assert live.strategy.policy.name == "epsilon-greedy-0.5"
    pointer = read_pointer(home.bundle_folder)
    assert pointer is not None
    assert pointer.policy is None


def test_a_bundle_under_another_name_gains_nothing_and_is_not_promoted(home: Settings, ledger: Ledger) -> None:
    decide(home, ledger, rounds=1)
    before = champion(home.bundle_folder)
    candidate = challenger(home, ledger, copy_of(home), None, None)
    finding = find(home, ledger, candidate, LATER)
    assert finding.verdict is not Verdict.PASS
    assert champion(home.bundle_folder) == before
    with pytest.raises(AssertionError):
        install(home, ledger, finding, Memory())


def test_decisions_whose_windows_are_open_cannot_be_judged(home: Settings, ledger: Ledger) -> None:
    decide(home, ledger, rounds=1)
    finding = find(home, ledger, challenger(home, ledger, copy_of(home), None, None), SHOP_NOW + DAY)
    assert finding.verdict is Verdict.INSUFFICIENT
    assert "nothing can be judged yet" in finding.gates[1].explanation


def test_without_a_champion_the_models_verdicts_stand_alone(home: Settings, ledger: Ledger) -> None:
    bundle = str(reigning(home, ledger).bundle)
    (home.bundle_folder / "champion.json").unlink()
    finding = find(home, ledger, challenger(home, ledger, bundle, None, None), LATER)
    assert (finding.first, finding.verdict, [gate.name for gate in finding.gates]) == (True, Verdict.PASS, ["models"])
    install(home, ledger, finding, Memory())
    assert champion(home.bundle_folder) == home.bundle_folder / bundle


def test_what_a_bundle_learned_from_is_not_what_it_is_judged_on(home: Settings) -> None:
    folder = champion(home.bundle_folder)
    assert folder is not None
    bundle = load_bundle(folder)
    known = bundle.manifest["trials"]["propensity"]["parameters"]["judged_from"]
    assert learned_until(bundle) == known
    assert 0 < known < bundle.created_at


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (("20200101T000000-0123456789abcdef", None, None), NotFound),
        ((None, "no-such-policy", None), InvalidInput),
        ((None, None, Path("nowhere")), NotFound),
    ],
)
def test_a_candidate_that_is_none_is_refused(
    home: Settings, ledger: Ledger, given: tuple[Any, Any, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        challenger(home, ledger, *given)


def test_the_command_prints_the_table_keeps_it_and_moves_the_pointer_on_a_pass_alone(home: Settings) -> None:
    app = typer.Typer()
    commands(app)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["promote", *arguments, "--home", str(home.home)], env={"COLUMNS": "160"})

    first = champion(home.bundle_folder)
    assert first is not None
    (home.bundle_folder / "champion.json").unlink()
    told = run(first.name)
    assert told.exit_code == 0, told.output
    assert f"champion: {first.name}" in told.output
    assert "the models' own verdicts stand alone" in told.output.replace("\n", " ")
    assert (home.report_folder / f"promotion-{first.name}.html").is_file()
    ledger = open_ledger(home.ledger)
    decide(home, ledger, rounds=1)
    ledger.close()
    other = copy_of(home)
    told = run()
    assert told.exit_code == 1
    verdict = json.loads((home.report_folder / f"promotion-{other}.json").read_text())["verdict"]
    assert verdict in ("fail", "insufficient")
    assert f"{verdict}: " in told.output
    assert champion(home.bundle_folder) == first
    # By hand it may be pointed at, and back.
    publish_champion(home.bundle_folder, other)
    assert f"champion: {first.name}" in run("--back").output
    assert champion(home.bundle_folder) == first


def test_a_finding_without_gates_is_no_pass() -> None:
    contender = Contender("b", "p", "c")
    assert Finding(contender, contender, (), 0).verdict is Verdict.INSUFFICIENT
