"""The commands `segue features ...`: each does one step, and says what comes first when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features import feature_cli
from features.clock import DAY
from features.domain import Customer, Event
from features.errors import InvalidInput, NoData
from features.ledger import open_ledger
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


def test_a_moment_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--as-of"):
        run("build", "--home", str(tmp_path), "--as-of", "yesterday")
