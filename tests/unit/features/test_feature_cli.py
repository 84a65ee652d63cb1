"""The commands `segue features ...`: each does one step, and says what comes first when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features import clock, feature_cli
from features.clock import DAY
from features.domain import Customer, Event
from features.errors import InvalidInput, NoData
from features.ledger import open_ledger
from features.refresh import online_positions, refresh_features, refreshed_at
from features.settings import Settings
from features.store import open_feature_store


def run(*arguments: str) -> str:
    app = typer.Typer()
    feature_cli.commands(app)

    @app.callback()
    def root() -> None:
        """Makes `features` a sub-command, as it is of `segue`."""

    return CliRunner().invoke(app, ["features", *arguments], catch_exceptions=False).output


def test_the_steps_in_order_bring_a_customer_online(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    ledger = open_ledger(settings.ledger)
    ledger.put_customers([Customer("c", attributes={"age": 41})])
    ledger.append_events([Event("e", "c", "purchase", 19_999 * DAY, value=5.0)])
    ledger.close()
    assert "features, contract" in run("apply", "--home", str(tmp_path))
    assert "(unchanged)" in run("apply", "--home", str(tmp_path))
    assert "2024-10-04T00:00:00" in run("build", "--home", str(tmp_path), "--as-of", "2024-10-04T00:00:00Z")
    assert "1" in run("materialise", "--home", str(tmp_path))
    store = open_feature_store(settings)
    found = store.read("c")
    assert found is not None
    values = dict(zip(store.contract.names, found.values, strict=True))
    assert (found.as_of, values["spend_30d"]) == (20_000 * DAY, 5.0)
    assert (values["days_since_last_purchase"], values["attribute_age"]) == (1.0, 41.0)


def test_each_step_says_what_comes_first(tmp_path: Path) -> None:
    for step in ("build", "materialise"):
        with pytest.raises(NoData, match="segue features apply"):
            run(step, "--home", str(tmp_path))
    with pytest.raises(NoData, match="segue import"):
        run("apply", "--home", str(tmp_path))


def known(home: Path, **attributes: object) -> None:
    """A home with one customer for each value of the attributes."""
    ledger = open_ledger(Settings(home=home).ledger)
    given = [(name, value) for name, values in attributes.items() for value in values]  # type: ignore[attr-defined]
    ledger.put_customers([Customer(f"c{n}", attributes={name: value}) for n, (name, value) in enumerate(given)])
    ledger.append_events([Event("e", "c0", "purchase", 19_999 * DAY)])
    ledger.close()


def test_apply_and_list_name_every_feature_with_its_meaning(tmp_path: Path) -> None:
    known(tmp_path, tier=["gold", "[bold]"])
    for step in ("apply", "list"):
        lines = run(step, "--home", str(tmp_path)).splitlines()
        assert "attribute_tier_is_gold\t1 when the attribute tier is gold" in lines
        assert "attribute_tier_is__x5b_bold_x5d\t1 when the attribute tier is [bold]" in lines
        named = {line.split("\t")[0] for line in lines if "\t" in line}
        assert named == set(open_feature_store(Settings(home=tmp_path)).contract.names)


def test_what_does_not_fit_is_counted_and_shown_when_features_are_applied_and_built(tmp_path: Path) -> None:
    known(tmp_path, age=[*range(40), "unknown"], city=[f"city{n}" for n in range(20)])
    run("apply", "--home", str(tmp_path))
    ledger = open_ledger(Settings(home=tmp_path).ledger)
    ledger.put_customers([Customer("later", attributes={"city": "Elsewhere"})])
    ledger.close()
    for step in ("apply", "build"):
        told = run(step, "--home", str(tmp_path))
        assert "note: 1 of 41 customers' age is not a number and counts as missing: 'unknown'" in told
        assert "note: 20 texts of city have a column, 21 occur; none for 'Elsewhere'" in told


def test_a_snapshot_of_a_moment_to_come_is_refused(tmp_path: Path) -> None:
    known(tmp_path, age=[1])
    run("apply", "--home", str(tmp_path))
    with pytest.raises(InvalidInput, match="yet to come"):
        run("build", "--home", str(tmp_path), "--as-of", "2962-01-01T00:00:00Z")
    assert not (tmp_path / "features" / "offline").exists()


def test_the_next_build_puts_the_present_online_again_after_a_clock_that_was_wrong(tmp_path: Path) -> None:
    known(tmp_path, age=[1])
    settings, ahead = Settings(home=tmp_path), clock.now() + 36 * 365 * DAY
    refresh_features(settings, settings.ledger, ahead)
    ledger = open_ledger(settings.ledger)
    assert refreshed_at(ledger, ahead) == ahead
    assert refreshed_at(ledger, clock.now()) == 0  # whoever asks refreshes
    run("build", "--home", str(tmp_path))
    run("materialise", "--home", str(tmp_path))
    found = open_feature_store(settings).read("c0")
    assert found is not None
    assert found.as_of <= clock.now()
    assert 0 < (refreshed_at(ledger, clock.now()) or 0) <= clock.now()
    ledger.close()


def test_a_snapshot_of_the_past_has_not_seen_what_came_since(tmp_path: Path) -> None:
    known(tmp_path, age=[1])
    run("apply", "--home", str(tmp_path))
    run("build", "--home", str(tmp_path), "--as-of", "2024-01-01T00:00:00Z")
    run("materialise", "--home", str(tmp_path))
    ledger = open_ledger(Settings(home=tmp_path).ledger)
    assert online_positions(ledger) == {}
    ledger.close()


def test_a_moment_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--as-of"):
        run("build", "--home", str(tmp_path), "--as-of", "yesterday")
