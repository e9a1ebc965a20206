"""The whole way on an SQLite file, each step a process of its own."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project, rows

USERS = "20240101000000_add_users"
INDEX = "20240102000000_add_index"
BROKEN = "20240103000000_broken"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.well("init")
    project.write(USERS, "create table users (id integer primary key, name text);", "drop table users;")
    project.write(INDEX, "create index users_name on users (name);", "drop index users_name;")
    return project


def test_from_an_empty_folder_to_a_schema_and_back(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.well("init").out.count("created") == 2
    path = tmp_path / project.well("new", "Add user table").out.strip()
    assert re.fullmatch(r"\d{14}_Add_user_table\.sql", path.name)
    path.write_text(
        "-- Who uses it.\n-- migrate:up\ncreate table users (id integer);\n-- migrate:down\ndrop table users;\n"
    )
    assert "0 applied · 1 pending" in project.well("status").out
    assert project.run("status", "--check").code == 3
    assert "Who uses it." in project.well("show", "Add_user_table").out
    up = project.well("up")
    assert "applied" in up.err, "progress goes to stderr"
    assert f"{path.stem} executed successfully" in up.out
    assert rows(tmp_path / "bascule.db", "select count(*) from users") == [(0,)]
    assert "1 applied · 0 pending" in project.well("status", "--check").out
    back = project.well("rollback")
    assert "the schema is exactly as it was before" in back.out
    assert rows(tmp_path / "bascule.db", "select name from sqlite_master where name = 'users'") == []
    told = [run["status"] for run in project.well("history", "--json").json]
    assert told == ["rolled_back", "completed"]
    assert project.well("logs").out


def test_a_run_in_json_is_one_document_with_the_promised_keys(project: Project) -> None:
    answer = project.well("up", "--json")
    assert answer.json["success"] is True
    first, second = answer.json["data"]
    assert {
        "id",
        "name",
        "timestamp",
        "executionTime",
        "status",
        "validationResult",
        "backupPath",
        "dependencies",
        "dataImpact",
        "estimatedDuration",
    } <= set(first)
    assert (first["name"], first["status"], second["name"]) == (USERS, "completed", INDEX)
    assert re.fullmatch(rf"{USERS}_\d{{13,}}", first["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["timestamp"])
    back = project.well("rollback", "--json").json["data"][0]
    assert (back["status"], back["verdict"], back["differences"]) == ("rolled_back", "exact", [])


def test_a_dry_run_prints_exactly_what_would_run_and_changes_nothing(project: Project, tmp_path: Path) -> None:
    shown = project.well("up", "--dry-run").out
    assert "create table users (id integer primary key, name text);" in shown
    assert shown.index(USERS) < shown.index(INDEX)
    assert not (tmp_path / "bascule.db").exists()
    document = project.well("up", "--dry-run", "--json").json
    assert (document["dryRun"], document["data"]) == (True, [])
    assert [each["name"] for each in document["plan"]] == [USERS, INDEX]
    assert [each["name"] for each in project.well("plan", "--json").json["migrations"]] == [USERS, INDEX]


def test_a_failure_says_what_happened_what_is_true_now_and_what_to_do(project: Project) -> None:
    project.write(BROKEN, "create table more (id integer);\ncreate table users (id integer);", "drop table more;")
    answer = project.run("up")
    assert answer.code == 1
    assert f"migrations/{BROKEN}.sql:3, statement 2" in answer.err
    assert "table users already exists" in answer.err
    assert "The database has changed." in answer.err, "the two before it stay"
    assert "Next: " in answer.err
    assert "Traceback" not in answer.err
    again = project.run("up", "--json")
    assert again.code == 1
    document = again.json
    assert document["success"] is False
    assert document["error"]["state"] == "unchanged"
    assert [(run["name"], run["status"]) for run in document["data"]] == [(BROKEN, "failed")]
    assert "failed" in project.well("status").out


def test_an_edited_applied_file_is_refused_until_it_is_accepted(project: Project) -> None:
    project.well("up")
    project.write(INDEX, "create index users_name on users (name desc);", "drop index users_name;")
    refused = project.run("up")
    assert refused.code == 3
    assert "desc" in refused.err, "the difference in meaning"
    assert "The database is unchanged." in refused.err
    assert project.run("status", "--check").code == 3
    assert project.run("accept", INDEX).code == 2, "without a reason"
    project.well("accept", "add_index", "--reason", "agreed with ana")
    project.well("up")
    assert "agreed with ana" in project.well("logs", "add_index").out


def test_the_ledger_can_be_corrected_without_running_anything(project: Project, tmp_path: Path) -> None:
    project.well("mark", "add_users", "--applied", "--reason", "made by hand")
    assert project.names() == {USERS}
    assert rows(tmp_path / "bascule.db", "select name from sqlite_master where name = 'users'") == []
    project.well("mark", "add_users", "--pending")
    assert project.names() == set()


def test_waiting_ends_when_the_schema_is_there_and_with_4_when_it_is_not(project: Project) -> None:
    late = project.run("wait", "--timeout", "0")
    assert late.code == 4
    assert USERS in late.err
    project.well("up")
    assert project.well("wait", "--timeout", "0", "--json").json["success"] is True
    project.well("wait", "--to", "add_users")


def test_names_steps_and_limits_choose_what_runs(project: Project) -> None:
    project.well("up", "--steps", "1")
    assert project.names() == {USERS}
    project.well("up", "--to", "add_index")
    assert project.names() == {USERS, INDEX}
    project.well("rollback", "--to", "add_users")
    assert project.names() == {USERS}
    unknown = project.run("up", "add_usres", "--json")
    assert unknown.code == 2
    assert USERS in unknown.json["error"]["hint"]


def test_options_without_a_capability_say_so_once_and_change_nothing(project: Project) -> None:
    answer = project.well("up", "--no-backup", "--yes-production", "because")
    assert "--yes-production" not in answer.err, "where nothing is protected it asks for nothing and changes nothing"
    assert "--no-backup" not in answer.err
    assert project.names() == {USERS, INDEX}


def test_progress_can_be_silenced(project: Project) -> None:
    assert project.well("up", "--no-progress", "--steps", "1").err.startswith("Audit log: 2:")
    assert project.well("-q", "up").err == ""


def test_the_script_for_doing_it_by_hand_leaves_the_ledger_right(project: Project, tmp_path: Path) -> None:
    import sqlite3

    document = json.loads(project.well("sql", "--json").out)
    assert "create table users (id integer primary key, name text)" in document["sql"]
    project.well("up", "--steps", "1")
    rest = project.well("sql").out
    connection = sqlite3.connect(tmp_path / "bascule.db")
    connection.executescript(rest)
    connection.close()
    assert project.names() == {USERS, INDEX}
    assert "Nothing to do" in project.well("up").out


def test_a_script_for_doing_it_by_hand_may_be_run_twice(project: Project, tmp_path: Path) -> None:
    project.write(USERS, "create table if not exists users (id integer primary key, name text);", "drop table users;")
    project.write(INDEX, "create index if not exists users_name on users (name);", "drop index users_name;")
    script, another = project.well("sql").out, project.well("sql").out
    with closing(sqlite3.connect(tmp_path / "bascule.db", isolation_level=None)) as connection:
        connection.executescript(script)
        meta = connection.execute("select * from bascule_meta").fetchall()
        connection.executescript(script)
        connection.executescript(another)
        assert connection.execute("select * from bascule_meta").fetchall() == meta
    assert rows(tmp_path / "bascule.db", "select count(*) from bascule_ledger") == [(2,)]
    assert project.names() == {USERS, INDEX}
    project.well("rollback")


def test_an_application_that_holds_the_file_is_named_while_it_is_waited_for(project: Project, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "bascule.db", isolation_level=None)) as application:
        application.execute("begin immediate")
        process = project.start("up", "--lock-wait", "2")
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
        finally:
            application.execute("rollback")
        _, rest = process.communicate(timeout=30)
    assert said.startswith("waiting for the lock of ")
    assert f"held by pid {os.getpid()} (" in said
    assert process.returncode == 0, rest


def test_a_file_that_attaches_another_database_is_refused_before_it_begins(project: Project, tmp_path: Path) -> None:
    project.write("20240104000000_two", "create table a (i);\nattach 'y.db' as y;\ncreate table y.z (i);", None)
    answer = project.run("up", "--json")
    assert answer.code != 0
    assert answer.json["error"]["state"] == "unchanged"
    assert "20240104000000_two.sql:3: ATTACH lasts for its one statement only" in answer.json["message"]
    assert not (tmp_path / "y.db").exists()
    assert project.names() == set()


def test_a_loss_is_named_in_development_and_refused_in_production(project: Project) -> None:
    project.write(BROKEN, "drop table users;", None)
    production = {"MIGRATION_ENVIRONMENT": "production", "DATABASE_URL": "sqlite:///bascule.db"}
    refused = project.run("up", "--yes-production", "a test", **production)
    assert refused.code == 3
    assert "--accept-data-loss" in refused.err
    went_on = project.well("up", "--json")
    assert BROKEN in went_on.err
    assert any(BROKEN in words for words in went_on.json["losses"])


def test_advice_of_ours_is_not_called_the_servers(project: Project) -> None:
    project.write(BROKEN, "insert into users values (?, ?);")
    answer = project.run("up", "--json")
    assert "Hint: A ? or :name outside quotes is a placeholder to SQLite" in answer.json["message"]
    assert "Server's hint" not in answer.json["message"]
    assert (answer.json["error"]["advice"][:3], "serverHint" in answer.json["error"]) == ("A ?", False)
