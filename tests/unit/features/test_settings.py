"""Settings: defaults, then the home's file, then the environment; what is wrong is named."""

from __future__ import annotations

from dataclasses import fields
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
    with pytest.raises(
        InvalidInput, match="environment: SEGUE_PORT must be a whole number, not the text 'many'"
    ) as caught:
        load_settings(tmp_path, {"SEGUE_PORT": "many"})
    assert caught.value.field == "port"


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segue.toml").write_text("port =\n")
    with pytest.raises(InvalidInput, match="not TOML"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("holdout_share = true", "holdout_share must be a number, not true"),
        ("workers = 1.7", "workers must be a whole number, not 1.7"),
        ("workers = 2.0", "workers must be a whole number, not 2.0"),
        ("workers = true", "workers must be a whole number, not true"),
        ('power_safe = "yes"', "power_safe must be true or false, not the text 'yes'"),
        ("power_safe = 1", "power_safe must be true or false, not 1"),
        ('port = "3000"', "port must be a whole number, not the text '3000'"),
        ('epsilon = "0.1"', "epsilon must be a number, not the text '0.1'"),
        ("assignment_salt = 7", "assignment_salt must be text, not 7"),
        ("holdout_share = nan", "holdout_share must be a number, not nan"),
        ("ramp_risk = inf", "ramp_risk must be a number, not inf"),
        ("holdout_share = 5", "holdout_share must lie between 0 and 1, not 5"),
        ("epsilon = -0.1", "epsilon must lie between 0 and 1, not -0.1"),
        ("seed = 99999999999", "seed must lie between 0 and 2,147,483,647"),
        ('gate_segments = ["channels"]', "gate_segments must be text"),
        ("[port]", "port must be a whole number"),
        ('ledger_url = "mysql://me:secret@x/y"', "ledger_url must be sqlite:///FILE or postgresql://"),
        ("holdout-share = 0.1", "holdout-share is no setting; did you mean holdout_share?"),
        ("Port = 3000", "Port is no setting; did you mean port?"),
        ("port = 1\nport = 2", "at the key port"),
    ],
)
def test_nothing_is_turned_into_what_it_is_not(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "segue.toml").write_text(text + "\n")
    with pytest.raises(InvalidInput, match=r"segue\.toml") as caught:
        load_settings(tmp_path, {})
    assert said in caught.value.message
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("SEGUE_WORKERS", "1.7", "SEGUE_WORKERS must be a whole number, not the text '1.7'"),
        ("SEGUE_WORKERS", "1_0", "must be a whole number"),
        ("SEGUE_HOLDOUT_SHARE", "nan", "SEGUE_HOLDOUT_SHARE must be a number"),
        ("SEGUE_HOLDOUT_SHARE", "true", "SEGUE_HOLDOUT_SHARE must be a number"),
        ("SEGUE_POWER_SAFE", "perhaps", "SEGUE_POWER_SAFE must be true or false"),
        ("SEGUE_WORKER", "2", "SEGUE_WORKER is no setting; did you mean workers?"),
        ("SEGUE_HOLDOUTSHARE", "0.1", "did you mean holdout_share?"),
    ],
)
def test_the_environment_is_read_as_strictly(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="environment: ") as caught:
        load_settings(tmp_path, {name: text})
    assert said in caught.value.message


def test_whole_numbers_are_numbers_and_words_of_the_environment_are_truths(tmp_path: Path) -> None:
    (tmp_path / "segue.toml").write_text("holdout_share = 0\nrefresh_hours = 12\npower_safe = true\n")
    settings = load_settings(tmp_path, {"SEGUE_POWER_SAFE": "No", "SEGUE_WORKERS": " 2 "})
    assert (settings.holdout_share, settings.refresh_hours, settings.power_safe, settings.workers) == (0, 12, False, 2)
    assert isinstance(settings.refresh_hours, float)


def test_variables_that_kubernetes_sets_for_a_service_of_our_name_are_left_alone(tmp_path: Path) -> None:
    others = {
        "SEGUE_SERVICE_HOST": "10.0.0.7",
        "SEGUE_SERVICE_PORT": "3000",
        "SEGUE_PORT_3000_TCP": "tcp://10.0.0.7:3000",
        "SEGUE_PORT_3000_TCP_ADDR": "10.0.0.7",
        "SEGUE_TEST_POSTGRES_URL": "x",
    }
    assert load_settings(tmp_path, others) == Settings(home=tmp_path)


def test_a_file_of_another_encoding_is_told_and_a_byte_order_mark_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "segue.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 4000\n")
    assert load_settings(tmp_path, {}).port == 4000
    for encoding in ("latin-1", "utf-16"):
        file.write_bytes('assignment_salt = "für uns"\n'.encode(encoding))
        with pytest.raises(InvalidInput, match=r"save (it|the file) as UTF-8"):
            load_settings(tmp_path, {})


def test_every_default_is_a_value_that_may_be_set(tmp_path: Path) -> None:
    defaults = Settings()
    given = {f"SEGUE_{f.name.upper()}": str(getattr(defaults, f.name)) for f in fields(Settings) if f.name != "home"}
    assert load_settings(tmp_path, given) == Settings(home=tmp_path)
