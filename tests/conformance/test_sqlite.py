"""SQLite keeps every promise of a target."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bascule.databases.sqlite.target import SqliteTarget
from bascule.ports.database import TargetOptions
from tests.conformance.database import TableLock, TargetConformance, TargetFactory
from tests.conformance.metrics import MetricsConformance
from tests.conformance.state import StateConformance
from tests.conformance.state_access import AccessConformance
from tests.conformance.state_alerts import AlertConformance


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def target_factory(database: Path) -> Iterator[TargetFactory]:
    opened: list[SqliteTarget] = []

    def open_one() -> SqliteTarget:
        opened.append(SqliteTarget(f"sqlite:///{database}", TargetOptions()))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


@pytest.fixture
def table_lock(database: Path) -> TableLock:
    @contextmanager
    def lock(table: str) -> Iterator[None]:
        # SQLite knows one lock, that of the file.
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    return lock


@pytest.fixture
def opening(database: Path) -> str:
    return f"""
from bascule.databases.sqlite.target import SqliteTarget
target = SqliteTarget({str(database)!r})
"""


class TestSqlite(TargetConformance):
    pass


class TestSqliteState(StateConformance):
    pass


class TestSqliteMetrics(MetricsConformance):
    pass


class TestSqliteAlerts(AlertConformance):
    pass


class TestSqliteAccess(AccessConformance):
    pass
