"""Fixtures that several folders share: a fresh ledger on each database, and the real data where it is at hand."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import settings

from features.ledger import Ledger, open_ledger

# No test depends on how fast the machine is, and every run tries the same examples: no failure is a matter of luck.
settings.register_profile("segue", deadline=None, derandomize=True)
settings.load_profile("segue")

POSTGRES_URL = os.environ.get("SEGUE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS_URL = os.environ.get("SEGUE_TEST_REDIS_URL", "redis://127.0.0.1:6379")
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _missing(service: str) -> None:
    """A service that does not answer skips the test, unless SEGUE_REQUIRE_SERVICES=1 says that it must be there."""
    if os.environ.get("SEGUE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{service} does not answer, and SEGUE_REQUIRE_SERVICES=1 asks for it")
    pytest.skip(f"{service} does not answer")


@pytest.fixture(scope="session")
def postgresql_answers() -> bool:
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database: a file, or a schema of its own that is dropped afterwards."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    if not request.getfixturevalue("postgresql_answers"):
        _missing(f"PostgreSQL at {POSTGRES_URL}")
    schema = f"segue_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
    yield f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def redis_address() -> Iterator[str]:
    """An address with a project of its own, whose keys are removed afterwards."""
    client = redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2)
    try:
        client.ping()
    except redis.RedisError:
        _missing(f"Redis at {REDIS_URL}")
    project = f"test_{uuid.uuid4().hex}"
    yield f"{REDIS_URL.removeprefix('redis://').split('/')[0]},project={project}"
    for key in client.scan_iter(f"*{project}*"):
        client.delete(key)
    client.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; it is not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA
