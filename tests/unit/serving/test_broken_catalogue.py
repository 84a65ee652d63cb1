"""A broken catalogue changes nothing: not for decisions, not after a restart, not for what is learned."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from features.domain import Customer
from features.errors import InvalidInput
from features.home import prepare_home
from features.ledger import Ledger, open_ledger
from features.settings import Settings, load_settings
from serving.journal import Journal
from serving.metrics import Metrics
from serving.refresh import Live, Watcher
from serving.worker import Worker


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    return settings


def spoil(settings: Settings) -> None:
    with (settings.catalogue_folder / "actions.toml").open("a") as file:
        file.write("\n[[action\n")


def repair(settings: Settings) -> None:
    file = settings.catalogue_folder / "actions.toml"
    file.write_text(file.read_text().removesuffix("\n[[action\n"))


def started(settings: Settings, ledger: Ledger) -> Live:
    live = Live(settings, ledger, lambda: None)
    live.refresh()
    return live


def test_the_last_good_one_decides_on_also_after_a_restart(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_ledger(settings.ledger)
    running = started(settings, ledger)
    good = running.strategy.catalogue
    spoil(settings)
    with caplog.at_level(logging.ERROR):
        running.refresh()
    assert running.strategy.catalogue == good
    assert "actions.toml" in caplog.text
    assert started(settings, ledger).strategy.catalogue == good
    assert running.stale == {"catalogue"}
    repair(settings)
    running.refresh()
    assert running.stale == set()
    ledger.close()


def test_who_reads_the_metrics_sees_that_the_newest_catalogue_is_not_the_one_that_decides(settings: Settings) -> None:
    ledger, metrics = open_ledger(settings.ledger), Metrics()
    watcher = Watcher(started(settings, ledger), ledger, metrics, Journal(io.BytesIO()), every_seconds=3_600.0)
    for change, stale in ((lambda: None, 0.0), (lambda: spoil(settings), 1.0), (lambda: repair(settings), 0.0)):
        change()
        watcher.round()
        assert f'segue_stale{{part="catalogue"}} {stale}' in metrics.text().decode()
    ledger.close()


def test_an_emptied_folder_is_a_broken_catalogue_and_gets_no_sample_offers(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_ledger(settings.ledger)
    running = started(settings, ledger)
    good = running.strategy.catalogue
    for file in settings.catalogue_folder.glob("*.toml"):
        file.unlink()
    with caplog.at_level(logging.ERROR):
        running.refresh()
    assert running.strategy.catalogue == good
    assert "no TOML file" in caplog.text
    assert not prepare_home(settings)
    assert not list(settings.catalogue_folder.iterdir())
    assert started(settings, ledger).strategy.catalogue == good
    ledger.close()


def test_a_first_start_with_a_broken_one_offers_nothing(settings: Settings) -> None:
    ledger = open_ledger(settings.ledger)
    spoil(settings)
    assert not started(settings, ledger).strategy.catalogue.actions
    ledger.close()


def test_learning_goes_on_with_the_one_that_decides(settings: Settings) -> None:
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("anna")])
    started(settings, ledger)
    spoil(settings)
    worker = Worker(settings, ledger, lambda: None)
    assert worker.work(now=1).released == 0
    ledger.close()


@pytest.mark.parametrize(
    "line", ["holdout_share = 5", "holdout_share = -1", "port = 99999", "deadline_seconds = -3", "workers = 0"]
)
def test_a_setting_out_of_range_is_refused_by_name(tmp_path: Path, line: str) -> None:
    (tmp_path / "segue.toml").write_text(line + "\n")
    with pytest.raises(InvalidInput, match=rf"segue.toml: {line.split()[0]} must lie between"):
        load_settings(tmp_path, {})


def test_a_home_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be made"):
        prepare_home(Settings(home=tmp_path / "file" / "home"))
