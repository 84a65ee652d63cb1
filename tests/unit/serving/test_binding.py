"""Models and rules are bound to what a feature's name means: under another meaning they are refused by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from features.contract import Feature, FeatureContract, read_contract
from features.errors import InvalidInput, NotFound, UntrustedArtefact
from features.settings import Settings
from features.store import open_feature_store
from serving.cli import commands
from serving.contender import challenger, go_back
from training.binding import load_fitting_bundle
from training.pointer import read_pointer

Deciding = Callable[..., Any]


def run(*words: str) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands(app)
    return CliRunner().invoke(app, list(words))


def change(settings: Settings, name: str, sql: str = "count(*)") -> None:
    """Gives a feature another meaning behind everybody's back, as a contract.json from elsewhere would."""
    file = settings.feature_folder / "contract.json"
    before = read_contract(settings.feature_folder)
    assert before is not None
    features = tuple(replace(f, sql=sql) if f.name == name else f for f in before.features)
    stamp = file.stat().st_mtime_ns + 10**9
    file.write_text(FeatureContract(features, before.removed).to_json())
    os.utime(file, ns=(stamp, stamp))


def grow(settings: Settings, name: str) -> None:
    store = open_feature_store(settings)
    store.change(lambda before: FeatureContract((*before.features, Feature(name, "activity", "count(*)", name))))


def test_features_that_come_later_disturb_neither_models_nor_rules(deciding: Deciding) -> None:
    parts = deciding()
    bundle = parts.live.strategy.bundle_id
    grow(parts.settings, "attribute_new")
    parts.live.refresh()
    assert parts.live.stale == set()
    assert parts.live.strategy.bundle_id == bundle is not None
    assert parts.live.features.contract.names[-1] == "attribute_new"


def test_models_whose_feature_means_something_else_decide_no_more(
    deciding: Deciding, caplog: pytest.LogCaptureFixture
) -> None:
    parts = deciding()
    change(parts.settings, "spend_90d")
    with caplog.at_level(logging.ERROR):
        parts.live.refresh()
    assert parts.live.strategy.bundle is None
    assert parts.live.stale == {"bundle"}
    assert "spend_90d meant something else" in caplog.text
    assert "segue train" in caplog.text
    assert deciding().live.strategy.bundle is None  # after a restart too


def test_models_whose_feature_means_something_else_can_neither_be_tried_nor_promoted(deciding: Deciding) -> None:
    parts = deciding()
    pointer = read_pointer(parts.settings.bundle_folder)
    assert load_fitting_bundle(parts.settings, pointer.bundle_id).bundle_id == pointer.bundle_id
    change(parts.settings, "spend_90d")
    with pytest.raises(UntrustedArtefact, match="spend_90d"):
        challenger(parts.settings, parts.ledger, pointer.bundle_id, None, None)
    with pytest.raises((UntrustedArtefact, NotFound)):
        go_back(parts.settings, parts.ledger, None)  # type: ignore[arg-type]


def test_a_rule_whose_feature_means_something_else_is_refused_by_file_line_and_name(
    deciding: Deciding, caplog: pytest.LogCaptureFixture
) -> None:
    parts = deciding()
    home = ("--home", str(parts.settings.home))
    assert run("catalogue", "check", *home).exit_code == 0
    change(parts.settings, "contacts_30d")
    with caplog.at_level(logging.ERROR):
        parts.live.refresh()
    assert not parts.live.strategy.catalogue.actions
    assert "catalogue" in parts.live.stale
    checked = run("catalogue", "check", *home)
    assert checked.exit_code == 1
    assert "all.toml:" in checked.output
    assert "action.suitable: advice: contacts_30d means something else than when this was taken in" in checked.output
    assert "contacts_30d means something else" in caplog.text


def test_a_rule_that_is_meant_so_is_accepted(deciding: Deciding) -> None:
    parts = deciding()
    change(parts.settings, "contacts_30d")
    parts.live.refresh()
    assert run("catalogue", "check", "--accept", "--home", str(parts.settings.home)).exit_code == 0
    assert deciding().live.strategy.catalogue.actions


def test_a_feature_in_use_is_removed_only_with_a_yes(deciding: Deciding) -> None:
    settings = deciding().settings
    home = ("--home", str(settings.home))
    refused = run("features", "remove", "contacts_30d", *home)
    assert isinstance(refused.exception, InvalidInput)
    assert "all.toml:" in refused.output
    assert "uses contacts_30d" in refused.output
    assert "contacts_30d" in open_feature_store(settings).contract.names
    assert run("features", "remove", "contacts_30d", "--yes", *home).exit_code == 0
    assert "contacts_30d" not in open_feature_store(settings).contract.names
    assert run("features", "restore", "contacts_30d", *home).exit_code == 0
    assert open_feature_store(settings).contract.by_name["contacts_30d"].view == "contacts"


def test_what_is_unknown_can_be_neither_removed_nor_restored(deciding: Deciding) -> None:
    home = ("--home", str(deciding().settings.home))
    for verb in ("remove", "restore"):
        refused = run("features", verb, "contacts_31d", *home)
        assert isinstance(refused.exception, NotFound)
        assert "segue features list" in str(refused.exception)


def test_a_new_meaning_of_this_version_is_taken_over_on_purpose_and_rules_then_mean_it(deciding: Deciding) -> None:
    parts = deciding()
    settings, home = parts.settings, ("--home", str(parts.settings.home))
    shipped = open_feature_store(settings).contract.by_name["contacts_30d"]
    assert "nothing to redefine" in run("features", "redefine", *home).output
    change(settings, "contacts_30d", "count(*) FILTER (WHERE kind = 'letter')")
    assert run("catalogue", "check", "--accept", *home).exit_code == 0
    assert isinstance(run("features", "redefine", *home).exception, InvalidInput)
    assert run("features", "redefine", "--yes", *home).exit_code == 0
    assert open_feature_store(settings).contract.by_name["contacts_30d"] == shipped
    assert run("catalogue", "check", *home).exit_code == 0
    assert deciding().live.stale == set()


def test_a_fault_names_the_features_that_may_have_been_meant(deciding: Deciding) -> None:
    settings: Settings = deciding().settings
    file: Path = settings.catalogue_folder / "all.toml"
    file.write_text(file.read_text().replace("customer.contacts_30d", "customer.contact_30d"))
    told = run("catalogue", "check", "--home", str(settings.home)).output
    assert "no feature 'contact_30d'; did you mean contacts_30d" in told
    assert "`segue features list` names all" in told
