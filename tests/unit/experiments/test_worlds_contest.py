from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from experiments.cli import commands
from experiments.worlds.command import simulate_worlds
from experiments.worlds.contest import Contest, explorer_of, hold, maker, read_runs, roster
from experiments.worlds.correction import CORRECTIONS
from experiments.worlds.named import make_world
from experiments.worlds.own_log import FEATURES, OwnLog
from experiments.worlds.page import cells, draw
from experiments.worlds.play import Feedback, Run, Visits, play
from experiments.worlds.segue_player import SeguePlayer
from experiments.worlds.table import interval, scores, summaries
from experiments.worlds.vowpal import EXPLORERS, VowpalPlayer, installed
from features.errors import InvalidInput
from features.settings import Settings
from training.covariates import Covariates
from training.explorer import Explorer
from training.policies import EpsilonGreedy
from training.start import NO_START
from training.thompson import Thompson

needs_wabbit = pytest.mark.skipif(not installed(), reason="vowpalwabbit is not installed: `pip install vowpalwabbit`")
SETTINGS = Settings()


def run_of(player: str, seed: int, curve: tuple[float, ...], world: str = "linear") -> Run:
    return Run(world, player, seed, 100, curve, curve[-1], 50, 0)


def first_visits(world_name: str = "linear") -> Visits:
    """The first tick of a world, as every player sees it."""
    seen: list[Visits] = []

    class Looker(SeguePlayer):
        def distributions(self, visits: Visits) -> np.ndarray:
            seen.append(visits)
            return super().distributions(visits)

    play(make_world(world_name, 1), lambda w: Looker(w, "looker", Explorer(EpsilonGreedy())), 50)
    return seen[0]


# -- Segue -----------------------------------------------------------------------------------------------------------


def test_segue_draws_allowed_arms_alone_and_its_probabilities_add_up() -> None:
    visits = first_visits()
    player = SeguePlayer(make_world("linear", 1), "x", Explorer(Thompson(), probability_floor=0.01))
    shares = player.distributions(visits)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
    assert (shares[~visits.allowed] == 0.0).all()
    assert (shares[visits.allowed] >= 0.01 - 1e-12).all()


def test_a_correction_follows_the_answers_and_forgets_those_of_another_model() -> None:
    correction, features = CORRECTIONS["residual"](make_world("linear", 1)), np.zeros((1, len(FEATURES)))
    p_model = np.full((1, 10), 0.1)
    before, spread = correction.estimate(p_model, features)
    assert before == pytest.approx(p_model)
    for _ in range(10):
        stated = np.full(20, correction.estimate(p_model, features)[0][0, 0])
        seen, rows = np.tile([1.0, 0.0], 10), np.zeros(20, dtype=np.int64)
        correction.learn(rows, np.full(20, 0.1), stated, np.repeat(features, 20, axis=0), seen)
    after, narrower = correction.estimate(p_model, features)
    assert 0.4 < after[0, 0] < 0.6
    assert narrower[0, 0] / after[0, 0] < spread[0, 0] / before[0, 0]
    assert correction.counts().tolist() == [200] + [0] * 9
    correction.restart(Covariates(("attribute_age",), (0.0,), (1.0,)), NO_START)
    assert correction.estimate(p_model, features)[0] == pytest.approx(p_model)


def test_without_a_correction_the_model_is_never_gainsaid() -> None:
    correction, features = CORRECTIONS["none"](make_world("linear", 1)), np.zeros((1, len(FEATURES)))
    p_model = np.full((1, 10), 0.1)
    before = correction.estimate(p_model, features)
    correction.learn(np.zeros(1, dtype=np.int64), p_model[0, :1], p_model[0, :1], features, np.ones(1))
    assert np.array_equal(correction.estimate(p_model, features), before)
    assert before[0] == pytest.approx(p_model)


