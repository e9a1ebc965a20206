"""When the commits of one `up` reach the server's disk, and what a crash in between costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bascule.testing import PostgresServer
from tests.acceptance.commandline import Project


@pytest.fixture
def server(bascule_postgres_bin: Path) -> Iterator[PostgresServer]:
    # Nothing that did not wait for the disk is on it by itself within the test.
    settings = {"wal_writer_delay": "10s", "autovacuum": "off"}
    with PostgresServer(bascule_postgres_bin, fsync=True, settings=settings) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: PostgresServer) -> Project:
    project = Project(tmp_path, DATABASE_URL=server.create_database("commits"))
    project.well("init")
    return project


def asked(server: PostgresServer, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url("commits"), autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def test_only_the_last_of_migrations_that_follow_one_another_waits_for_the_disk(
    project: Project, server: PostgresServer
) -> None:
    project.write("1_first", "create table seen as select 1 as n, current_setting('synchronous_commit') as how;", "")
    second = "insert into seen values (2, current_setting('synchronous_commit'));"
    project.write("2_second", second, "")
    project.well("up")
    assert asked(server, "select n, how from seen order by n") == [(1, "off"), (2, "on")]


def test_before_statements_outside_a_transaction_the_commit_waits_for_the_disk(
    project: Project, server: PostgresServer
) -> None:
    project.write("1_first", "create table seen as select current_setting('synchronous_commit') as how;", "")
    project.write("2_index", "create index concurrently seen_how on seen (how);", "", options=" transaction:false")
    project.well("up")
    assert asked(server, "select how from seen") == [("on",)]


def test_a_crash_of_the_server_loses_whole_migrations_and_the_next_run_does_them_again(
    project: Project, server: PostgresServer
) -> None:
    project.write("1_first", "create table first (a int);", "drop table first;")
    project.write("2_slow", "create table second as select pg_sleep(3) is null as a;", "drop table second;")
    with subprocess.Popen(
        [sys.executable, "-m", "bascule", "up"],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        until = time.monotonic() + 30
        while not asked(server, "select 1 from pg_stat_activity where query ~ 'pg_[s]leep'"):
            assert time.monotonic() < until
            time.sleep(0.05)
        server.crash()
        server.start()
        _, said = run.communicate(timeout=120)
    left = {str(name) for (name,) in asked(server, "select name from bascule.ledger")}
    tables = {
        str(name) for (name,) in asked(server, "select relname from pg_class where relname in ('first', 'second')")
    }
    assert len(left) == len(tables), "what is lost is lost whole"
    if run.returncode == 0:
        assert left == {"1_first", "2_slow"}
    else:
        assert "1_first" in said
    project.well("up")
    assert asked(server, "select name from bascule.ledger order by name") == [("1_first",), ("2_slow",)]
    assert asked(server, "select count(*) from bascule.ledger, second") == [(2,)]
