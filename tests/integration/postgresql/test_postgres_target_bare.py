"""Statements outside any transaction, what the catalog says about them afterwards, and mending what they left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from bascule.databases.postgres.target import PostgresTarget
from bascule.domain.statement import Effect
from bascule.ports.database import Limits, WorkFailed
from tests.integration.postgresql.target_builders import leased, opened, rows, statement, wait_for

INDEX = Effect(action="create_index", name="ix", table="t", concurrently=True)
BUILD = "CREATE INDEX CONCURRENTLY ix ON t (i)"


@contextmanager
def old_transaction(url: str, sql: str = "SELECT * FROM t") -> Iterator[psycopg.Connection]:
    """A session that keeps every CONCURRENTLY waiting."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())
        yield connection


def make_invalid_index(url: str, name: str = "ix") -> None:
    """As a killed CREATE INDEX CONCURRENTLY leaves one."""
    with old_transaction(url, "INSERT INTO t VALUES (0)"), psycopg.connect(url, autocommit=True) as other:
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(f"CREATE INDEX CONCURRENTLY {name} ON t (i)".encode())


@pytest.fixture
def table(bascule_postgres_url: str) -> str:
    """The URL of a database with a table ``t``."""
    rows(bascule_postgres_url, "CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) AS i")
    return bascule_postgres_url


def seen(target: PostgresTarget, effect: Effect) -> str:
    return target.observe(effect).state


def test_settings_hold_for_the_statement_and_no_longer(table: str) -> None:
    rows(table, "CREATE SCHEMA app; CREATE TABLE app.t (i int)")
    with leased(table) as (target, lease):
        settings = ("SET search_path TO app -- there", "SET maintenance_work_mem = '9MB'")
        target.perform_bare(statement(BUILD), settings=settings, lease=lease, run_id="r")
        assert rows(table, "SELECT schemaname FROM pg_indexes WHERE indexname = 'ix'") == [("app",)]
        settings_now = (
            "current_setting('search_path'), current_setting('maintenance_work_mem'), current_setting('lock_timeout')"
        )
        assert target.query(f"SELECT {settings_now}") == rows(table, f"SELECT {settings_now}")
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement("VACUUM t"), settings=("SET no_such = 1",), lease=lease, run_id="r")
        assert failure.value.statement is None
        assert "no_such" in failure.value.message


def test_it_carries_a_comment_that_tells_whose_it_is(table: str) -> None:
    with leased(table) as (target, lease), old_transaction(table, "INSERT INTO t VALUES (0)") as old:
        looked: list[Any] = []

        def look() -> None:
            sql = "SELECT query, application_name FROM pg_stat_activity WHERE query LIKE '/* bascule%CONCURRENTLY%'"
            looked.extend(wait_for(lambda: rows(table, sql)))
            old.rollback()

        thread = threading.Thread(target=look)
        thread.start()
        target.perform_bare(statement(BUILD), lease=lease, run_id="m */ 1")
        thread.join()
    ((query, application),) = looked
    assert "run m * / 1 */ CREATE INDEX" in query
    assert application.startswith("bascule ")


def test_an_error_names_its_place_in_the_statement(table: str) -> None:
    with leased(table) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement("CREATE INDEX CONCURRENTLY ix ON nowhere (i)"), lease=lease, run_id="r")
        assert (failure.value.kind, failure.value.statement) == ("error", 0)
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement("VACUUM ü nonsense"), lease=lease, run_id="r")
        assert (failure.value.statement, failure.value.position) == (0, 9)


def test_its_wait_for_old_transactions_is_bounded_and_they_are_named(table: str) -> None:
    told: list[Any] = []
    limits = Limits(bare_lock_wait=0.6)
    with leased(table, limits=limits) as (target, lease), old_transaction(table, "INSERT INTO t VALUES (0)") as old:
        pid = old.info.backend_pid
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement(BUILD), lease=lease, run_id="r", watch=told.append)
        assert failure.value.kind == "lock_timeout"
        assert f"pid {pid} " in failure.value.blockers[0]
        assert any("waiting for writers" in each.phase for each in told)
        assert any(f"pid {pid} " in words for each in told for words in each.waiting_for)
        assert seen(target, INDEX) == "broken"


