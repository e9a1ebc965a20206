"""Bascule from Python, as the contract promises it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bascule import Bascule, BasculeError, EnhancedMigrationService
from bascule.domain.event import Event
from bascule.errors import MigrationFailed, Refused, UsageError

USERS = "20240101000000_AddUserTable"
COURSES = "20240102000000_CreateCoursesTable"
LINK = "20240103000000_AddUserCourseRelationship"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backups go below the working folder where no setting says otherwise."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    write(folder, USERS, "create table users (id integer primary key);", "drop table users;")
    write(folder, COURSES, "create table courses (id integer primary key);", "drop table courses;", depends="")
    write(
        folder,
        LINK,
        "create table user_courses (user_id integer references users (id));",
        "drop table user_courses;",
        depends="AddUserTable, CreateCoursesTable",
    )
    return folder


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/app.db"


def write(folder: Path, name: str, up: str, down: str, depends: str | None = None) -> None:
    head = "" if depends is None else f"-- depends: {depends}\n"
    (folder / f"{name}.sql").write_text(f"{head}-- migrate:up\n{up}\n-- migrate:down\n{down}\n")


def tables(url: str) -> set[str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'bascule_%'"
        return {name for (name,) in connection.execute(query)}
    finally:
        connection.close()


def test_a_migration_runs_after_what_it_needs_and_answers_its_run(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    run = bascule.migrations.execute_migration(
        "AddUserCourseRelationship",
        validate_before=True,
        create_backup=True,
        monitor_progress=True,
        rollback_on_failure=True,
    )
    assert isinstance(bascule.migrations, EnhancedMigrationService)
    assert (run.name, run.status, run.dependencies) == (LINK, "completed", ("AddUserTable", "CreateCoursesTable"))
    assert run.id.startswith(f"{LINK}_")
    assert tables(url) == {"users", "courses", "user_courses"}


def test_a_migration_that_is_applied_already_answers_the_run_that_did_it(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    first = bascule.migrations.execute_migration("AddUserTable")
    again = bascule.migrations.execute_migration("AddUserTable")
    assert again.id == first.id
    assert again.notes == ("it was applied already",)


def test_a_rollback_takes_what_depends_on_it_along_and_says_how_exact_it_was(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    bascule.migrations.execute_pending()
    run = bascule.migrations.rollback_migration("AddUserTable")
    assert (run.name, run.status, run.verdict, run.differences) == (USERS, "rolled_back", "exact", ())
    assert tables(url) == {"courses"}


def test_status_and_logs_have_the_promised_form(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    bascule.migrations.execute_migration("AddUserTable")
    status = bascule.migrations.get_migration_status()
    assert [each["name"] for each in status["pending"]] == [COURSES, LINK]
    assert [each["name"] for each in status["completed"]] == [USERS]
    assert status["summary"]["total"] == 3
    logs = bascule.migrations.get_migration_logs("AddUserTable")
    assert logs[-1]["event"] == "run_completed"
    assert logs[-1]["migration"] == USERS


def test_listeners_hear_every_event_and_a_failing_one_fails_nothing(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(f"{event.name} {event.migration}")

    def fall_over(event: Event) -> None:
        raise RuntimeError(event.name)

    bascule.subscribe(fall_over)
    stop = bascule.subscribe(listen, "migration.*")
    bascule.migrations.execute_migration("AddUserTable")
    bascule.migrations.rollback_migration("AddUserTable")
    stop()
    bascule.migrations.execute_migration("AddUserTable")
    assert [words for words in heard if ".progress" not in words] == [
        f"migration.started {USERS}",
        f"migration.completed {USERS}",
        f"migration.rollback_started {USERS}",
        f"migration.rollback_completed {USERS}",
    ]


def test_a_failure_tells_what_is_true_of_the_database(url: str, folder: Path) -> None:
    write(folder, "20240104000000_broken", "create table half (id integer); insert into nowhere values (1);", "")
    bascule = Bascule(url=url, migrations_dir=folder)
    with pytest.raises(MigrationFailed) as caught:
        bascule.migrations.execute_pending()
    assert caught.value.state == "changed"
    assert "nowhere" in caught.value.message
    assert "3 migrations before it were applied and stay applied" in caught.value.message
    assert [run["status"] for run in caught.value.details["data"]] == ["completed"] * 3 + ["failed"]
    assert "half" not in tables(url)
    assert bascule.migrations.history()[0].status == "failed"


def test_unknown_names_are_refused_with_the_nearest(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)
    with pytest.raises(UsageError, match="AddUserTabel") as caught:
        bascule.migrations.execute_migration("AddUserTabel")
    assert "AddUserTable" in caught.value.hint


def test_what_was_given_here_is_the_whole_truth(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/somewhere-else.db")
    Bascule(url=url, migrations_dir=folder).migrations.execute_migration("AddUserTable")
    assert tables(url) == {"users"}
    assert not (tmp_path / "somewhere-else.db").exists()


def test_settings_of_a_folder_are_used_as_a_command_would(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "bascule.toml").write_text(f'database_url = "sqlite:///{tmp_path}/app.db"\nenvironment = "staging"\n')
    bascule = Bascule.from_settings(tmp_path, environ={})
    assert bascule.settings.environment == "staging"
    bascule.migrations.execute_pending()
    assert "users" in tables(f"sqlite:///{tmp_path}/app.db")


def test_an_engine_or_an_open_connection_says_where_the_target_is(url: str, folder: Path, tmp_path: Path) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    Bascule(engine=engine, migrations_dir=folder).migrations.execute_migration("AddUserTable")
    engine.dispose()
    connection = sqlite3.connect(tmp_path / "app.db")
    run = Bascule(connection=connection, migrations_dir=folder).migrations.execute_migration("CreateCoursesTable")
    connection.close()
    assert run.status == "completed"
    assert tables(url) == {"users", "courses"}
    with pytest.raises(UsageError, match="where the target is"):
        Bascule(migrations_dir=folder)


def test_a_postgresql_connection_says_where_the_target_is(bascule_postgres_url: str, folder: Path) -> None:
    import psycopg

    with psycopg.connect(bascule_postgres_url) as connection:
        bascule = Bascule(connection=connection, migrations_dir=folder)
        assert bascule.migrations.execute_migration("AddUserTable").status == "completed"
        assert connection.execute("select count(*) from users").fetchone() == (0,)


def test_an_async_application_calls_it_through_a_thread(url: str, folder: Path) -> None:
    bascule = Bascule(url=url, migrations_dir=folder)

    async def start() -> str:
        run = await asyncio.to_thread(bascule.migrations.execute_migration, "AddUserTable")
        return run.status

    assert asyncio.run(start()) == "completed"


def test_production_refuses_a_loss_that_was_not_accepted(url: str, folder: Path) -> None:
    production = Bascule(url=url, migrations_dir=folder, environment="production")
    with pytest.raises(Refused, match="takes a plan"):
        production.migrations.execute_pending()
    production.migrations.execute_pending(yes_production="a test")
    with pytest.raises(Refused, match="a rollback takes a reason"):
        production.migrations.rollback_migration("AddUserCourseRelationship")
    with pytest.raises(Refused) as caught:
        production.migrations.rollback_migration("AddUserCourseRelationship", yes_production="a test")
    assert caught.value.code == "data_loss"
    assert "user_courses" in tables(url)
    run = production.migrations.rollback_migration(
        "AddUserCourseRelationship", accept_data_loss=True, yes_production="a test"
    )
    assert run.verdict == "exact"


def test_every_error_is_a_bascule_error(url: str, folder: Path) -> None:
    with pytest.raises(BasculeError):
        Bascule(url=url, migrations_dir=folder / "nowhere").migrations.get_migration_status()