def test_the_own_log_gives_training_only_what_has_matured_in_slices_by_time() -> None:
    world = make_world("linear", 1)
    log, visits = OwnLog(world), first_visits()
    log.visited(visits)
    numbers = visits.numbers
    log.answered(Feedback(numbers, np.zeros(50, dtype=np.int64), np.ones(50), np.zeros(50), np.zeros(50)))
    assert log.dataset(int(visits.at[-1])).rows == 0
    matured = log.dataset(int(visits.at[-1]) + 2 * 86_400_000_000)
    assert 0 < matured.rows <= 50
    assert next(iter(matured.parts.values())).matrix.shape[1] == len(FEATURES) + log.arm_rows.shape[1]
    assert matured.shortcoming() is not None


def test_segue_trains_on_schedule_and_then_no_longer_assumes_one_probability_for_all() -> None:
    made: list[SeguePlayer] = []

    def make(world: object) -> SeguePlayer:
        made.append(SeguePlayer(world, "x", Explorer(EpsilonGreedy(1.0)), schedule=(2_500,)))  # type: ignore[arg-type]
        return made[0]

    play(make_world("linear", 1), make, 2_600)
    assert made[0].models == 1


@pytest.mark.parametrize("seed", [1])
def test_in_a_tiny_world_exploring_segue_beats_random_and_greedy(seed: int) -> None:
    world = make_world("linear", seed)
    earned = {
        name: play(world, maker(name, 3_000, SETTINGS), 3_000).reward for name in ("random", "greedy", "thompson")
    }
    assert earned["thompson"] > earned["random"]
    assert earned["thompson"] > earned["greedy"]


# -- Vowpal Wabbit ---------------------------------------------------------------------------------------------------


@needs_wabbit
@pytest.mark.parametrize("name", EXPLORERS)
def test_each_explorer_draws_allowed_arms_with_probabilities_that_add_up(name: str) -> None:
    visits = first_visits()
    shares = VowpalPlayer(make_world("linear", 1), name, EXPLORERS[name]).distributions(visits)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
    assert (shares[~visits.allowed] == 0.0).all()


@needs_wabbit
def test_vowpal_wabbit_learns_better_than_random() -> None:
    world = make_world("linear", 1)
    earned = [play(world, maker(name, 3_000, SETTINGS), 3_000).reward for name in ("random", "vw-squarecb")]
    assert earned[1] > 1.1 * earned[0]


# -- The contest -----------------------------------------------------------------------------------------------------


def test_the_roster_has_every_reference_and_refuses_strangers() -> None:
    players = roster(["thompson", "squarecb-1000,floor-0.01"], SETTINGS)
    assert players[:2] == ("thompson", "squarecb-1000,floor-0.01")
    assert {"random", "catalogue-order", "best-constant", "greedy", "oracle"} <= set(players)
    assert {"uniform", "softmax", "epsilon-greedy"} <= set(roster(["all"], SETTINGS))
    assert explorer_of("segue", SETTINGS).name == "thompson,floor-0.0005"
    with pytest.raises(InvalidInput, match="softmax"):
        roster(["ucb"], SETTINGS)
    with pytest.raises(InvalidInput, match="residual"):
        roster(["thompson+nothing"], SETTINGS)


def test_a_contest_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    file, heard = tmp_path / "worlds.jsonl", list[str]()
    small = Contest(("linear",), ("random", "oracle"), 1, 500)
    first = hold(small, SETTINGS, file, lambda _share, note: heard.append(note))
    assert any("random in linear" in note for note in heard)
    heard.clear()
    assert hold(small, SETTINGS, file, lambda _share, note: heard.append(note)) == first
    assert heard == []
    larger = hold(Contest(("linear",), ("random", "oracle"), 2, 500), SETTINGS, file, lambda *_: None)
    assert [run for run in larger if run.seed == 1] == first


def test_runs_of_other_code_are_played_again_and_a_spoilt_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "worlds.jsonl"
    hold(Contest(("linear",), ("random",), 1, 500), SETTINGS, file, lambda *_: None)
    line = json.loads(file.read_text())
    file.write_text(json.dumps({**line, "code": "older"}) + "\n")
    assert list(read_runs(file)) == []
    file.write_text("{\n")
    with pytest.raises(InvalidInput, match="line 1"):
        list(read_runs(file))