def test_the_servers_own_percentage_is_told(table: str) -> None:
    rows(table, "INSERT INTO t SELECT random() * 1e9 FROM generate_series(1, 400000)")
    told: list[Any] = []
    with leased(table) as (target, lease):
        slow = "CREATE INDEX CONCURRENTLY slow ON t ((pg_sleep(0.000002)::text || i))"
        with pytest.raises(WorkFailed):  # not immutable: refused, and nothing is told
            target.perform_bare(statement(slow), lease=lease, run_id="r", watch=told.append)
        rows(
            table,
            "CREATE FUNCTION lazy(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
            "$$ BEGIN PERFORM sqrt(n) FROM generate_series(1, 5) n; RETURN i; END $$",
        )
        target.perform_bare(
            statement("CREATE INDEX CONCURRENTLY slow ON t (lazy(i))"), lease=lease, run_id="r", watch=told.append
        )
    assert any(each.phase.startswith("building index") and each.percent is not None for each in told)
    assert all(each.percent is None or 0 <= each.percent <= 100 for each in told)


def test_an_index_is_absent_broken_building_or_complete(table: str) -> None:
    with opened(table) as target:
        assert seen(target, INDEX) == "absent"
        make_invalid_index(table)
        assert seen(target, INDEX) == "broken"
        rows(table, "DROP INDEX ix")
        with old_transaction(table, "INSERT INTO t VALUES (0)") as old:
            builder = threading.Thread(target=rows, args=(table, BUILD))
            builder.start()
            wait_for(lambda: seen(target, INDEX) == "building")
            old.rollback()
            builder.join()
        assert seen(target, INDEX) == "complete"


def test_an_index_is_looked_for_in_the_schema_of_its_table(table: str) -> None:
    rows(table, "CREATE SCHEMA app; CREATE TABLE app.u (i int); CREATE INDEX ix ON app.u (i)")
    with opened(table) as target, opened(table, search_path="app") as inside:
        assert seen(target, INDEX) == "absent"
        assert seen(target, Effect(action="create_index", name="ix", table="u", table_schema="app")) == "complete"
        assert seen(target, Effect(action="create_index", name="ix", table="u")) == "absent"
        assert seen(inside, Effect(action="create_index", name="ix", table="u")) == "complete"
        assert seen(target, Effect(action="create_index", table="t")) == "undecidable"


def test_names_are_looked_for_under_the_settings_that_the_script_made(table: str) -> None:
    rows(
        table,
        "CREATE SCHEMA app; CREATE TABLE app.p (i int) PARTITION BY RANGE (i); "
        "CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM (0) TO (10); CREATE INDEX px ON app.p1 (i)",
    )
    settings = ("PREPARE one AS SELECT 1", "-- where it is\nSET search_path TO app -- there")
    drop = Effect(action="drop_index", name="px", settings=settings)
    detach = Effect(action="detach_partition", name="p1", table="p", settings=settings)
    with leased(table) as (target, lease):
        before = target.query("SHOW search_path")
        assert (seen(target, drop), seen(target, detach)) == ("absent", "absent")
        with old_transaction(table, "SELECT * FROM app.p"), psycopg.connect(table, autocommit=True) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("ALTER TABLE app.p DETACH PARTITION app.p1 CONCURRENTLY")
        assert seen(target, detach) == "broken"
        assert "finished the detaching" in target.repair(detach, lease=lease)
        assert seen(target, detach) == "complete"
        rows(table, "DROP INDEX app.px")
        assert seen(target, drop) == "complete"
        assert target.query("SHOW search_path") == before


def test_an_invalid_index_is_dropped_and_can_be_built_again(table: str) -> None:
    with leased(table) as (target, lease):
        make_invalid_index(table)
        words = target.repair(INDEX, lease=lease)
        assert words == 'dropped the invalid index "public"."ix" on t'
        assert seen(target, INDEX) == "absent"
        target.perform_bare(statement(BUILD), lease=lease, run_id="r")
        assert seen(target, INDEX) == "complete"
        assert target.repair(INDEX, lease=lease) == "nothing was left to repair"
        assert seen(target, INDEX) == "complete"


