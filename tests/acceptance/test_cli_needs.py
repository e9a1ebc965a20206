"""What `up` does where today's rows do not meet what the pending migrations will need."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import Project, rows

USERS = "20240101000000_users"
UNIQUE = "20240102000000_unique"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)

    def users() -> None:
        project.well("init")
        project.write(USERS, "create table users (id integer primary key, email text);", "drop table users;")
        project.well("up")
        with closing(sqlite3.connect(tmp_path / "bascule.db")) as connection:
            connection.execute("insert into users values (1, 'a@x'), (2, 'a@x'), (3, null)")
            connection.commit()

    begin(project, "users that need something", users)
    return project


def test_the_rows_are_named_and_nothing_is_run(project: Project) -> None:
    project.write("20240101120000_first", "create table first (a);", "drop table first;")
    project.write(UNIQUE, "create unique index users_email on users (email);", "drop index users_email;")
    answer = project.run("up")
    assert answer.code == 3
    assert "unique.sql:2: users (email) must be unique, but 2 rows share a value with another." in answer.err
    assert "email a@x, rows 2, first id 1" in answer.err
    assert "The database is unchanged." in answer.err
    assert "--no-validate" in answer.err
    assert project.names() == {USERS}
    told = project.run("up", "--json").json
    assert told["error"]["code"] == "needs_not_met"
    assert told["error"]["report"]["needs"] == [
        {
            "migration": UNIQUE,
            "line": 2,
            "table": "users",
            "need": "users (email) must be unique",
            "status": "not_met",
            "offenders": 2,
            "columns": ["email", "rows", "first id"],
            "sample": [["a@x", "2", "1"]],
        }
    ]


def test_without_validation_the_database_itself_refuses(project: Project) -> None:
    project.write(UNIQUE, "create unique index users_email on users (email);", "drop index users_email;")
    assert project.run("up", "--no-validate").code == 1
    assert project.run("up", MIGRATION_VALIDATION_ENABLED="false").code == 1
    assert project.run("up").code == 3


def test_rows_that_the_migration_mends_itself_are_not_judged(project: Project) -> None:
    project.write(
        UNIQUE,
        "delete from users where id = 2;\ncreate unique index users_email on users (email);",
        "drop index users_email;",
    )
    answer = project.well("up", "--json")
    assert "not judged: line 2 changes rows of users first" in answer.err
    (run,) = answer.json["data"]
    (need,) = run["validationResult"]["needs"]
    assert (need["status"], need["why"]) == ("not_judged", "line 2 changes rows of users first")
    assert run["rows"]["users"] | {"before": 3, "after": 2} == run["rows"]["users"]
    assert run["rows"]["users"]["digests"]["changedColumns"] == ["id", "email"]


def test_rows_that_a_hook_mends_before_are_not_judged(project: Project) -> None:
    (project.folder / "migrations" / "hooks").mkdir()
    (project.folder / "migrations" / "hooks" / "before_up.sql").write_text("delete from users where id = 2;\n")
    project.write(UNIQUE, "create unique index users_email on users (email);", "drop index users_email;")
    answer = project.well("up")
    assert "not judged: hooks/before_up, line 1 changes rows of users first" in answer.err


def test_a_run_without_needs_says_that_it_was_looked_at_and_one_without_validation_that_it_was_not(
    project: Project,
) -> None:
    project.write(UNIQUE, "create index users_email on users (email);", "drop index users_email;")
    (run,) = project.well("up", "--json").json["data"]
    assert run["validationResult"] == {"needs": []}
    assert "rows" not in run
    project.well("rollback")
    (run,) = project.well("up", "--no-validate", "--json").json["data"]
    assert run["validationResult"] is None


def test_a_table_made_anew_is_judged_by_the_rows_of_the_old_one(project: Project) -> None:
    project.write(
        UNIQUE,
        "create table fresh (id integer primary key, email text not null);\n"
        "insert into fresh select id, email from users;\n"
        "drop table users;\n"
        "alter table fresh rename to users;",
        None,
    )
    answer = project.run("up", "--accept-data-loss")
    assert answer.code == 3
    assert "fresh.email must not be NULL, but 1 row would be NULL there." in answer.err
    assert "id 3, email NULL" in answer.err
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        connection.execute("update users set email = 'c@x' where id = 3")
        connection.commit()
    project.well("up", "--accept-data-loss")
    assert rows(project.folder / "bascule.db", "select count(*) from users") == [(3,)]


def test_on_postgresql_the_foreign_key_names_its_orphans(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(USERS, "create table users (id int primary key); create table orders (id int primary key, by int);")
    project.well("up")
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("insert into users values (1); insert into orders values (10, 1), (11, 2), (12, null)")
    project.write(
        UNIQUE,
        "alter table orders add constraint known foreign key (by) references users not valid;\n"
        "alter table orders validate constraint known;",
    )
    answer = project.run("up", "--json")
    assert answer.code == 3
    (need,) = answer.json["error"]["report"]["needs"]
    assert (need["line"], need["columns"], need["sample"]) == (3, ["id", "by"], [["11", "2"]])
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("delete from orders where id = 11")
    (run,) = project.well("up", "--json").json["data"]
    assert [each["status"] for each in run["validationResult"]["needs"]] == ["met"]
    project.write("20240103000000_fill", "insert into users select generate_series(2, 5);")
    (run,) = project.well("up", "--json").json["data"]
    assert run["rows"]["users"] | {"before": 1, "after": 5} == run["rows"]["users"]
