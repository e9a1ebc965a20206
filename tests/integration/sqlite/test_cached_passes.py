"""Rules that have passed are not asked again while the database file has provably not changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bascule.databases.sqlite import file_state
from bascule.databases.sqlite.validation import SqliteReader
from bascule.monitoring.clock import SystemClock
from bascule.ports.validation import Declaration, ValidationOptions
from bascule.services.validate import Validation, Wanted, validate
from bascule.validation.passes import Passes
from tests.acceptance.commandline import Project

KEPT = {
    "fk_integrity",
    "not_null_constraints",
    "unique_constraints",
    "check_constraints",
    "referential_integrity",
    "data_type_validation",
    "data_range_validation",
    "orphaned_records",
    "duplicate_data",
}


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written to just now says nothing for two seconds, which nobody wants to wait here."""
    monkeypatch.setattr(file_state, "SETTLED_NS", -1)


@pytest.fixture(params=["delete", "wal"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as keeper:
        keeper.executescript(
            f"pragma journal_mode = {request.param}; create table t (id integer primary key, n int check (n > 0));"
            "insert into t values (1, 1); create table u (id integer primary key, at date);"
            "insert into u values (1, 'x')"
        )
        # In WAL mode the log stays as long as somebody is connected.
        yield path


def cached(path: Path, *, tables: tuple[str, ...] = (), options: ValidationOptions | None = None) -> set[str]:
    with closing(SqliteReader(str(path))) as reader:
        validation = Validation(
            reader=reader,
            clock=SystemClock(),
            options=options or ValidationOptions(),
            declared={"duplicate_data": (Declaration(rule="duplicate_data", table="t", column="n"),)},
            passes=lambda: Passes(path=path.parent / "cache" / "validate.json"),
        )
        report = validate(validation, Wanted(cached=True, tables=tables))
    assert report.summary["total"] == 17
    known = {each["ruleId"]: each for each in report.as_dict()["results"]}
    found = {name for name, each in known.items() if each.get("cached")}
    assert all(known[name]["status"] == "pass" and known[name]["since"] for name in found)
    return found


def write(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


# What found something is asked again, and so is what was declared.
PASSED = KEPT - {"data_type_validation", "duplicate_data"}


def test_what_has_passed_is_not_asked_again_until_something_is_written(path: Path) -> None:
    assert cached(path) == set()
    assert cached(path) == PASSED
    write(path, "update t set n = 2")
    assert cached(path) == set()
    assert cached(path) == PASSED
    write(path, "create index t_n on t (n)")
    assert cached(path) == set()


def test_another_look_is_another_look(path: Path) -> None:
    cached(path)
    assert cached(path, tables=("t",)) == set()
    assert cached(path, tables=("t",)) == PASSED | {"data_type_validation"}
    assert cached(path, options=ValidationOptions(sequence_share=0.5)) == set()
    assert cached(path) == PASSED


def test_a_file_that_was_written_to_just_now_says_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(path)
    monkeypatch.setattr(file_state, "SETTLED_NS", 2_000_000_000)
    assert cached(path) == set()
    os.utime(path, (1, 1))
    assert cached(path) == set()


def test_a_file_of_somebody_else_or_a_damaged_one_is_not_believed(path: Path) -> None:
    cached(path)
    kept = path.parent / "cache" / "validate.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "'x'" not in kept.read_text()
    whole = kept.read_bytes()
    kept.chmod(0o622)
    assert cached(path) == set()
    for damaged in (b"", b"[]", b'{"format": 2}', whole[:-9], whole.replace(b"severity", b"seferity")):
        kept.write_bytes(damaged)
        kept.chmod(0o600)
        assert cached(path) == set()
    assert cached(path) == PASSED


def test_the_command_says_since_when_and_asks_all_around_a_migration(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.well("init")
    write(tmp_path / "bascule.db", "create table t (id integer primary key)")
    settled = file_state_of_long_ago(tmp_path / "bascule.db")
    if settled:
        assert "nothing has changed since" not in project.well("validate", "--cached").out
        assert "nothing has changed since" in project.well("validate", "--cached").out
    assert "nothing has changed since" not in project.well("validate").out
    refused = project.run("validate", "t", "--cached")
    assert refused.code == 2
    assert "every rule is asked" in refused.err


def file_state_of_long_ago(path: Path) -> bool:
    """Wait until the file system's clock has moved on."""
    import time

    time.sleep(2.1)
    return file_state.file_state(path) is not None
