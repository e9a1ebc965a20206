"""The values of variables that hold secrets reach the database and nothing else."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from bascule import Bascule
from bascule.config.load import load
from bascule.domain.event import Event
from bascule.errors import MigrationFailed
from tests.acceptance.commandline import Project

SECRET = "correct-horse-battery"
ONE, TWO = "20240101000000_one", "20240102000000_two"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One migration that works, and one that fails, each with a password in it."""
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    (tmp_path / "bascule.toml").write_text(f'[variables]\napp_password = "{SECRET}"\n')
    project.write(ONE, "create table t as select length('${app_password}') as n;", "drop table t;")
    project.write(TWO, "insert into nowhere values ('${app_password}');")
    return project


@pytest.mark.parametrize(
    "command",
    ["up", "up --dry-run", "plan", "plan --json", f"show {TWO}", f"show {TWO} --json", "up -vv", "up --json", "doctor"],
)
def test_no_command_shows_the_value(project: Project, command: str) -> None:
    answer = project.run(*command.split())
    assert SECRET not in answer.out + answer.err
    assert "${app_password}" in answer.out + answer.err or command == "doctor"


def test_what_is_kept_holds_the_name_of_the_variable_only(project: Project) -> None:
    assert project.run("up").code == 1
    for command in ("logs --json", "history --json", "status --json"):
        assert SECRET not in project.well(*command.split()).out
    kept = [path for path in project.folder.rglob("*") if path.is_file() and path.name != "bascule.toml"]
    assert any(path.name == "app.db" for path in kept)
    assert [path.name for path in kept if SECRET.encode() in path.read_bytes()] == []


def test_an_edit_is_told_without_the_value_and_a_reformatted_file_with_a_new_value_as_such(project: Project) -> None:
    project.run("up")
    project.write(ONE, "create table t as select length('${app_password}') as m;", "drop table t;")
    edited = project.run("up")
    assert (edited.code, SECRET in edited.out + edited.err) == (3, False)
    assert "as m" in edited.err
    project.write(ONE, "create table t as\n  select length('${app_password}') as n;", "drop table t;")
    (project.folder / "bascule.toml").write_text('[variables]\napp_password = "another-secret"\n')
    changed = project.run("up")
    assert "(the value of a variable that is not shown)" in changed.err
    assert "another-secret" not in changed.err


def test_a_script_for_a_person_to_run_has_the_value_but_not_in_its_ledger_row(project: Project) -> None:
    for arguments in (("sql", ONE), ("sql", ONE, "--json")):
        out = project.well(*arguments).out
        assert out.count(SECRET) == 1
        assert "${app_password}" in out


def test_neither_events_nor_errors_of_the_python_api_show_the_value(project: Project) -> None:
    bascule = Bascule(settings=load(folder=project.folder, environ=project.environment))
    events: list[Event] = []
    bascule.subscribe(events.append)
    with pytest.raises(MigrationFailed) as failed:
        bascule.migrations.execute_pending()
    assert events
    assert SECRET not in repr(events) + repr(failed.value.as_dict()) + str(failed.value)


def test_the_journal_of_a_statement_outside_a_transaction_holds_no_value(
    project: Project, bascule_postgres_url: str
) -> None:
    project.environment["DATABASE_URL"] = bascule_postgres_url
    project.write(TWO, "create index concurrently i on t ((n::text || '${app_password}'));", "drop index i;")
    up = project.well("up", "--json")
    assert [run["status"] for run in up.json["data"]] == ["completed", "completed"]
    with psycopg.connect(bascule_postgres_url) as connection:
        for table in ("journal", "ledger"):
            kept = connection.execute(f"select string_agg(x::text, ' ') from bascule.{table} as x".encode()).fetchone()
            assert kept is not None
            assert "app_password" in kept[0]
            assert SECRET not in kept[0]
    assert project.run("rollback", "--steps", "2", "--json").code == 0
