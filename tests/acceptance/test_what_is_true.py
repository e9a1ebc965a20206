"""What a failure says is true of the database, and what is printed holds no secret and no stranger's words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.commandline import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, DATABASE_URL="sqlite:///app.db")


@pytest.fixture
def postgresql(tmp_path: Path, bascule_postgres_url: str) -> Project:
    return Project(tmp_path, DATABASE_URL=bascule_postgres_url)


def test_what_a_migration_prints_does_not_stand_beside_the_document(project: Project) -> None:
    path = project.folder / "migrations" / "1_loud.py"
    path.parent.mkdir()
    path.write_text(
        "import os, subprocess, sys\n\n\ndef up(op):\n    print('LOUD')\n    os.write(1, b'LOUDER')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"LOUDEST\")'], check=True)\n"
        "    op.execute('create table t (a int)')\n"
    )
    done = project.well("up", "--json")
    assert done.json["success"] is True
    assert "LOUD" in done.err


def test_a_script_that_ends_its_own_session_has_done_nothing(postgresql: Project) -> None:
    postgresql.write("1_end", "create table t (a int); select pg_terminate_backend(pg_backend_pid());", None)
    done = postgresql.run("up", "--json")
    assert done.code == 1
    assert done.json["error"]["state"] == "unchanged"
    assert "The connection broke each of the 4 times" in done.json["message"]
    assert postgresql.names() == set()


def test_bascules_own_tables_are_no_migrations_business(tmp_path: Path, bascule_postgres_url: str) -> None:
    one = Project(tmp_path / "one", DATABASE_URL=bascule_postgres_url)
    two = Project(tmp_path / "two", DATABASE_URL="sqlite:///app.db")
    for each, sql in ((one, "delete from bascule.ledger;"), (two, "delete from bascule_ledger;")):
        each.folder.mkdir()
        each.write("1_first", "create table t (a int);", None)
        each.well("up")
        each.write("2_wipe", sql, None)
        done = each.run("up", "--json", "--accept-data-loss")
        assert (done.code, done.json["error"]["code"]) == (3, "own_tables")
        assert each.names() == {"1_first"}


def test_a_script_of_which_nothing_is_done_is_not_half_done(postgresql: Project) -> None:
    path = postgresql.write("1_steps", "create index concurrently x on nowhere (a); create table t (a int);", None)
    done = postgresql.run("up", "--json")
    assert done.json["error"]["state"] == "unchanged"
    status = postgresql.run("status", "--json").json
    assert status.get("halfDone", []) == []
    path.unlink()
    postgresql.well("up")


def test_a_password_in_a_failing_statement_is_not_quoted(postgresql: Project) -> None:
    postgresql.write("1_role", "create role r login password 'geheim7' nonsense;", None)
    done = postgresql.run("up", "--json")
    assert done.code != 0
    assert "geheim7" not in done.out + done.err
    with psycopg.connect(postgresql.environment["DATABASE_URL"]) as connection:
        facts = connection.execute("select coalesce(string_agg(f::text, ' '), '') from bascule.journal as f").fetchone()
    assert facts is not None
    assert "geheim7" not in facts[0]


def test_that_a_function_depends_on_an_extension_is_seen(postgresql: Project) -> None:
    postgresql.write(
        "1_f", "create extension citext; create function f() returns int language sql as 'select 1';", None
    )
    postgresql.well("up")
    postgresql.write("2_depends", "alter function f() depends on extension citext;", "select 1;")
    postgresql.well("up")
    (run,) = postgresql.well("rollback", "--json").json["data"]
    assert run["verdict"] == "lossy", run


def test_a_default_that_calls_a_function_is_followed_into_it(postgresql: Project) -> None:
    postgresql.write("1_t", "create table other (a int);", None)
    postgresql.well("up")
    postgresql.write(
        "2_default",
        "create function hd() returns int language plpgsql as "
        "$$ begin execute 'comment on table other is ''hd'''; return 1; end $$;"
        "create table t (i int, k int default hd()); insert into t values (1);",
        "drop table t; drop function hd();",
    )
    postgresql.well("up")
    (run,) = postgresql.well("rollback", "--json").json["data"]
    assert run["verdict"] == "unverified", run


def test_a_file_whose_links_lead_in_a_circle_is_named(project: Project) -> None:
    project.write("1_a", "create table t (a int);")
    (project.folder / "migrations" / "2_b.sql").symlink_to("2_b.sql")
    done = project.run("up", "--json")
    assert done.code != 0
    assert "2_b.sql is a link that" in done.json["message"]
    assert sqlite3.connect(project.folder / "app.db").execute("select count(*) from sqlite_master").fetchone() == (0,)


def test_the_plan_and_a_dry_run_name_the_hooks(project: Project) -> None:
    project.write("1_a", "create table t (a int);")
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "before_up.sql").write_text("create table made_by_a_hook (a int);")
    assert "hooks/before_up.sql before" in project.well("plan").out
    (hook,) = project.well("plan", "--json").json["hooks"]
    assert hook.endswith("hooks/before_up.sql before")
    assert "hooks/before_up.sql before" in project.well("up", "--dry-run").out
