"""What lies outside of the schema cannot be compared, and is never called exact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bascule import Bascule
from tests.acceptance.commandline import Project

FIRST = "20240101000000_first"


@pytest.fixture
def role(bascule_postgres_url: str) -> Iterator[str]:
    name = f"seen_by_nobody_{os.getpid()}"
    yield name
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}")


def test_a_role_that_stays_behind_is_not_an_exact_way_back(
    bascule_postgres_url: str, tmp_path: Path, role: str
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, f"create role {role};", "select 1;")
    project.well("up")
    run = project.well("rollback", "--json").json["data"][0]
    assert run["verdict"] == "unverified"
    assert any("outside of the schema" in words for words in run["differences"])


def test_an_empty_way_back_of_a_role_is_no_way_back(bascule_postgres_url: str, tmp_path: Path, role: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, f"create role {role};", "-- nothing")
    project.well("up")
    answer = project.run("rollback", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "no_way_back"


def verdict_of(project: Project, up: str, down: str) -> tuple[str | None, list[str]]:
    """What is said of a migration that goes there and back, on top of what was applied before."""
    project.write("20240102000000_second", up, down)
    url, folder = project.environment["DATABASE_URL"], project.folder / "migrations"
    service = Bascule(url=url, migrations_dir=folder, say=lambda _words: None).migrations
    service.execute_pending(accept_data_loss=True)
    run = service.rollback(steps=1, accept_data_loss=True).runs[0]
    return run.verdict, list(run.differences)


@pytest.fixture
def project(bascule_postgres_url: str, tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(
        FIRST,
        """
        create table t (a int);
        create table audit (a int);
        create schema elsewhere;
        create function elsewhere.worth(n int) returns int language sql as 'select n + 1';
        create function note() returns trigger language plpgsql as $f$
          declare w int; begin select elsewhere.worth(1) into w; insert into audit values (w); return new; end $f$;
        create function grow() returns trigger language plpgsql as $f$
          begin execute format('create table if not exists %I (a int)', 'grown'); return new; end $f$;
        create function made(name text) returns void language plpgsql as $f$
          begin execute format('create table %I (a int)', name); end $f$;
        create function let_in(name text) returns void language plpgsql as $f$
          begin execute format('create role %I', name); end $f$;
        create function indirectly(name text) returns void language sql as 'select let_in(name)';
        create function "Mixed"(n int) returns void language plpgsql as $f$ begin create role x; end $f$;
        create procedure fill() language sql as 'insert into t values (1)';
        create procedure anything(text) language plpgsql as $f$ begin execute $1; end $f$;
        """,
        "select 1;",
    )
    return project


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("insert into t values (1);", "delete from t;"),
        ("do $$ begin create table u (a int); end $$;", "drop table u;"),
        ("do $$ begin execute format('create table %I (a int)', 'u'); end $$;", "drop table u;"),
        ("select made('u');", "drop table u;"),
        ("call fill();", "delete from t;"),
        ("create trigger x before insert on t for each row execute function note(); insert into t values (1);",
         "drop trigger x on t; truncate audit;"),
        ("create function once() returns int language sql as 'select 1'; select once();", "drop function once();"),
    ],
)  # fmt: skip
def test_code_that_keeps_to_the_schema_is_looked_at_as_a_whole_and_may_be_exact(
    project: Project, up: str, down: str
) -> None:
    assert verdict_of(project, up, down) == ("exact", [])


@pytest.mark.parametrize(
    ("up", "words"),
    [
        ("do $$ begin execute reverse('1 tceles'); end $$;", "line 2: DO executes a text that it puts together"),
        ("do $$ begin if false then execute 'drop role r'; end if; end $$;", "DO says DROP ROLE"),
        ("select lo_unlink(lo_create(0));", "lo_create() is called, and nothing tells what it changes"),
        ("call anything('select 1');", "anything(), which executes a text that it puts together"),
        ("do $$ begin if false then perform indirectly('r'); end if; end $$;", "let_in(), which says CREATE ROLE"),
        ("select indirectly(a::text) from t;", "let_in(), which says CREATE ROLE"),
        ("do $$ begin perform lo_unlink(x) from (select lo_create(0)) as made(x); end $$;", "DO says LO_UNLINK"),
        ("do $$ begin perform cursor_to_xmlschema(null, true, true, ''); end $$;", "DO says CURSOR_TO_XMLSCHEMA"),
        ("do $$ begin perform pg_stat_reset(); end $$;", "pg_stat_reset() is called, and nothing tells"),
        ('select "Mixed"(a) from t;', "mixed(), which says CREATE ROLE"),
        ("prepare p as select lo_unlink(lo_create(0)); execute p; deallocate p;", "lo_create() is called"),
    ],
)  # fmt: skip
def test_code_that_may_reach_beyond_the_schema_is_never_exact(project: Project, up: str, words: str) -> None:
    verdict, said = verdict_of(project, up, "select 1;")
    assert verdict == "unverified"
    assert any(words in each for each in said), said


def test_rows_of_a_table_whose_trigger_changes_other_tables_are_no_exact_way_back(project: Project) -> None:
    project.write(
        "20240101000001_trigger",
        "create trigger x before insert on t for each row execute function grow();"
        "create trigger y after update on audit for each row execute function note();",
        "drop trigger x on t; drop trigger y on audit;",
    )
    verdict, said = verdict_of(project, "insert into t values (1);", "delete from t;")
    assert (verdict, said) == (
        "unverified",
        ["a trigger of table public.t runs grow(), which may change objects that were not looked at"],
    )
    assert verdict_of(project, "insert into audit select 1 where false;", "select 1;") == ("exact", [])


@pytest.mark.parametrize("pragma", ["user_version = 7", "application_id = 7"])
def test_what_sqlite_keeps_beside_the_schema_is_no_exact_way_back(tmp_path: Path, pragma: str) -> None:
    project = Project(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/app.db")
    verdict, said = verdict_of(project, f"create table t (a);\npragma {pragma};", "drop table t;")
    assert (verdict, said) == (
        "unverified",
        [f"line 3: PRAGMA {pragma.partition(' ')[0]} sets what is kept beside the schema"],
    )


READS = """
import sqlalchemy as sa

