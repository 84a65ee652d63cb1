"""A batch decides for everybody what the service would decide for each, with the same limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from features.clock import HOUR
from features.domain import DO_NOTHING, Customer, Decision
from features.errors import Conflict
from features.ledger import BeforeDecision, Ledger, ToAppend, read_arrow
from serving.batch import Batch, BatchRequest
from serving.batch_file import COLUMNS, table_of
from serving.cli import commands
from serving.customer_features import usable_features
from serving.decider import SlowDown, decision_id
from serving.engine import decide
from serving.replay import SAME, replay
from serving.request import Knowledge, Request
from serving.schema import DecideRequest
from serving.wiring import Parts

Deciding = Callable[..., Any]
NOW = 1_780_315_200_000_000


def batch_of(parts: Any, ledger: Ledger | None = None) -> Batch:
    return Batch(parts.settings, ledger or parts.ledger, parts.live.strategy, parts.live.features, parts.layers)


def run(batch: Batch, customers: Sequence[str], now: int = NOW, **given: Any) -> list[Decision]:
    blocks = batch.decide(BatchRequest(given.pop("run", "b"), **given), customers, lambda: now)
    return [decision for block in blocks for decision in block]


def decide_alone(parts: Any, customer_id: str, name: str, now: int) -> Decision:
    """What the service decides, from what it reads by itself."""
    plan, message = parts.live.strategy.contact_plan, BatchRequest(name).message(customer_id)
    since = None if plan.heard_back is None else now - plan.heard_back
    before = parts.ledger.before_decision(message.request_id, customer_id, now - plan.contacts_back, since)
    knowledge = Knowledge(None)
    if before.customer is not None:
        store = parts.live.features
        features, fallback = usable_features(store.read(customer_id).row, store.contract.names, now, 7.0)
        version, heard = before.contact_version, before.heard
        knowledge = Knowledge(before.customer, features, fallback, before.slots, version, heard=heard)
    salt = parts.settings.assignment_salt
    return decide(
        Request(message.request_id, customer_id),
        knowledge,
        parts.live.strategy,
        decision_id=decision_id(salt, message.request_id),
        now=now,
        layers=parts.layers,
        salt=salt,
    )


@pytest.mark.parametrize("policy", ["epsilon-greedy", "thompson"])
def test_everybody_gets_to_the_last_bit_what_the_service_would_decide(deciding: Deciding, policy: str) -> None:
    parts = deciding(policy=policy)
    parts.ledger.put_customers([Customer("without features")])
    some = [*parts.ledger.customer_ids(200), "without features", "nobody"]
    run(batch_of(parts), some[:100], NOW - HOUR, run="before")  # so that contacts and limits play a part
    alone = [decide_alone(parts, customer_id, "b", NOW) for customer_id in some]
    together = run(batch_of(parts), some)
    assert [msgspec.json.encode(d) for d in together] == [msgspec.json.encode(d) for d in alone]
    assert {d.reason for d in together} >= {None, "holdout", "unknown_customer"}


def promised(parts: Parts) -> int:
    """Contacts that decisions made here have taken; those of the past stand beside them."""
    found = read_arrow(parts.ledger.url, "SELECT count(*) FROM reservations WHERE state = 'reserved'")
    return int(found.column(0)[0].as_py())


def test_decisions_are_recorded_reserve_their_contacts_and_can_be_replayed(deciding: Deciding) -> None:
    parts = deciding()
    customers = parts.ledger.customer_ids(100)
    made = run(batch_of(parts), customers)
    contacts = [d for d in made if d.arm != DO_NOTHING]
    assert (parts.ledger.count_live(), promised(parts)) == (100, len(contacts))
    assert {v.kind for v in replay(parts.ledger, parts.settings.bundle_folder)} == {SAME}


def test_a_second_batch_breaks_no_limit(deciding: Deciding) -> None:
    parts = deciding()
    customers = parts.ledger.customer_ids(200)
    first = {d.customer_id for d in run(batch_of(parts), customers) if d.arm.channel == "email"}
    assert first
    second = run(batch_of(parts), customers, NOW + HOUR, run="second")
    # Advice is service, which no marketing limit holds back; it has no e-mail.
    assert not first & {d.customer_id for d in second if d.arm.channel == "email"}


def test_a_dry_run_leaves_no_trace_and_says_the_same(deciding: Deciding) -> None:
    parts = deciding()
    customers = parts.ledger.customer_ids(50)
    dry = run(batch_of(parts), customers, record=False)
    assert (parts.ledger.count_live(), promised(parts)) == (0, 0)
    assert list(map(msgspec.json.encode, run(batch_of(parts), customers))) == list(map(msgspec.json.encode, dry))


def test_a_batch_broken_off_goes_on_under_its_name_and_contacts_nobody_twice(deciding: Deciding) -> None:
    parts = deciding()
    customers = parts.ledger.customer_ids(60)
    begun = run(batch_of(parts), customers[:25])
    whole = run(batch_of(parts), customers, NOW + HOUR)
    assert table_of(whole[:25]) == table_of(begun)
    assert parts.ledger.count_live() == 60
    with pytest.raises(Conflict, match="other channels"):
        run(batch_of(parts), customers, channels=("web",))


def test_only_the_channels_asked_for_are_used(deciding: Deciding) -> None:
    parts = deciding()
    made = run(batch_of(parts), parts.ledger.customer_ids(100), channels=("web",))
    assert {d.arm.channel for d in made} <= {"web", "none"}


class Overtaken:
    """A ledger in which another request of a customer is decided just after the batch has read, so many times."""

    def __init__(self, parts: Any, customer_id: str, times: int) -> None:
        self._parts, self._customer_id, self._left = parts, customer_id, times

    def before_decisions(
        self, customer_ids: Sequence[str], since: int, heard_since: int | None = None
    ) -> dict[str, BeforeDecision]:
        found = self._parts.ledger.before_decisions(customer_ids, since, heard_since)
        if self._left:
            self._left -= 1
            version = found[self._customer_id].contact_version
            while (
                self._parts.ledger.before_decisions([self._customer_id], 0)[self._customer_id].contact_version
                == version
            ):
                message = DecideRequest(f"other-{self._left}-{NOW}-{id(object())}", self._customer_id)
                self._parts.decider().decide(message, NOW)
        return dict(found)

    def stored_requests(self, request_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        return dict(self._parts.ledger.stored_requests(request_ids))

    def append_decisions(self, made: Sequence[ToAppend], classes: Mapping[str, str]) -> list[ToAppend]:
        return list(self._parts.ledger.append_decisions(made, classes))


def test_a_customer_overtaken_by_another_request_is_decided_again(deciding: Deciding) -> None:
    parts = deciding()
    customers = [
        d.customer_id for d in run(batch_of(parts), parts.ledger.customer_ids(40), record=False) if not d.reason
    ]
    made = run(batch_of(parts, Overtaken(parts, customers[0], 1)), customers)  # type: ignore[arg-type]
    assert [d.customer_id for d in made] == customers
    assert [d.attempt for d in made] == [2] + [1] * (len(customers) - 1)
    assert {v.kind for v in replay(parts.ledger, parts.settings.bundle_folder)} == {SAME}
    with pytest.raises(SlowDown):
        run(batch_of(parts, Overtaken(parts, customers[0], 99)), customers, run="again")  # type: ignore[arg-type]


def test_the_command_writes_one_row_a_customer(deciding: Deciding, tmp_path: Path) -> None:
    parts = deciding()
    app = typer.Typer()
    commands(app)

    def command(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["decide", *arguments, "--home", str(parts.settings.home)])

    out = tmp_path / "decisions.parquet"
    done = command("--all-customers", "--out", str(out), "--channel", "web", "--run", "monday")
    assert done.exit_code == 0, done.output
    table = pq.read_table(out)
    assert table.schema.equals(COLUMNS)
    assert table.column("customer_id").to_pylist() == parts.ledger.customer_ids()
    assert parts.ledger.count_live() == table.num_rows
    assert "as run monday" in done.output
    assert list(tmp_path.glob("**/.*.part")) == []
    again = " ".join(
        command("--all-customers", "--out", str(out), "--channel", "web", "--run", "monday").output.split()
    )
    assert f"run monday had recorded {table.num_rows} before, which are given again; 0 were decided" in again
    assert parts.ledger.count_live() == table.num_rows
    assert command("--all-customers", "--out", str(out), "--run", "monday").exit_code != 0  # other channels
    assert "is there already" in str(command("--all-customers", "--out", str(out)).exception)  # a run of its own
    assert "Parquet" in str(command("--all-customers", "--out", str(tmp_path / "all.csv")).exception)
    assert pq.read_table(out) == table
    assert command("--all-customers").exit_code != 0
    assert command("somebody", "--all-customers", "--out", str(out)).exit_code != 0
