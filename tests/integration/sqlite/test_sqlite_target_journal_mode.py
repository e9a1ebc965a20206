"""While many migrations follow one another SQLite logs ahead; afterwards the file is as its author had it."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bascule.databases.sqlite import journal_mode
from bascule.databases.sqlite.target import SqliteTarget
from bascule.ports.database import Lease, Meanwhile, TargetOptions
from tests.acceptance.commandline import Project
from tests.conformance.database import applied, lease_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # Where nothing is local enough, nothing is tested: better to fail than to pass.
    assert journal_mode.is_local(tmp_path / "app.db")
    return tmp_path / "app.db"


@pytest.fixture
def target(path: Path) -> Iterator[SqliteTarget]:
    target = SqliteTarget(f"sqlite:///{path}", TargetOptions())
    yield target
    target.close()


@pytest.fixture
def lease(target: SqliteTarget) -> Lease:
    return lease_of(target)


ANOTHER_FOLLOWS = Meanwhile(tell=lambda: None, think=lambda: None)


def run(target: SqliteTarget, lease: Lease, name: str, *texts: str, last: bool = False) -> None:
    target.perform(
        applied(*(texts or (f"CREATE TABLE {name} (id)",)), name=name),
        lease=lease,
        meanwhile=None if last else ANOTHER_FOLLOWS,
    )


def mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def files(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()} - {f"{path.name}.bascule"}


def test_many_migrations_are_logged_ahead_and_the_mode_is_set_back(
    target: SqliteTarget, lease: Lease, path: Path
) -> None:
    run(target, lease, "one")
    assert target.query("PRAGMA journal_mode") == [("wal",)]
    run(target, lease, "two", last=True)
    target.close()
    assert mode(path) == "delete"
    assert files(path) == {path.name}


def test_a_single_migration_changes_no_mode(target: SqliteTarget, lease: Lease) -> None:
    run(target, lease, "one", last=True)
    assert target.query("PRAGMA journal_mode") == [("persist",)]


def test_a_file_that_is_open_elsewhere_in_this_process_keeps_its_mode(
    target: SqliteTarget, lease: Lease, path: Path
) -> None:
    with closing(sqlite3.connect(path)):
        run(target, lease, "one")
        assert target.query("PRAGMA journal_mode") == [("persist",)]


def test_a_file_that_another_process_has_open_keeps_its_mode(target: SqliteTarget, lease: Lease, path: Path) -> None:
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM sqlite_schema'); "
        "print('open', flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        run(target, lease, "one")
        assert target.query("PRAGMA journal_mode") == [("persist",)]
        other.kill()


def test_nothing_is_logged_ahead_over_a_network(
    target: SqliteTarget, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_mode, "_LOCAL", frozenset())
    run(target, lease, "one")
    assert target.query("PRAGMA journal_mode") == [("persist",)]


def test_who_opens_the_file_meanwhile_is_not_disturbed_and_the_next_run_sets_the_mode_back(
    target: SqliteTarget, lease: Lease, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(target, lease, "one")
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO one VALUES (1)")
        other.commit()
        run(target, lease, "two", last=True)
        with caplog.at_level(logging.WARNING, logger="bascule.sqlite"):
            target.close()
        assert "stays in WAL mode for now" in caplog.text
        assert other.execute("SELECT count(*) FROM one").fetchone() == (1,)
    assert mode(path) == "wal"
    later = SqliteTarget(f"sqlite:///{path}", TargetOptions())
    run(later, lease_of(later), "three", last=True)
    later.close()
    assert mode(path) == "delete"


def test_the_mode_that_a_migration_sets_is_the_one_that_stays(target: SqliteTarget, lease: Lease, path: Path) -> None:
    run(target, lease, "one")
    target.perform(
        applied("CREATE TABLE two (id)", name="two", settings=("PRAGMA journal_mode = WAL",)),
        lease=lease,
        meanwhile=ANOTHER_FOLLOWS,
    )
    run(target, lease, "three", last=True)
    target.close()
    assert mode(path) == "wal"


def test_a_database_that_its_author_keeps_in_wal_mode_stays_in_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE here (id)")
    target = SqliteTarget(f"sqlite:///{path}", TargetOptions())
    lease = lease_of(target)
    run(target, lease, "one")
    run(target, lease, "two", last=True)
    target.close()
    assert mode(path) == "wal"


def test_after_a_killed_run_the_next_one_sets_the_mode_back(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    for number in range(1, 4):
        project.write(f"{number}_m", f"CREATE TABLE t{number} (id INTEGER);")
    killed = """
import os, sys
from bascule.databases.sqlite.transaction import Performer
whole = Performer.perform
def perform(self, job, lease, watch):
    if job.migration == "3_m":
        os.kill(os.getpid(), 9)
    return whole(self, job, lease, watch)
Performer.perform = perform
from bascule.cli.main import entry
sys.argv = ["bascule", "up"]
entry()
"""
    subprocess.run([sys.executable, "-c", killed], cwd=tmp_path, env=project.environment, timeout=60, check=False)
    assert mode(tmp_path / "app.db") == "wal"
    project.well("up")
    assert mode(tmp_path / "app.db") == "delete"
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 't_'").fetchone() == (3,)
