"""What the command line does differently, or has to do equally well, on PostgreSQL."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.acceptance.commandline import Project

ONE = "20240101000000_one"
TWO = "20240102000000_two"


@pytest.fixture
def project(tmp_path: Path, bascule_postgres_url: str) -> Project:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(ONE, "create table one (id integer);", "drop table one;")
    return project


def test_the_whole_way_there_and_back(project: Project) -> None:
    project.write(TWO, "create index concurrently one_id on one (id);", "drop index concurrently one_id;")
    plan = project.well("plan").out
    assert "one transaction, with the ledger row in it" in plan
    assert "outside of any transaction" in plan
    up = project.well("up", "--json")
    assert [run["status"] for run in up.json["data"]] == ["completed", "completed"]
    assert project.names() == {ONE, TWO}
    back = project.well("rollback", "--steps", "2", "--json")
    assert [(run["name"], run["verdict"]) for run in back.json["data"]] == [(TWO, "exact"), (ONE, "exact")]
    assert project.run("status", "--check").code == 3


def test_the_isolation_level_of_a_files_own_transaction_is_its_transactions(
    project: Project, bascule_postgres_url: str
) -> None:
    kept = "create table levels as select current_setting('transaction_isolation') as level;"
    project.write(TWO, f"begin isolation level repeatable read;\n{kept}\ncommit;", "drop table levels;")
    again = "insert into levels select current_setting('transaction_isolation');"
    several = f"begin;\n{again}\ncommit;\nbegin transaction isolation level serializable;\n{again}\ncommit;"
    project.write("20240103000000_three", several, "delete from levels;")
    project.well("up")
    with psycopg.connect(bascule_postgres_url) as connection:
        levels = connection.execute("select level from levels").fetchall()
    assert [level for (level,) in levels] == ["repeatable read", "read committed", "serializable"]


def test_what_cannot_be_recorded_or_would_be_misread_is_refused_before_anything_runs(project: Project) -> None:
    project.write(TWO, "begin read only;\nselect 1;\ncommit;", "select 1;")
    answer = project.run("up", "--json")
    assert "two.sql:2: in a READ ONLY transaction" in answer.json["message"]
    project.write(TWO, "select 1;\nset standard_conforming_strings = off;", "select 1;")
    answer = project.run("up", "--json")
    assert "two.sql:3: with standard_conforming_strings off" in answer.json["message"]
    assert answer.json["error"]["state"] == "unchanged"
    assert project.names() == set()


def test_the_parts_of_an_address_work_like_the_address(tmp_path: Path, bascule_postgres_url: str) -> None:
    place = urlsplit(bascule_postgres_url)
    project = Project(
        tmp_path,
        DATABASE_HOST=place.hostname or "",
        DATABASE_PORT=str(place.port),
        DATABASE_USER=place.username or "",
        DATABASE_NAME=place.path[1:],
        **({"DATABASE_PASSWORD": place.password} if place.password else {}),
    )
    project.write(ONE, "create table one (id integer);", "drop table one;")
    project.well("up")
    libpq = {"PGHOST": place.hostname or "", "PGPORT": str(place.port), "PGUSER": place.username or ""}
    other = Project(tmp_path, PGDATABASE=place.path[1:], PGPASSWORD=place.password or "", **libpq)
    assert other.names() == {ONE}


def test_a_command_gives_the_password_and_nobody_sees_it(project: Project, tmp_path: Path) -> None:
    code = "open('asked', 'a').write('x'); print('hunter2' * 2)"
    environment = {"DATABASE_PASSWORD_COMMAND": f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"}
    project.well("up", **environment)
    assert (tmp_path / "asked").read_text() > "x", "once for each connection, and a run has two"
    for arguments in (("doctor",), ("doctor", "--json"), ("status", "-vv")):
        answer = project.well(*arguments, **environment)
        assert "hunter2" not in answer.out + answer.err


def test_an_unknown_role_or_database_is_exit_2_with_the_servers_words(
    project: Project, bascule_postgres_url: str
) -> None:
    place = urlsplit(bascule_postgres_url)
    answer = project.run(
        "up", "--json", DATABASE_URL=f"postgresql://nobody_here:hunter2@{place.hostname}:{place.port}/none"
    )
    assert answer.code == 2
    assert "nobody_here" in answer.json["message"] or "none" in answer.json["message"]
    assert answer.json["error"]["state"] == "unchanged"
    assert "hunter2" not in answer.out + answer.err


def test_a_server_that_does_not_answer_is_waited_for_by_wait(project: Project) -> None:
    answer = project.run("wait", "--timeout", "0.2", DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert answer.code == 4
    assert "127.0.0.1" in answer.err


def test_a_role_that_may_only_read_changes_nothing_and_can_still_look(
    project: Project, tmp_path: Path, bascule_postgres_url: str
) -> None:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("drop role if exists reader")
        connection.execute("create role reader login")
    place = urlsplit(bascule_postgres_url)
    environment = {"DATABASE_URL": f"postgresql://reader@{place.hostname}:{place.port}{place.path}"}
    answer = project.run("up", "--json", **environment)
    assert answer.code == 3
    assert answer.json["error"]["state"] == "unchanged"
    assert project.well("status", "--json", **environment).json["summary"]["pending"] == 1
    doctor = project.run("doctor", "--json", **environment)
    assert doctor.code == 1
    assert [check["name"] for check in doctor.json["checks"] if check["status"] == "problem"] == ["rights"]


def test_doctor_finds_a_healthy_server_healthy(project: Project) -> None:
    before = project.well("doctor", "--json").json
    project.well("up")
    after = project.well("doctor", "--json").json
    assert before["healthy"]
    assert after["healthy"]
    assert {"target", "rights", "ledger", "connections"} <= {check["name"] for check in after["checks"]}


def test_a_target_in_another_schema_keeps_its_things_there(
    project: Project, tmp_path: Path, bascule_postgres_url: str
) -> None:
    (tmp_path / "bascule.toml").write_text('schema = "Own Things"\n')
    project.well("up")
    with psycopg.connect(bascule_postgres_url) as connection:
        schemas = {row[0] for row in connection.execute("select nspname from pg_namespace")}
    assert "Own Things" in schemas
    assert "bascule" not in schemas


def test_a_failed_statement_is_named_with_file_line_and_the_servers_hint(project: Project) -> None:
    project.write(TWO, "create table two (id integer);\n\nselect idd from one;", "drop table two;")
    answer = project.run("up")
    assert answer.code == 1
    assert f"{TWO}.sql:4, statement 2" in answer.err
    assert 'column "idd" does not exist' in answer.err
    assert "Perhaps you meant" in answer.err


def test_who_drops_what_bascule_keeps_is_told_so_and_what_is_now_true(project: Project) -> None:
    project.well("up")
    project.write(TWO, "create table two (id integer);\ndrop schema bascule cascade;")
    answer = project.run("up", "--json")
    assert "the script dropped or altered it" in answer.json["message"]
    assert "leave(" not in answer.out
    assert f"Nothing of {TWO} was kept" in answer.json["message"]
    assert answer.json["error"]["state"] == "unchanged"
    assert project.names() == {ONE}


def test_a_hint_of_the_server_is_called_the_servers(project: Project) -> None:
    project.write(TWO, "select no_such_function(1);")
    error = project.run("up", "--json").json
    assert "Server's hint: No function matches" in error["message"]
    assert error["error"]["serverHint"].startswith("No function matches")
