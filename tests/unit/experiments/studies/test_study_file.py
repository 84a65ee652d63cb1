"""Study files: those shipped are read, and what is wrong is refused with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.studies.study import load_study
from features.errors import InvalidInput, NotFound
from features.settings import SHIPPED

WHOLE = """
about = "A shop."
label = "made up"
window_days = 2
[[reward]]
name = "profit"
event = "purchase"
measure = "value"
less = "refund"
"""


def test_every_shipped_study_is_read_and_says_what_its_data_are() -> None:
    studies = {path.stem: load_study(path.stem) for path in (SHIPPED / "studies").glob("*.toml")}
    assert set(studies) == {"hillstrom", "starbucks"}
    assert studies["starbucks"].label == "simulated by its publisher"
    assert [reward.name for reward in studies["hillstrom"].rewards] == ["visit", "conversion", "spend"]


def test_a_study_names_the_events_it_needs_once(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(WHOLE + WHOLE[WHOLE.index("[[") :].replace("profit", "again"))
    study = load_study(str(tmp_path / "shop.toml"))
    assert (study.name, study.window_days, study.event_types) == ("shop", 2.0, ("purchase", "refund"))
    assert not study.rewards[0].share


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("window_days = 2", "", "window_days", "above 0"),
        ("window_days = 2", "window_days = -1", "window_days", "above 0"),
        ('label = "made up"', "", "label", "is needed"),
        ('label = "made up"', "label = 'x'\ncolour = 1", "colour", "unknown key"),
        ('event = "purchase"', "", "reward.event", "is needed"),
        ('"value"', '"average"', "reward.measure", "one of happened, value"),
        ('less = "refund"', "less = 5", "reward.less", "must be text"),
        (WHOLE[WHOLE.index("[[") :], "", "reward", "write [[reward]]"),
    ],
)
def test_a_study_with_a_fault_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str, said: str
) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(InvalidInput) as caught:
        load_study(str(path))
    assert (caught.value.field, said in caught.value.message, str(path) in caught.value.message) == (key, True, True)


def test_two_rewards_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(WHOLE + WHOLE[WHOLE.index("[[") :])
    with pytest.raises(InvalidInput, match="same name"):
        load_study(str(tmp_path / "shop.toml"))


def test_what_is_no_study_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no shipped study.*hillstrom, starbucks"):
        load_study("nothing")
    (tmp_path / "shop.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"shop\.toml:1: .* is not UTF-8"):
        load_study(str(tmp_path / "shop.toml"))
    (tmp_path / "a b.toml").write_text(WHOLE)
    with pytest.raises(InvalidInput, match="letters, digits"):
        load_study(str(tmp_path / "a b.toml"))
