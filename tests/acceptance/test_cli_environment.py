"""Which database a command works on, and whether it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.commandline import Project

ONE = "20240101000000_one"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write(ONE, "create table one (id integer);", "drop table one;")
    return project


def test_without_any_database_nothing_runs(project: Project, tmp_path: Path) -> None:
    answer = project.run("up", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "no_database"
    assert not list(tmp_path.glob("*.db"))


def test_a_pod_that_lost_its_address_does_not_report_done_on_an_empty_file(project: Project, tmp_path: Path) -> None:
    project.well("init")
    answer = project.run("up", MIGRATION_ENVIRONMENT="production")
    assert answer.code == 2
    assert not (tmp_path / "bascule.db").exists()
    (tmp_path / "bascule.db").touch()
    assert project.run("up", MIGRATION_ENVIRONMENT="staging").code == 2
    assert project.run("up", DATABASE_URL="").code == 2


def test_a_target_that_says_production_refuses_whoever_does_not(project: Project) -> None:
    url = {"DATABASE_URL": "sqlite:///app.db"}
    marked = project.well("init", "--environment", "production", **url)
    assert "as production" in marked.out
    (project.folder / "bascule.toml").unlink()
    for environment in ({}, {"MIGRATION_ENVIRONMENT": "staging"}):
        answer = project.run("up", "--json", **url, **environment)
        assert answer.code == 3
        assert answer.json["error"]["code"] == "environment_mismatch"
        assert answer.json["error"]["state"] == "unchanged"
    project.well("up", "--yes-production", "a test", MIGRATION_ENVIRONMENT="production", **url)
    for verb in (("rollback",), ("mark", "one", "--pending"), ("accept", "one", "--reason", "r")):
        (project.folder / "migrations" / f"{ONE}.sql").write_text("-- migrate:up\ncreate table one (i integer);\n")
        assert project.run(*verb, **url).code == 3, verb
    assert "production" in project.well("status", **url).out, "looking is allowed"


def test_a_mark_is_changed_only_when_that_is_said(project: Project) -> None:
    url = {"DATABASE_URL": "sqlite:///app.db"}
    project.well("init", "--environment", "production", **url)
    (project.folder / "bascule.toml").unlink()
    refused = project.run("init", "--environment", "staging", **url)
    assert refused.code == 3
    assert not (project.folder / "bascule.toml").exists(), "refused before anything was written"
    assert "--yes-production" in project.run("init", "--environment", "staging", "--yes", **url).err
    project.well("init", "--environment", "staging", "--yes", "--yes-production", "it is the rehearsal's copy", **url)
    project.well("up", MIGRATION_ENVIRONMENT="staging", **url)


def test_init_overwrites_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bascule.toml").write_text('migrations_dir = "elsewhere"\n')
    document = project.well("init", "--json").json
    assert document["created"] == [str(tmp_path / "elsewhere")]
    assert (tmp_path / "bascule.toml").read_text() == 'migrations_dir = "elsewhere"\n'


def test_a_project_of_several_databases_names_the_one_it_means(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bascule.toml").write_text(
        '[targets.north]\ndatabase_url = "sqlite:///north.db"\n[targets.south]\ndatabase_url = "sqlite:///south.db"\n'
    )
    assert "--target: north, south" in project.run("up").err
    project.well("up", "--target", "north")
    assert project.well("status", "--json", "--target", "north").json["summary"]["completed"] == 1
    assert project.well("status", "--json", "--target", "south").json["summary"]["completed"] == 0
    assert not (tmp_path / "south.db").exists(), "looking creates nothing"


def test_doctor_shows_every_setting_with_its_origin(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bascule.toml").write_text('database_url = "sqlite:///app.db"\nlock_wait = 5\n')
    (tmp_path / ".env").write_text("LOG_LEVEL=info\n")
    answer = project.well("doctor", "--json", "--migrations-dir", "migrations")
    settings = {each["name"]: each for each in answer.json["settings"]}
    assert answer.json["healthy"] is True
    assert settings["lock_wait"] | {"variable": ""} == {
        "name": "lock_wait",
        "value": "5 s",
        "origin": f"lock_wait in {tmp_path}/bascule.toml:2",
        "variable": "",
    }
    assert settings["log_level"]["origin"] == f"LOG_LEVEL in {tmp_path}/.env:1"
    assert settings["migrations_dir"]["origin"] == "--migrations-dir"
    assert settings["schema"]["origin"] == "default"


def test_doctor_exits_1_and_says_why_when_something_is_in_the_way(project: Project, tmp_path: Path) -> None:
    nowhere = project.run("doctor", DATABASE_URL="sqlite:////no/such/folder/app.db")
    assert nowhere.code == 1
    assert "PROBLEM" in nowhere.out
    (tmp_path / "bascule.toml").write_text("lock_wiat = 5\n")
    wrong = project.run("doctor", "--json")
    assert wrong.code == 1
    assert any("lock_wait" in check["hint"] for check in wrong.json["checks"] if check["status"] == "problem")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql://root:hunter2@db/shop", "postgresql://"),
        ("postgresql://app:hunter2@127.0.0.1:1/shop", "127.0.0.1"),
        ("sqlite:////no/such/folder/app.db", "/no/such/folder"),
        ("sqlite:///notes.txt", "notes.txt"),
    ],
)
def test_a_database_that_cannot_be_had_is_exit_2_and_no_secret_is_shown(
    project: Project, tmp_path: Path, url: str, word: str
) -> None:
    (tmp_path / "notes.txt").write_text(
        "This is no database at all, only some words that are long enough to be one.\n" * 20
    )
    answer = project.run("up", "--json", DATABASE_URL=url)
    assert answer.code == 2, answer
    assert word in answer.json["message"] + answer.json["error"]["hint"]
    assert answer.json["error"]["state"] == "unchanged"
    assert "hunter2" not in answer.out + answer.err
    loud = project.run("up", "-vv", DATABASE_URL=url)
    assert "hunter2" not in loud.out + loud.err


def test_a_migration_name_that_is_a_path_or_sql_is_only_an_unknown_name(project: Project, tmp_path: Path) -> None:
    for name in ("../../etc/passwd", "one'; drop table one; --", "%s", "\u202eone"):
        answer = project.run("up", name, "--json", DATABASE_URL="sqlite:///app.db")
        assert answer.code == 2
        assert answer.json["error"]["state"] == "unchanged"
    assert not (tmp_path / "app.db").exists()


def test_a_read_only_file_is_refused_before_anything_changes(project: Project, tmp_path: Path) -> None:
    url = {"DATABASE_URL": "sqlite:///app.db?mode=ro"}
    project.well("up", DATABASE_URL="sqlite:///app.db")
    project.write("20240102000000_two", "create table two (id integer);", "drop table two;")
    answer = project.run("up", "--json", **url)
    assert answer.code == 3
    assert answer.json["error"]["state"] == "unchanged"
    assert project.well("status", "--json", **url).json["summary"]["pending"] == 1


def test_a_folder_that_is_not_there_is_named(project: Project) -> None:
    answer = project.run("up", "--json", "--migrations-dir", "nowhere", DATABASE_URL="sqlite:///app.db")
    assert answer.code == 2
    assert "nowhere" in answer.json["message"]
    assert os.listdir(project.folder) == ["migrations"]
