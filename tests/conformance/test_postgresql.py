"""PostgreSQL keeps every promise of a target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bascule.databases.postgres.target import PostgresTarget
from bascule.ports.database import Limits, TargetOptions
from tests.conformance.database import TableLock, TargetConformance, TargetFactory
from tests.conformance.metrics import MetricsConformance
from tests.conformance.state import StateConformance
from tests.conformance.state_access import AccessConformance
from tests.conformance.state_alerts import AlertConformance

LEASE_TTL = 3.0


@pytest.fixture
def target_factory(bascule_postgres_url: str) -> Iterator[TargetFactory]:
    opened: list[PostgresTarget] = []

    def open_one() -> PostgresTarget:
        opened.append(PostgresTarget(bascule_postgres_url, TargetOptions(limits=Limits(lease_ttl=LEASE_TTL))))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


@pytest.fixture
def table_lock(bascule_postgres_url: str) -> TableLock:
    @contextmanager
    def lock(table: str) -> Iterator[None]:
        with psycopg.connect(bascule_postgres_url) as connection:
            connection.execute(f'LOCK TABLE "{table}" IN ACCESS SHARE MODE'.encode())
            yield

    return lock


@pytest.fixture
def opening(bascule_postgres_url: str) -> str:
    return f"""
from bascule.databases.postgres.target import PostgresTarget
from bascule.ports.database import Limits, TargetOptions
target = PostgresTarget({bascule_postgres_url!r}, TargetOptions(limits=Limits(lease_ttl={LEASE_TTL})))
"""


class TestPostgresql(TargetConformance):
    pass


class TestPostgresqlState(StateConformance):
    pass


class TestPostgresqlMetrics(MetricsConformance):
    pass


class TestPostgresqlAlerts(AlertConformance):
    pass


class TestPostgresqlAccess(AccessConformance):
    pass
