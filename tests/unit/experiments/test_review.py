from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import chisquare
from typer.testing import CliRunner

from experiments.chart import Bar, forest
from experiments.cli import commands
from experiments.formulas import formula_of
from experiments.homes import NOTE
from experiments.inference import Verdict
from experiments.report import between, page, write_review
from experiments.review import as_json, review_holdout
from experiments.review_cli import table_of
from experiments.srm import check_ratio
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Decision, Event, Item, Versions
from features.errors import NoData
from features.ledger import Ledger, open_ledger
from features.settings import Settings

NOW = 20_000 * DAY


def settings(folder: Path, share: float = 0.2) -> Settings:
    return Settings(home=folder, holdout_share=share)


def write_world(ledger: Ledger, lift: float, units: int = 1000, share: float = 0.2, seed: int = 0) -> None:
    """`units` customers decided about 10 to 20 days ago; a third buys before, and some after: more of the treated."""
    rng = np.random.default_rng(seed)
    events = []
    for n in range(units):
        name, at = f"c{n}", NOW - int(rng.uniform(10, 20) * DAY)
        group = "holdout" if n < units * share else "everyone"
        decide(ledger, name, at, group)
        decide(ledger, name, at + DAY, group)
        spends = rng.gamma(2.0, 10.0)
        if rng.random() < 0.35:
            events.append(purchase(name, f"before-{n}", at - DAY, spends))
        if rng.random() < 0.3 + (lift if group == "everyone" else 0.0):
            events.append(purchase(name, f"after-{n}", at + 2 * DAY, spends + rng.gamma(1.0, 5.0)))
    ledger.append_events(events)


def decide(ledger: Ledger, customer: str, at: int, group: str) -> None:
    item = Item(1, DO_NOTHING, "none", 1.0, None, None, 0.0, 0.0, 0.0, None, at + DAY, at + DAY)
    name = f"{customer}-{at}-{group}"
    versions, variants = Versions(None, "p", "c"), {"holdout": group}
    decision = Decision(name, name, customer, at, (item,), "do_nothing", None, None, versions, variants=variants)
    ledger.append_decision(decision, request_hash="", answer=b"", contact_version=0, action_classes={})


def purchase(customer: str, name: str, at: int, value: float) -> Event:
    return Event(name, customer, "purchase", at, value=value)


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("better")
    ledger = open_ledger(settings(home).ledger)
    write_world(ledger, 0.2)
    ledger.close()
    return home


def test_a_programme_that_helps_is_found_better(better: Path) -> None:
    review = review_holdout(settings(better), NOW)
    assert review.verdict == Verdict.BETTER
    assert (review.ratio_check.treatment_units, review.ratio_check.control_units) == (800, 200)
    conversion, revenue = review.estimates
    assert conversion.effect is not None
    assert conversion.effect.low <= 0.2 <= conversion.effect.high
    assert revenue.verdict == Verdict.BETTER
    assert "did better" in review.summary()