def test_scores_measure_regret_the_way_and_the_best_wabbit() -> None:
    runs = []
    for seed in (1, 2):
        runs += [
            run_of("mine", seed, tuple(np.linspace(1.5, 150.0 + seed, 100))),
            run_of("random", seed, tuple(np.linspace(1.0, 100.0, 100))),
            run_of("oracle", seed, tuple(np.linspace(2.0, 200.0, 100))),
            run_of("vw-epsilon", seed, tuple(np.linspace(1.2, 120.0, 100))),
            run_of("vw-cover", seed, tuple(np.linspace(1.5, 140.0, 100))),
        ]
    rows = {row.player: row for row in scores(runs)}
    assert rows["mine"].regret == pytest.approx(0.485)
    assert rows["mine"].share == pytest.approx(0.515)
    assert rows["mine"].ratio == pytest.approx(0.485 / 0.6)
    assert rows["mine"].interval is not None
    low, high = rows["mine"].interval
    assert low <= rows["mine"].regret <= high
    assert (rows["random"].share, rows["oracle"].share, rows["oracle"].regret) == (0.0, 1.0, 0.0)
    total = {row.player: row for row in summaries(list(rows.values()), frozenset({"linear"}))}
    assert total["mine"].median_ratio == total["mine"].worst_ratio == rows["mine"].ratio
    assert total["mine"].least_stationary_share == rows["mine"].share
    assert next(iter(total)) == "oracle"


def test_a_player_is_measured_against_explorers_that_played_the_same_seeds() -> None:
    runs = [run_of("mine", 1, (1.0, 2.0))]
    for seed, hard in ((1, 1.0), (2, 50.0)):
        runs += [run_of("random", seed, (1.0, 1.0)), run_of("oracle", seed, (1.0, 3.0 * hard))]
        runs += [run_of("vw-epsilon", seed, (1.0, 2.0))]
    mine = next(row for row in scores(runs) if row.player == "mine")
    assert mine.ratio == pytest.approx(1.0)
    assert mine.interval is None, "one seed says nothing of how seeds differ"
    assert "–" in cells(mine)


def test_without_vowpal_wabbit_there_is_no_ratio() -> None:
    rows = scores([run_of(name, 1, (1.0, money)) for name, money in (("random", 1.0), ("oracle", 3.0))])
    assert all(row.ratio is None for row in rows)
    assert summaries(rows, frozenset())[0].median_ratio is None


def test_the_interval_of_a_mean_covers_it_and_narrows_with_seeds() -> None:
    values = np.random.default_rng(1).normal(5.0, 1.0, 80)
    low, high = interval(values)
    few_low, few_high = interval(values[:5])
    assert low < values.mean() < high
    assert high - low < few_high - few_low


def test_the_command_prints_tables_and_writes_a_page_with_a_picture(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    simulate_worlds(Settings(home=tmp_path), ["segue"], ["linear"], 1, 500, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "linear" in said
    assert "best-constant" in said
    assert "<table>" in (tmp_path / "reports" / "worlds.html").read_text()
    assert (tmp_path / "reports" / "worlds.png").read_bytes()[:4] == b"\x89PNG"
    stored = json.loads((tmp_path / "reports" / "worlds.json").read_text())
    assert {row["player"] for row in stored["worlds"]} >= {"segue", "random", "oracle"}
    assert all(row["cap_violations"] == 0 for row in stored["worlds"])


def test_the_command_refuses_an_unknown_world_before_it_plays(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="many-arms"):
        simulate_worlds(Settings(home=tmp_path), ["segue"], ["flat"], 1, 500, Console(file=io.StringIO()))
    assert not list(tmp_path.iterdir())


def test_worlds_without_a_policy_are_refused_and_nothing_is_filled(tmp_path: Path) -> None:
    app = typer.Typer()
    commands(app)
    with pytest.raises(InvalidInput, match="--policy"):
        CliRunner().invoke(app, ["simulate", "--home", str(tmp_path), "--worlds", "linear"], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_several_worlds_make_several_panels(tmp_path: Path) -> None:
    runs = [run_of(p, 1, (1.0, m), world) for world in ("linear", "drift") for p, m in (("random", 1.0), ("oracle", 2))]
    draw(tmp_path / "two.png", runs)
    draw(tmp_path / "one.png", runs[:2])
    assert (tmp_path / "two.png").stat().st_size > (tmp_path / "one.png").stat().st_size