def test_an_invalid_index_of_a_constraint_or_of_a_builder_is_left_alone(table: str) -> None:
    with leased(table) as (target, lease):
        rows(table, "ALTER TABLE t ADD CONSTRAINT ix UNIQUE (i)")
        rows(table, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix'::regclass")
        with pytest.raises(WorkFailed, match="belongs to a constraint"):
            target.repair(INDEX, lease=lease)
        rows(table, "ALTER TABLE t DROP CONSTRAINT ix")
        with old_transaction(table, "INSERT INTO t VALUES (0)") as old:
            builder = threading.Thread(target=rows, args=(table, BUILD))
            builder.start()
            wait_for(lambda: seen(target, INDEX) == "building")
            with pytest.raises(WorkFailed, match="another session is at work"):
                target.repair(INDEX, lease=lease)
            old.rollback()
            builder.join()
        assert seen(target, INDEX) == "complete"


def test_repairing_needs_the_lease(table: str) -> None:
    with leased(table) as (target, lease):
        make_invalid_index(table)
        lease.release()
        with pytest.raises(WorkFailed) as failure:
            target.repair(INDEX, lease=lease)
        assert failure.value.kind == "fence"
        assert seen(target, INDEX) == "broken"


def test_a_dropped_index_is_complete_when_it_is_gone(table: str) -> None:
    drop = Effect(action="drop_index", name="ix", concurrently=True)
    with leased(table) as (target, lease):
        assert seen(target, drop) == "complete"
        rows(table, "CREATE INDEX ix ON t (i)")
        assert seen(target, drop) == "absent"
        with old_transaction(table), psycopg.connect(table, autocommit=True) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("DROP INDEX CONCURRENTLY ix")
        assert seen(target, drop) == "absent"
        assert "INVALID" in target.observe(drop).words
        target.perform_bare(statement("DROP INDEX CONCURRENTLY ix"), lease=lease, run_id="r")
        assert seen(target, drop) == "complete"


def test_leftovers_of_a_rebuilding_are_found_and_removed(table: str) -> None:
    rows(table, "ALTER TABLE t ADD PRIMARY KEY (i)")
    of_index = Effect(action="reindex", name="t_pkey")
    of_table = Effect(action="reindex", table="t")
    of_all = Effect(action="reindex")
    of_schema = Effect(action="reindex", schema="public")
    with leased(table) as (target, lease):
        assert {seen(target, each) for each in (of_index, of_table, of_all, of_schema)} == {"complete"}
        with old_transaction(table, "INSERT INTO t VALUES (0)"), psycopg.connect(table, autocommit=True) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("REINDEX INDEX CONCURRENTLY t_pkey")
        assert {seen(target, each) for each in (of_index, of_table, of_all, of_schema)} == {"broken"}
        assert "t_pkey_ccnew" in target.repair(of_index, lease=lease)
        assert {seen(target, each) for each in (of_index, of_table, of_all, of_schema)} == {"complete"}
        assert rows(table, "SELECT indisvalid FROM pg_index WHERE indrelid = 't'::regclass") == [(True,)]


def test_a_detaching_that_was_cut_short_is_finished(bascule_postgres_url: str) -> None:
    url = bascule_postgres_url
    rows(
        url,
        "CREATE SCHEMA old; CREATE TABLE p (i int) PARTITION BY RANGE (i); "
        "CREATE TABLE old.p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
    )
    effect = Effect(action="detach_partition", name="p1", schema="old", table="p")
    with leased(url) as (target, lease):
        assert seen(target, effect) == "absent"
        with old_transaction(url, "SELECT * FROM p"), psycopg.connect(url, autocommit=True) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("ALTER TABLE p DETACH PARTITION old.p1 CONCURRENTLY")
        assert seen(target, effect) == "broken"
        assert "finished the detaching" in target.repair(effect, lease=lease)
        assert seen(target, effect) == "complete"


def test_databases_and_enum_values_are_looked_for_by_name(bascule_postgres_url: str) -> None:
    url = bascule_postgres_url
    name = url.rsplit("/", 1)[1] + "_other"
    rows(url, "CREATE TYPE mood AS ENUM ('ok')")
    create, drop = Effect(action="create_database", name=name), Effect(action="drop_database", name=name)
    with leased(url) as (target, lease):
        assert (seen(target, create), seen(target, drop)) == ("absent", "complete")
        target.perform_bare(statement(f"CREATE DATABASE {name}"), lease=lease, run_id="r")
        assert (seen(target, create), seen(target, drop)) == ("complete", "absent")
        rows(url, f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}'")
        assert (seen(target, create), seen(target, drop)) == ("broken", "absent")
        assert "half there" in target.repair(create, lease=lease)
        assert (seen(target, create), seen(target, drop)) == ("absent", "complete")
        assert seen(target, Effect(action="add_enum_value", name="mood", value="ok")) == "complete"
        assert seen(target, Effect(action="add_enum_value", name="mood", value="bad")) == "absent"
        assert seen(target, Effect(action="create_tablespace", name="pg_default")) == "complete"
        assert seen(target, Effect(action="drop_tablespace", name="nowhere")) == "complete"
        assert seen(target, Effect(action="create_subscription", name="s")) == "absent"
        assert seen(target, Effect(action="drop_subscription", name="s")) == "complete"
        assert seen(target, Effect(action="something new")) == "undecidable"


def test_it_can_be_stopped_from_another_thread(table: str) -> None:
    with leased(table) as (target, lease), old_transaction(table, "INSERT INTO t VALUES (0)"):
        timer = threading.Timer(0.3, target.cancel)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement(BUILD), lease=lease, run_id="r")
        timer.join()
        assert failure.value.kind == "cancelled"
        assert time.monotonic() - begun < 5
        assert seen(target, INDEX) == "broken"
