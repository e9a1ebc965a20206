"""The file beside the database: whose it is, and what is done when it is missing, foreign or broken."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bascule.databases.sqlite.target import SqliteTarget
from bascule.errors import Refused
from tests.conformance.database import CREATE, applied, fact, lease_of, tables_named

SIDECAR = "app.db.bascule"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def open_target(path: Path) -> Iterator[Callable[..., SqliteTarget]]:
    opened: list[SqliteTarget] = []

    def open_one(where: Path = path) -> SqliteTarget:
        opened.append(SqliteTarget(str(where)))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


Open = Callable[..., SqliteTarget]


def migrated(target: SqliteTarget) -> None:
    """Prepared, with a migration applied, and closed."""
    target.perform(applied(CREATE, facts=(fact("run_completed"),)), lease=lease_of(target))
    target.close()


def test_ledger_and_journal_are_in_two_files(path: Path, open_target: Open) -> None:
    migrated(open_target())
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"thing", "bascule_meta", "bascule_ledger", "bascule_step", "bascule_before"}
    with closing(sqlite3.connect(path.with_name(SIDECAR))) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert tables == {"bascule_meta", "bascule_journal", "bascule_holder"}
    assert mode == "wal"


def test_both_files_carry_one_identity(path: Path, open_target: Open) -> None:
    migrated(open_target())
    identities = set()
    for name in ("app.db", SIDECAR):
        with closing(sqlite3.connect(path.with_name(name))) as connection:
            identities |= set(connection.execute("SELECT value FROM bascule_meta WHERE key = 'identity'"))
    assert len(identities) == 1


def test_a_missing_sidecar_is_made_again_and_a_fact_says_so(path: Path, open_target: Open) -> None:
    migrated(open_target())
    path.with_name(SIDECAR).unlink()
    target = open_target()
    assert [row.name for row in target.ledger()] == ["create_thing"]
    assert list(target.journal()) == []
    assert not path.with_name(SIDECAR).exists()
    target.prepare()
    (told,) = target.journal()
    assert told.kind == "repaired"
    assert "missing" in told.data["words"]
    open_target().prepare()
    assert len(target.journal()) == 1


def test_a_sidecar_that_was_never_finished_is_finished(path: Path, open_target: Open) -> None:
    path.with_name(SIDECAR).touch()
    target = open_target()
    assert target.holder() is None
    migrated(target)
    assert [each.kind for each in open_target().journal(kinds=("run_completed",))] == ["run_completed"]


def test_a_copy_of_the_database_goes_on_with_a_sidecar_of_its_own(
    path: Path, tmp_path: Path, open_target: Open
) -> None:
    migrated(open_target())
    shutil.copy(path, tmp_path / "copy.db")
    copy = open_target(tmp_path / "copy.db")
    lease = lease_of(copy)
    assert [row.name for row in copy.ledger()] == ["create_thing"]
    copy.perform(applied("CREATE TABLE more (id)", name="more"), lease=lease)
    assert [row.name for row in open_target().ledger()] == ["create_thing"]


def test_the_sidecar_of_another_database_is_refused(path: Path, tmp_path: Path, open_target: Open) -> None:
    migrated(open_target())
    migrated(open_target(tmp_path / "other.db"))
    shutil.copy(tmp_path / "other.db.bascule", path.with_name(SIDECAR))
    calls: list[Callable[[SqliteTarget], object]] = [
        SqliteTarget.prepare,
        SqliteTarget.journal,
        SqliteTarget.holder,
        lambda target: target.acquire(owner="me@here:1", run="run_1"),
        lambda target: target.append((fact(),)),
    ]
    for call in calls:
        target = open_target()
        for _ in range(2):
            with pytest.raises(Refused, match=r"app\.db\.bascule beside .* belongs to another database") as failure:
                call(target)
            assert failure.value.code == "sidecar_mismatch"
            assert "move this one away" in failure.value.hint
    assert [row.name for row in open_target().ledger()] == ["create_thing"]
    path.with_name(SIDECAR).rename(tmp_path / "away")
    open_target().prepare()


def test_a_database_begun_again_takes_the_sidecar_over_without_the_old_facts(path: Path, open_target: Open) -> None:
    migrated(open_target())
    path.unlink()
    target = open_target()
    assert not target.ledger()
    assert not target.journal()
    target.prepare()
    assert list(target.ledger()) == []
    (told,) = target.journal()
    assert told.kind == "repaired"
    assert "begun again" in told.data["words"]
    migrated(target)
    with closing(sqlite3.connect(path.with_name(SIDECAR))) as connection:
        kept = connection.execute("SELECT count(*) FROM bascule_journal WHERE kind = 'run_completed'").fetchone()
    assert kept == (2,)


def test_preparing_that_a_reader_held_up_leaves_no_fact(path: Path, open_target: Open) -> None:
    target = open_target()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("CREATE TABLE before_bascule (id)")
        reader.execute("BEGIN").execute("SELECT * FROM before_bascule").fetchall()
        timer = threading.Timer(0.3, reader.execute, args=("ROLLBACK",))
        timer.start()
        target.prepare()
        timer.join()
    assert target.describe().prepared
    assert list(target.journal()) == []


def test_a_file_that_is_no_sidecar_is_refused(path: Path, tmp_path: Path, open_target: Open) -> None:
    path.with_name(SIDECAR).write_text("notes about the app\n" * 100)
    with pytest.raises(Refused, match="should be Bascule's sidecar") as failure:
        open_target().prepare()
    assert failure.value.code == "sidecar_broken"
    assert open_target().describe().prepared is False
    path.with_name(SIDECAR).unlink()
    path.with_name(SIDECAR).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="not a regular file"):
        open_target().prepare()
    assert not (tmp_path / "elsewhere").exists()


def test_a_migration_counts_as_done_when_only_its_journal_could_not_be_written(path: Path, open_target: Open) -> None:
    target = open_target()
    lease = lease_of(target)
    with closing(sqlite3.connect(path.with_name(SIDECAR))) as connection, connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON bascule_journal BEGIN SELECT raise(ABORT, 'no room'); END"
        )
    done = target.perform(applied(CREATE, facts=(fact("run_completed"),)), lease=lease)
    assert any("journal could not be written" in words for words in done.notices)
    assert [row.name for row in target.ledger()] == ["create_thing"]
    assert tables_named(target, "thing") == 1


def test_facts_written_together_are_all_there_or_none(path: Path, open_target: Open) -> None:
    target = open_target()
    target.prepare()
    with closing(sqlite3.connect(path.with_name(SIDECAR))) as connection, connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON bascule_journal WHEN new.step = 1 "
            "BEGIN SELECT raise(ABORT, 'no room'); END"
        )
    with pytest.raises(Refused, match="could not write the journal"):
        target.append((fact(step=0), fact(step=1)))
    assert list(target.journal()) == []
    target.append((fact(step=0), fact(step=2)))
    assert [each.step for each in target.journal()] == [0, 2]
