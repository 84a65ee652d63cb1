"""The ledger is a log: what was drawn from which distribution, and what it earned; policies are scored again on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from experiments.ope import log_ledger as reading
from experiments.ope.diagnostics import diagnose
from experiments.ope.estimators import BIASED, ESTIMATORS
from experiments.ope.evidence import evidence
from experiments.ope.log_ledger import ledger_log
from experiments.ope.target import distribution
from features.cli import typer
from features.clock import DAY
from features.domain import DO_NOTHING, Arm, Candidates, Customer, Decision, Item, Removal, Stage, Versions
from features.errors import InvalidInput, NoData
from features.figures import moment
from features.ledger import RewardRow, open_ledger
from training.explorer import named_explorer

NOW = 1_790_000_000_000_000
ARMS = (Arm("guide", "web"), Arm("offer", "web"))
KEYS = (DO_NOTHING.key, *(arm.key for arm in ARMS))
LOGGING = "epsilon-greedy-0.4"


def a_ledger(folder: Path, decisions: int = 1_200) -> str:
    """Decisions drawn by LOGGING, one in three with the offer filtered out; offers succeed where loyalty is high."""
    url = f"sqlite:///{folder / 'ledger.db'}"
    ledger, rng = open_ledger(url), np.random.default_rng(3)
    ledger.put_customers([Customer(f"c{n}") for n in range(decisions)])
    rewards = []
    for n in range(decisions):
        loyalty, limited = float(rng.random()), n % 3 == 0
        made = _decision(n, loyalty, limited, rng)
        ledger.append_decision(
            made,
            request_hash="",
            answer=b"",
            contact_version=0,
            action_classes=dict.fromkeys(("offer", "guide"), "marketing"),
        )
        if made.arm != DO_NOTHING:
            happened = int(rng.random() < (0.6 * loyalty if made.arm == ARMS[1] else 0.2))
            rewards.append(
                RewardRow(made.decision_id, 1, "final", happened * 5_000_000, happened * 1_000_000, None, None)
            )
    ledger.save_learning(1, position=0, state="{}", now=NOW, rewards=rewards)
    ledger.close()
    return url


def packed(values: list[float]) -> bytes:
    return np.array(values, dtype="<f8").tobytes()


def _decision(n: int, loyalty: float, limited: bool, rng: np.random.Generator) -> Decision:
    """Survivors are do_nothing, guide and, unless limited, offer."""
    priority = [0.0, 1.0] + ([] if limited else [3.0 * loyalty])
    count = len(priority)
    shares = named_explorer(LOGGING).probabilities(np.array(priority), np.zeros(count))
    drawn = int(rng.choice(count, p=shares))
    arm, at = (DO_NOTHING, *ARMS)[drawn], NOW - 30 * DAY
    columns: dict[str, bytes | float | None] = {
        **{"p_model": 0.2, "p_accept": 0.2, "action_value": 5.0, "context_weight": 1.0, "lever": 1.0, "deviation": 0.1},
        "contact_cost": packed([0.0, *([0.25] * (count - 1))]),
        "priority": packed(priority),
        "probability": packed(shares.tolist()),
    }
    removals = [Removal(Stage.ELIGIBILITY, "too many")] if limited else []
    candidates = Candidates(KEYS, [-1, -1, 0 if limited else -1], removals, columns)
    item = Item(1, arm, "g", float(shares[drawn]), 0.2, 0.2, 5.0, 1.0, priority[drawn], None, at, at + 7 * DAY)
    versions = Versions("b", LOGGING + "/1", "c")
    return Decision(
        f"d{n}", f"r{n}", f"c{n}", at, (item,), "action", None, None, versions, candidates, {}, {"loyalty": loyalty}
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    a_ledger(folder)
    return folder


@pytest.fixture(scope="module")
def url(home: Path) -> str:
    return f"sqlite:///{home / 'ledger.db'}"


def test_each_decision_is_a_row_with_its_distribution_and_what_it_earned(url: str) -> None:
    log = ledger_log(url, NOW).feedback
    assert (len(log), log.arms) == (1_200, KEYS)
    assert log.allowed is not None
    assert log.logging_probability is not None
    assert log.allowed.sum(axis=1).tolist()[:3] == [2, 3, 3]
    assert log.context_names == ("loyalty",)
    # Money less what the contact cost; doing nothing costs nothing.
    assert set(np.unique(log.reward)) == {-0.25, 0.0, 4.75}
    assert (log.reward[log.arm == 0] == 0.0).all()
    assert set(np.unique(ledger_log(url, NOW, "response").feedback.reward)) == {0.0, 1.0}


def test_the_logging_policy_scored_again_is_what_was_logged(url: str) -> None:
    log = ledger_log(url, NOW)
    again = log.rescored(LOGGING)
    assert log.feedback.logging_probability is not None
    np.testing.assert_allclose(again, log.feedback.logging_probability, atol=1e-12)
    found = diagnose(evidence(log.feedback, distribution(log.feedback, LOGGING, again)))
    assert found.effective_sample_size == pytest.approx(1_200)


def test_a_policy_that_is_none_or_needs_more_than_the_record_is_refused(url: str) -> None:
    log = ledger_log(url, NOW)
    with pytest.raises(InvalidInput, match="no policy of this version is named 'guesswork'; there are thompson, "):
        log.rescored("guesswork")
    with pytest.raises(InvalidInput, match="leave the ramp out"):
        log.rescored("thompson,ramp-100-0.05")
    with pytest.raises(InvalidInput, match="one of value, response"):
        ledger_log(url, NOW, "applause")


def test_what_is_younger_than_the_longest_window_is_not_judged(url: str) -> None:
    with pytest.raises(
        NoData, match=r"older than the longest attribution window .+ 7 days .+ before 2026-\d\d-\d\d \d\d:\d\d \(UTC\)"
    ):
        ledger_log(url, NOW - 25 * DAY)


def catalogue_of(guide_days: float, offer_days: float, channel: str = "") -> dict[str, str]:
    actions = "".join(
        f'[[action]]\nid = "{name}"\ngroup = "g"\nvalue = 5.0\nwindow_days = {days}\n'
        'treatment = [{ channel = "web", content = "x" }]\n'
        for name, days in (("guide", guide_days), ("offer", offer_days))
    )
    return {"all.toml": f'[[group]]\nid = "g"\n[[channel]]\nid = "web"\n{channel}' + actions}


def a_ledger_of(folder: Path, made: list[tuple[str, int, str]], catalogues: dict[str, dict[str, str]]) -> str:
    """Decisions by action drawn, days ago, and version of the catalogue."""
    url = f"sqlite:///{folder / 'ledger.db'}"
    ledger = open_ledger(url)
    ledger.put_customers([Customer(f"c{n}") for n in range(len(made))])
    for version, files in catalogues.items():
        ledger.keep_catalogue(version, files)
    shares = named_explorer(LOGGING).probabilities(np.array([0.0, 1.0, 1.5]), np.zeros(3))
    for n, (action, days, version) in enumerate(made):
        one, at = _decision(n, 0.5, False, np.random.default_rng(n)), NOW - days * DAY
        arm = Arm(action, "web")
        one = replace(one, decided_at=at, versions=replace(one.versions, catalogue=version))
        # As the engine writes it: the window of the arm drawn.
        closes_at = at + (2 if action == "guide" else 7) * DAY
        share = float(shares[KEYS.index(arm.key)])
        item = replace(one.items[0], arm=arm, action_probability=share, closes_at=closes_at)
        one = replace(one, items=(item,))
        ledger.append_decision(
            one, request_hash="", answer=b"", contact_version=0, action_classes={action: "marketing"}
        )
    ledger.close()
    return url


def days_judged(url: str, now: int = NOW) -> list[int]:
    moments = ledger_log(url, now).feedback.decided_at
    assert moments is not None
    return [(NOW - int(moment)) // DAY for moment in moments]


def test_a_decision_of_a_catalogue_with_a_long_window_holds_back_no_other(tmp_path: Path) -> None:
    made = [("offer", 60, "long"), ("guide", 30, "short"), ("offer", 20, "short"), ("guide", 3, "short")]
    url = a_ledger_of(tmp_path, made, {"long": catalogue_of(2, 90), "short": catalogue_of(2, 7)})
    assert days_judged(url) == [30, 20]
    assert days_judged(url, NOW + 31 * DAY) == [60, 30, 20, 3]


def test_what_was_drawn_does_not_choose_which_decisions_are_judged(tmp_path: Path) -> None:
    # The guide's window of two days is closed after three; the offer, which might have been drawn, takes seven.
    made = [(action, days, "c") for days in (8, 6, 3) for action in ("guide", "offer")]
    url = a_ledger_of(tmp_path, made, {"c": catalogue_of(2, 7)})
    assert days_judged(url) == [8, 8]


def test_a_window_that_starts_with_a_late_display_is_waited_for(tmp_path: Path) -> None:
    late = catalogue_of(2, 7, "reports_display = true\ndisplay_days = 4\n")
    url = a_ledger_of(tmp_path, [("guide", 12, "c"), ("guide", 8, "c")], {"c": late})
    assert days_judged(url) == [12]


def test_the_latest_are_taken_however_many_are_still_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 3)
    made = [("guide", days, "short") for days in range(20, 10, -1)] + [("guide", 5, "long")] * 7
    url = a_ledger_of(tmp_path, made, {"long": catalogue_of(2, 90), "short": catalogue_of(2, 3)})
    assert days_judged(url) == list(range(20, 10, -1))
    moments = ledger_log(url, NOW, limit=4).feedback.decided_at
    assert moments is not None
    assert [(NOW - int(moment)) // DAY for moment in moments] == [14, 13, 12, 11]


def test_when_nothing_can_be_judged_the_first_window_to_close_is_named(tmp_path: Path) -> None:
    made = [("offer", 9, "long"), ("guide", 2, "short"), ("guide", 1, "short")]
    url = a_ledger_of(tmp_path, made, {"long": catalogue_of(2, 90), "short": catalogue_of(2, 7)})
    first = moment(NOW + 5 * DAY)
    with pytest.raises(NoData, match=rf"7 days \(catalogue short\): nothing can be judged before {first} \(UTC\)"):
        ledger_log(url, NOW)
    assert days_judged(url, NOW + 5 * DAY) == [2]


def test_the_command_prints_and_writes_a_page(home: Path) -> None:
    from experiments.cli import commands

    app = typer.Typer()
    commands(app)
    asked = ["experiment", "evaluate", "ledger", "--home", str(home)]
    targets = ["--target", "epsilon-greedy-0.1", "--target", "uniform", "--target", "constant:do_nothing@none"]
    done = CliRunner().invoke(app, [*asked, *targets], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "epsilon-greedy-0.1 would have earned" in " ".join(done.output.split())
    page = (home / "reports" / "evaluation-ledger.html").read_text()
    for said in ("<svg", "Effective sample size", "Maurer, Pontil", "constant:do_nothing@none"):
        assert said in page
    assert (home / "reports" / "evaluation-ledger.json").is_file()


def test_estimates_whose_intervals_leave_out_a_bias_are_marked_in_the_table_as_on_the_page(home: Path) -> None:
    from experiments.cli import commands

    app = typer.Typer()
    commands(app)
    asked = ["experiment", "evaluate", "ledger", "--home", str(home), "--target", "uniform", "--all"]
    told = " ".join(CliRunner().invoke(app, asked, catch_exceptions=False).output.split())
    page = (home / "reports" / "evaluation-ledger.html").read_text()
    assert BIASED in told
    assert BIASED in page
    # The terminal of a test is narrow: of long names little is left.
    assert told.count("│ * ") == 4
    assert [name for name in ESTIMATORS if f"* {name}<" in page] == ["clipped-ips", "dm", "switch-dr", "dros"]


def test_a_home_without_a_ledger_says_what_to_do_first_and_stays_empty(tmp_path: Path) -> None:
    from experiments.cli import commands

    app = typer.Typer()
    commands(app)
    for asked, first in (
        (["evaluate", "ledger", "--target", "uniform"], "`segue up` or `segue serve` make decisions"),
        (["study", "hillstrom"], "run `segue import hillstrom SOURCE` first"),
    ):
        with pytest.raises(NoData, match=first):
            CliRunner().invoke(app, ["experiment", *asked, "--home", str(tmp_path)], catch_exceptions=False)
    assert not (tmp_path / "ledger.db").exists()


def test_a_command_without_an_answer_says_so_in_its_exit_status(tmp_path: Path) -> None:
    from experiments.cli import commands

    app = typer.Typer()
    commands(app)
    log = tmp_path / "log.csv"
    log.write_text("arm,action_probability,reward\n" + "a,0.5,1\nb,0.5,0\n" * 40)
    asked = ["experiment", "evaluate", str(log), "--home", str(tmp_path), "--target", "constants"]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 1
    assert "No number is given" in " ".join(done.output.split())
    assert "insufficient: constant:a: effective sample size" in " ".join(done.output.split())
    with pytest.raises(InvalidInput, match="write WHAT=COLUMN"):
        CliRunner().invoke(app, [*asked, "--column", "money"], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="Policies by name need the ledger"):
        CliRunner().invoke(app, [*asked, "--target", "thompson"], catch_exceptions=False)