def test_a_programme_without_effect_is_insufficient(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    write_world(ledger, 0.0)
    review = review_holdout(settings(tmp_path), NOW)
    assert review.verdict == Verdict.INSUFFICIENT
    assert "Not enough evidence" in review.summary()
    ledger.close()


def test_groups_of_the_wrong_size_stop_the_reading(better: Path) -> None:
    review = review_holdout(settings(better, share=0.05), NOW)
    assert review.verdict == Verdict.STOP
    assert review.estimates == ()
    assert "Do not read further" in page(review)
    assert table_of(review).row_count == 0


def test_nothing_to_review_says_what_to_do(tmp_path: Path) -> None:
    open_ledger(settings(tmp_path).ledger).close()
    with pytest.raises(NoData, match="segue serve"):
        review_holdout(settings(tmp_path), NOW)


def test_a_customer_seen_in_both_groups_is_left_out_and_counted(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    write_world(ledger, 0.0, units=200)
    decide(ledger, "c0", NOW - DAY, "everyone")
    review = review_holdout(settings(tmp_path), NOW)
    assert review.crossed == 1
    assert review.ratio_check.control_units == 39
    assert "customers in both groups: 1" in page(review)
    ledger.close()


def test_only_purchases_after_the_first_decision_and_within_the_window_count(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    for n in range(120):
        decide(ledger, f"c{n}", NOW - 10 * DAY, "holdout" if n < 60 else "everyone")
    decide(ledger, "new", NOW - HOUR, "everyone")
    ledger.append_events(
        [purchase(f"c{n}", f"in{n}", NOW - 9 * DAY, 5.0) for n in range(20, 80)]
        + [purchase(f"c{n}", f"before{n}", NOW - 11 * DAY, 7.0) for n in range(0, 120, 2)]
        + [purchase(f"c{n}", f"later{n}", NOW - 3 * DAY, 100.0) for n in range(120)]
    )
    review = review_holdout(settings(tmp_path, 0.5), NOW, window_days=5)
    conversion, revenue = review.estimates
    assert (conversion.treatment_mean, conversion.control_mean) == pytest.approx((20 / 60, 40 / 60))
    assert revenue.treatment_mean == pytest.approx(5.0 * 20 / 60)
    assert review.still_open == 1
    assert review_holdout(settings(tmp_path, 0.5), NOW).estimates[0].treatment_units == 61
    ledger.close()


def test_money_paid_back_is_no_purchase_and_is_taken_off_the_revenue(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    for n in range(120):
        decide(ledger, f"c{n}", NOW - 10 * DAY, "holdout" if n < 60 else "everyone")
    at = NOW - 9 * DAY
    ledger.append_events(
        [purchase(f"c{n}", f"in{n}", at, 50.0) for n in range(30, 90)]
        + [purchase(f"c{n}", f"back{n}", at, -20.0) for n in range(75, 105)]
        + [Event(f"refund{n}", f"c{n}", "refund", at, value=5.0) for n in range(20)]
    )
    conversion, revenue = review_holdout(settings(tmp_path, 0.5), NOW).estimates
    assert (conversion.treatment_mean, conversion.control_mean) == pytest.approx((30 / 60, 30 / 60))
    assert revenue.treatment_mean == pytest.approx((30 * 50.0 - 30 * 20.0) / 60)
    assert revenue.control_mean == pytest.approx((30 * 50.0 - 20 * 5.0) / 60)
    ledger.close()


def test_the_ratio_check_is_the_chi_square_test_of_scipy() -> None:
    check = check_ratio(9_400, 600, 0.05)
    assert check.p_value == pytest.approx(chisquare([9_400, 600], [9_500, 500]).pvalue)
    assert not check.passed
    assert check_ratio(9_510, 490, 0.05).passed
    assert check_ratio(10, 0, 0.0).passed
    assert not check_ratio(10, 1, 0.0).passed


def test_a_right_assignment_is_stopped_about_once_in_a_thousand() -> None:
    sizes = np.random.default_rng(7).binomial(5_000, 0.05, 4_000)
    alarms = sum(not check_ratio(5_000 - int(k), int(k), 0.05).passed for k in sizes)
    assert alarms <= 12


def test_the_page_stands_alone_and_shows_the_formulas_that_were_computed(better: Path, tmp_path: Path) -> None:
    review = review_holdout(settings(better), NOW)
    html, machine = write_review(review, tmp_path / "reports")
    text = html.read_text()
    assert re.search(r'(src|href)=|@import|url\(|<script|="https?:', text) is None
    assert "<svg" in text
    assert formula_of(check_ratio).text.replace("<", "&lt;") in text
    values = json.loads(machine.read_text())
    assert values == json.loads(json.dumps(as_json(review)))
    assert values["verdict"] == "better"
    assert values["estimates"][0]["effect"]["low"] > 0


def test_the_table_prints_one_row_for_each_metric(better: Path) -> None:
    console = Console(record=True, width=160)
    console.print(table_of(review_holdout(settings(better), NOW)))
    text = console.export_text()
    assert "customers who bought" in text
    assert "revenue per customer" in text


def test_a_plot_draws_every_bar_and_cuts_off_what_is_out_of_sight() -> None:
    svg = forest([Bar("one", 0.1, -0.2, 0.4, "better"), Bar("<two>", 0.5, -0.5, 9.0, "insufficient")], "Effects")
    assert svg.count("<circle") == 2
    assert "▸" in svg
    assert "&lt;two&gt;" in svg
    assert "no effect" in svg


def test_the_command_writes_the_page_and_refuses_an_unknown_experiment(better: Path) -> None:
    import typer

    app = typer.Typer()
    app.callback()(lambda: None)
    commands(app)
    (better / "segue.toml").write_text("holdout_share = 0.2\n")
    done = CliRunner().invoke(app, ["experiment", "review", "holdout", "--home", str(better)])
    assert done.exit_code == 0, done.output
    assert (better / "reports" / "holdout.html").exists()
    assert (better / "reports" / "holdout.json").exists()
    wrong = CliRunner().invoke(app, ["experiment", "review", "banner", "--home", str(better)])
    assert wrong.exit_code != 0
    assert "holdout" in str(wrong.exception)


def test_a_review_is_a_value(better: Path) -> None:
    review = review_holdout(settings(better), NOW)
    assert review == replace(review)
    assert review == review_holdout(settings(better), NOW)


def test_differences_of_shares_are_in_points_and_relative_ones_in_percent(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    write_world(ledger, lift=0.3)
    ledger.close()
    review = review_holdout(settings(tmp_path), NOW)
    bought = next(e for e in review.estimates if e.metric.share)
    assert between(bought.effect, bought.metric) == (
        f"{100 * bought.effect.estimate:+.2f} points "
        f"({100 * bought.effect.low:+.2f} to {100 * bought.effect.high:+.2f})"
    )
    assert bought.relative_effect is not None
    assert between(bought.relative_effect, None).startswith(f"{100 * bought.relative_effect.estimate:+.1f} % (")
    assert "Relative to the holdout" in page(review)
    assert "percentage points" in page(review)


def test_simulated_customers_are_said_to_be_simulated(tmp_path: Path) -> None:
    ledger = open_ledger(settings(tmp_path).ledger)
    write_world(ledger, lift=0.0)
    assert "Simulated customers" not in page(review_holdout(settings(tmp_path), NOW))
    ledger.put_note(NOTE, "{}")
    ledger.close()
    review = review_holdout(settings(tmp_path), NOW)
    assert "Simulated customers" in page(review)
    assert as_json(review)["simulated"] is True
