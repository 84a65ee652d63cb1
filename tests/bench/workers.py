"""Decisions a second of one worker process and of two, on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from features.ledger import open_ledger
from features.settings import load_settings
from tests.bench.load import Body, latencies, throughput
from tests.bench.serve import segue_serve

POSTGRES_URL = os.environ.get("SEGUE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
CONNECTIONS = 16
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Rates:
    """(rounds,) decisions a second, of one worker and of two in turn."""

    one: np.ndarray
    two: np.ndarray


def worker_rates(home: Path, body: Body, seconds: float) -> dict[str, Rates]:
    """Database -> rates; without PostgreSQL where none answers."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("mlruns", "*.log", "bentoml"))
        found = {"SQLite": _rates(copy, "", body, seconds)}
        with postgresql_ledger(copy) as url:
            if url is not None:
                found["PostgreSQL"] = _rates(copy, url, body, seconds)
    return found


def _rates(home: Path, ledger_url: str, body: Body, seconds: float) -> Rates:
    """Two services over one home and one ledger, of which one is asked at a time."""
    rates: tuple[list[float], list[float]] = ([], [])
    with segue_serve(home, 1, ledger_url) as one, segue_serve(home, 2, ledger_url) as two:
        for port in (one, two):
            for _ in range(2):
                latencies(port, body, 300)  # warm: a connection meets one of the workers
        for _ in range(ROUNDS):
            for port, told in zip((one, two), rates, strict=True):
                told.append(throughput(port, body, CONNECTIONS, seconds))
    return Rates(np.array(rates[0]), np.array(rates[1]))


@contextlib.contextmanager
def postgresql_ledger(home: Path) -> Iterator[str | None]:
    """A schema of its own with the home's customers, dropped afterwards; None where no server answers."""
    schema = f"bench_{uuid.uuid4().hex}"
    try:
        with psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=2) as connection:
            connection.execute(f'CREATE SCHEMA "{schema}"')
    except psycopg.OperationalError:
        yield None
        return
    url = f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"
    try:
        here, there = open_ledger(load_settings(home, environment={}).ledger), open_ledger(url)
        there.put_customers(found for one in here.customer_ids() if (found := here.customer(one)) is not None)
        here.close()
        there.close()
        yield url
    finally:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
