"""Settings: defaults, then the home's file, then the environment; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import InvalidInput
from features.settings import DEFAULT_HOME, Settings, load_settings


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings(environment={}) == Settings(home=DEFAULT_HOME)


def test_the_file_wins_over_defaults_and_the_environment_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "segue.toml").write_text('port = 4000\nepsilon = 0.2\nhost = "0.0.0.0"\n')
    settings = load_settings(tmp_path, {"SEGUE_PORT": "5000", "OTHER": "x", "SEGUE_UNHEARD": "x"})
    assert (settings.port, settings.epsilon, settings.host) == (5000, 0.2, "0.0.0.0")


def test_the_home_is_given_or_in_the_environment(tmp_path: Path) -> None:
    assert load_settings(environment={"SEGUE_HOME": str(tmp_path)}).home == tmp_path
    assert load_settings(tmp_path, {"SEGUE_HOME": "/elsewhere"}).home == tmp_path


def test_everything_a_home_holds_lies_inside_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    folders = (settings.catalogue_folder, settings.feature_folder, settings.bundle_folder, settings.report_folder)
    assert all(folder.parent == tmp_path for folder in folders)
    assert settings.ledger == f"sqlite:///{tmp_path}/ledger.db"
    assert str(tmp_path) in settings.tracking_url
    assert Settings(ledger_url="postgresql://x/y").ledger == "postgresql://x/y"


@pytest.mark.parametrize(
    ("text", "field"), [("colour = 1\n", "colour"), ('port = "x"\n', "port"), ("home = 'x'\n", "home")]
)
def test_an_unknown_name_or_a_wrong_value_is_named_with_its_file(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "segue.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"segue\.toml") as caught:
        load_settings(tmp_path, {})
    assert caught.value.field == field


def test_a_wrong_value_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="environment: port must be a int") as caught:
        load_settings(tmp_path, {"SEGUE_PORT": "many"})
    assert caught.value.field == "port"


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segue.toml").write_text("port =\n")
    with pytest.raises(InvalidInput, match="not TOML"):
        load_settings(tmp_path, {})
