"""The throw-away PgBouncer passes databases through and pools as told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from bascule.testing import PgBouncer, PostgresServer


def through(pooler: PgBouncer, url: str) -> str:
    return pooler.url(urlsplit(url).path.removeprefix("/"))


def test_the_shared_pooler_reaches_the_database_of_the_test(
    bascule_pgbouncer: PgBouncer, bascule_postgres_url: str
) -> None:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t AS SELECT 1 AS n")
    with psycopg.connect(through(bascule_pgbouncer, bascule_postgres_url), prepare_threshold=None) as pooled:
        assert pooled.execute("SELECT n FROM t").fetchone() == (1,)


@pytest.mark.pgbouncer
def test_in_transaction_mode_two_clients_share_one_session(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str
) -> None:
    with PgBouncer(bascule_postgres_server, pool_size=1) as pooler:
        url = through(pooler, bascule_postgres_url)
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
            sessions = {c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, other, one, other)}
    assert len(sessions) == 1


@pytest.mark.pgbouncer
def test_in_session_mode_each_client_keeps_its_session(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str
) -> None:
    with PgBouncer(bascule_postgres_server, pool_mode="session") as pooler:
        url = through(pooler, bascule_postgres_url)
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
            sessions = {c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, other)}
    assert len(sessions) == 2


@pytest.mark.pgbouncer
def test_it_logs_in_to_a_server_that_wants_a_password(bascule_postgres_bin: Path) -> None:
    with (
        PostgresServer(bascule_postgres_bin, password="it's secret") as server,
        PgBouncer(server) as pooler,
        psycopg.connect(pooler.url()) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.pgbouncer
def test_closing_removes_everything(bascule_postgres_server: PostgresServer) -> None:
    pooler = PgBouncer(bascule_postgres_server)
    pooler.close()
    pooler.close()
    assert not pooler.folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(pooler.url())
