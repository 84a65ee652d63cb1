"""From a ledger to the rows of a study, to its page: what counts, what is left out, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.cli import commands
from experiments.studies.study import Reward, Study
from experiments.studies.units import read_units
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Event, Item, Versions
from features.errors import InvalidInput, NoData
from features.ledger import Ledger, open_ledger
from features.settings import Settings

OFFER = Arm("offer", "email")
T = 100 * DAY
STUDY = Study(
    "made-up",
    "Offers or none.",
    "made up",
    2.0,
    (Reward("bought", "who bought", "purchase", "happened"), Reward("net", "net", "purchase", "value", "refund")),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = open_ledger(Settings(home=tmp_path).ledger)
    yield made
    made.close()


def decided(name: str, customer: str, arm: Arm, at: int, probability: float = 0.5) -> Decision:
    item = Item(1, arm, "g", probability, None, None, 0.0, 0.0, 0.0, None, at, at)
    return Decision(name, name, customer, at, (item,), "action", None, None, Versions(None, "x", "x"))


def bought(name: str, customer: str, at: int, value: float | None, kind: str = "purchase") -> Event:
    return Event(name, customer, kind, at, value=value)


def fill(ledger: Ledger) -> None:
    ledger.put_customers([
        Customer("a", T - 10 * DAY, attributes={"age": 30, "city": "York", "vip": True}),
        Customer("b", attributes={"city": "Bath"}),
    ])  # fmt: skip
    ledger.import_decisions([
        decided("d1", "a", OFFER, T),
        decided("d2", "b", DO_NOTHING, T),
        decided("d3", "a", DO_NOTHING, T + 2 * DAY),
        decided("d4", "b", OFFER, T + 2 * DAY),
    ])  # fmt: skip
    ledger.append_events([
        bought("before", "a", T - 1, 7.0),
        bought("at once", "a", T, 1.0),
        bought("last moment", "a", T + 2 * DAY - 1, 2.0),
        bought("next window", "a", T + 2 * DAY, 4.0),
        bought("sent back", "a", T + HOUR, 0.5, "refund"),
        bought("without a price", "b", T + HOUR, None),
        bought("stranger", "z", T + HOUR, 9.0),
        bought("other type", "b", T + HOUR, 9.0, "login"),
    ])  # fmt: skip


def test_a_decision_earns_what_its_customer_did_from_its_moment_to_the_end_of_its_window(ledger: Ledger) -> None:
    fill(ledger)
    units = read_units(ledger.url, STUDY, T + 4 * DAY)
    assert units.arms == ("do_nothing", "offer")
    assert [units.arms[arm] for arm in units.arm] == ["offer", "do_nothing", "do_nothing", "offer"]
    assert units.rewards["bought"].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert units.rewards["net"].tolist() == [2.5, 0.0, 4.0, 0.0]
    assert units.design.tolist() == [0.5, 0.5]
    assert units.log("net").unit is not None


def test_a_purchase_paid_back_did_not_happen_and_is_taken_off_however_it_is_written(ledger: Ledger) -> None:
    fill(ledger)
    ledger.append_events([
        bought("paid back by sign", "b", T + 2 * DAY + HOUR, -3.0),
        bought("sent back by sign", "b", T + 2 * DAY + HOUR, -1.5, "refund"),
    ])  # fmt: skip
    units = read_units(ledger.url, STUDY, T + 4 * DAY)
    assert units.rewards["bought"].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert units.rewards["net"].tolist() == [2.5, 0.0, 4.0, -4.5]


def test_only_what_was_known_before_the_decision_is_known(ledger: Ledger) -> None:
    fill(ledger)
    units = read_units(ledger.url, STUDY, T + 4 * DAY)
    known = dict(zip(units.context_names, units.context.T.tolist(), strict=True))
    assert known["purchase before"] == [1.0, 0.0, 3.0, 1.0]
    assert known["purchase value before"] == [7.0, 0.0, 10.0, 0.0]
    assert known["refund value before"] == [0.0, 0.0, 0.5, 0.0]
    assert known["contacts before"] == [0.0, 0.0, 1.0, 0.0]
    assert known["arm before=none yet"] == [1.0, 1.0, 0.0, 0.0]
    assert known["arm before=offer"] == [0.0, 0.0, 1.0, 0.0]
    assert known["city=York"] == [1.0, 0.0, 1.0, 0.0]
    assert known["wave"] == [0.0, 0.0, 1.0, 1.0]
    assert np.isnan(known["days since sign-up"]).tolist() == [False, True, False, True]
    # Nobody but customer a has an age or is a vip: what does not vary tells nothing apart.
    assert not {"age", "vip"} & set(known)


def test_decisions_whose_window_is_open_are_left_out_and_counted(ledger: Ledger) -> None:
    fill(ledger)
    units = read_units(ledger.url, STUDY, T + 4 * DAY - 1)
    assert (len(units), units.still_open) == (2, 2)
    with pytest.raises(NoData, match="4 imported decisions, none older than 2 days"):
        read_units(ledger.url, STUDY, T + DAY)


def test_a_home_without_imported_decisions_says_what_to_do(ledger: Ledger) -> None:
    with pytest.raises(NoData, match="segue import made-up"):
        read_units(ledger.url, STUDY, T)


@pytest.mark.parametrize("probability", [0.25, 0.75])
def test_probabilities_that_are_no_one_distribution_are_refused_with_what_they_are(
    ledger: Ledger, probability: float
) -> None:
    ledger.import_decisions([
        decided("d1", "a", OFFER, T), decided("d2", "b", DO_NOTHING, T), decided("d3", "c", OFFER, T, probability)
    ])  # fmt: skip
    with pytest.raises(InvalidInput, match="segue experiment evaluate") as caught:
        read_units(ledger.url, STUDY, T + 3 * DAY)
    assert caught.value.code == "not_one_distribution"


def test_arms_that_share_an_action_are_told_apart_by_channel(ledger: Ledger) -> None:
    ledger.import_decisions([decided("d1", "a", OFFER, T), decided("d2", "b", Arm("offer", "sms"), T)])
    assert read_units(ledger.url, STUDY, T + 3 * DAY).arms == ("offer@email", "offer@sms")


TOML = """
about = "Offers & none."
label = "made <up>"
window_days = 2
[[reward]]
name = "bought"
event = "purchase"
measure = "happened"
"""


def run(home: Path, confounded: bool) -> tuple[int, str, str]:
    """Exit status, what was printed, and the page, of a study of 1,200 customers half of whom got an offer."""
    import typer

    rng = np.random.default_rng(5)
    age = rng.integers(20, 70, 1_200)
    offered = rng.random(1_200) < (0.3 + 0.4 * (age > 45) if confounded else 0.5)
    buys = rng.random(1_200) < 0.1 + 0.2 * offered
    ledger = open_ledger(Settings(home=home).ledger)
    ledger.put_customers([Customer(f"c{n}", attributes={"age": int(age[n])}) for n in range(1_200)])
    arms = [OFFER if one else DO_NOTHING for one in offered]
    ledger.import_decisions([decided(f"d{n}", f"c{n}", arm, T) for n, arm in enumerate(arms)])
    ledger.append_events([bought(f"e{n}", f"c{n}", T + HOUR, 5.0) for n in np.flatnonzero(buys)])
    ledger.close()
    (home / "made-up.toml").write_text(TOML)
    app = typer.Typer()
    commands(app)
    told = CliRunner().invoke(
        app, ["experiment", "study", str(home / "made-up.toml"), "--home", str(home)], env={"COLUMNS": "200"}
    )
    return told.exit_code, told.output, (home / "reports" / "study-made-up.html").read_text()


def test_the_command_prints_every_policy_with_its_interval_and_writes_a_page(tmp_path: Path) -> None:
    status, printed, page = run(tmp_path, confounded=False)
    assert status == 0, printed
    for text in (printed, page):
        assert "offer (best constant)" in text
        assert "learned, linear" in text
        assert "insufficient" in text
    assert "made &lt;up&gt;" in page
    assert "made <up>" not in page
    assert printed.count("made <up>") >= 3
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_command_stops_where_arms_depended_on_the_customer(tmp_path: Path) -> None:
    status, printed, page = run(tmp_path, confounded=True)
    assert status == 1
    for text in (printed, page):
        assert "Do not read further" in text
        assert "best constant" not in text
