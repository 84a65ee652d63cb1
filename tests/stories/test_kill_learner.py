"""`kill -9` of `segue work` in the midst of learning: what is learned in the end is what one that lived learns."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import delete

from experiments.processes import Children
from features.catalogue import Group, write_catalogue
from features.clock import now
from features.ledger import Ledger, engine, open_ledger, tables
from features.settings import Settings
from serving.sole_worker import NAME
from tests.bench.learn import CATALOGUE, fill
from tests.contracts.learning_world import state
from training.learner import latest_snapshot

ITEMS = 24_000


@pytest.mark.slow
def test_a_learner_killed_again_and_again_learns_what_one_that_lived_learns(tmp_path: Path) -> None:
    killed, lived = (Settings(home=tmp_path / name) for name in ("killed", "lived"))
    write_catalogue(
        killed.catalogue_folder, "c.toml", CATALOGUE.channels.values(), [Group("g")], CATALOGUE.actions.values()
    )
    ledger = open_ledger(killed.ledger)
    fill(ledger, ITEMS, seed=1, now=now(), bundle=None)
    ledger.close()
    shutil.copytree(killed.home, lived.home)

    draw, kills, midst = random.Random(3), 0, 0
    ledger = open_ledger(killed.ledger)
    with Children(tmp_path / "logs") as children:
        while kills < 20:
            child = children.start("work", [sys.executable, "-m", "features.cli", "work", "--home", str(killed.home)])
            wait_for_news(ledger, child)
            time.sleep(draw.uniform(0.0, 0.02))
            child.process.kill()
            child.process.wait()
            let_go(killed.ledger)
            kills += 1
            left = len(ledger.due(now(), 1)) > 0
            midst += left
            if not left:
                break
    print(f"{kills} kills, {midst} of them with rewards still to be learned")
    assert midst >= 2
    work(killed.home)
    work(lived.home)
    other = open_ledger(lived.ledger)
    assert state(ledger) == state(other)
    assert sum(arm.count for arm in latest_snapshot(ledger)[0].arms.values()) == ITEMS
    other.close()
    ledger.close()


def wait_for_news(ledger: Ledger, child: object) -> None:
    """Until the learner has written one snapshot more, or has nothing left to do."""
    before = latest_snapshot(ledger)[0].number
    for _ in range(3_000):
        child.check()  # type: ignore[attr-defined]
        if latest_snapshot(ledger)[0].number > before:
            return
        time.sleep(0.02)
    raise AssertionError("the learner learned nothing in a minute")


def let_go(url: str) -> None:
    """As if the half minute had passed after which the place of a killed worker is free."""
    opened = engine.create(url)
    with engine.writing(opened) as connection:
        connection.execute(delete(tables.notes).where(tables.notes.c.name == NAME))
    opened.dispose()


def work(home: Path) -> None:
    command = [sys.executable, "-m", "features.cli", "work", "--once", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