def up(op):
    there = op.get_bind().execute(sa.text("select count(*) from pg_roles where rolname = 'nobody'")).scalar()
    if not there:
        op.execute("{sql}")

def down(op):
    op.execute("drop table if exists made")
"""


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [("create table made (a int)", "exact"), ("do $$ begin if false then create role r; end if; end $$", "unverified")],
)
def test_python_that_reads_is_exact_only_if_its_text_does_not_speak_of_more_than_the_schema(
    project: Project, sql: str, verdict: str
) -> None:
    service = Bascule(
        url=project.environment["DATABASE_URL"],
        migrations_dir=project.folder / "migrations",
        say=lambda _words: None,
    ).migrations
    (project.folder / "migrations" / "20240102000000_second.py").write_text(READS.format(sql=sql), encoding="utf-8")
    service.execute_pending(accept_data_loss=True)
    assert service.rollback(steps=1, accept_data_loss=True).runs[0].verdict == verdict


def test_an_empty_way_back_of_a_call_is_no_way_back(project: Project) -> None:
    project.write(
        "20240101000001_fill",
        "create function more() returns void language sql as 'insert into t values (1)';",
        "drop function more();",
    )
    project.write("20240102000000_second", "select more();", "-- nothing")
    project.well("up")
    answer = project.run("rollback", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (3, "no_way_back")


def test_what_others_made_meanwhile_is_not_held_against_a_migration_that_was_looked_at_whole(
    bascule_postgres_url: str, tmp_path: Path
) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, "do 'begin create table ours (a int); end';", "select 1;")
    project.well("up")
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (a int)")
    run = project.well("rollback", "--json").json["data"][0]
    assert run["verdict"] == "lossy"
    assert [words.partition(",")[0] for words in run["differences"] if words.startswith("table ")] == [
        "table public.ours: it is left behind",
        "table public.theirs: come since",
    ]
