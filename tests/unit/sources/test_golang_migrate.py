"""golang-migrate folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.sources.golang_migrate import GolangMigrateSource
from tests.unit.sources.folders import names, write


def test_versions_are_integers_and_gaps_are_normal(tmp_path: Path) -> None:
    write(tmp_path, "000010_b.up.sql", "9_a.up.sql", "20240826120919_c.up.sql", "9_a.down.sql")

    listing = GolangMigrateSource(str(tmp_path)).listing()

    assert [ref.name for ref in listing] == ["9_a", "000010_b", "20240826120919_c"]
    assert [ref.version for ref in listing] == ["9", "10", "20240826120919"]
    assert [ref.down_path for ref in listing] == [f"{tmp_path}/9_a.down.sql", None, None]


def test_directions_are_paired_by_number_and_named_by_the_up_file(tmp_path: Path) -> None:
    write(tmp_path, "001_users.up.sql", "1_drop users.down.sql")

    (ref,) = GolangMigrateSource(str(tmp_path)).listing()

    assert ref.name == "001_users"
    assert ref.down_path == f"{tmp_path}/1_drop users.down.sql"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_one_integer_written_in_two_ways_is_refused(tmp_path: Path, direction: str) -> None:
    write(tmp_path, "1_z.up.sql", f"1_a.{direction}.sql", f"01_b.{direction}.sql")

    with pytest.raises(SourceError, match="have the same version, 1"):
        GolangMigrateSource(str(tmp_path)).listing()


def test_hooks_beside_foreign_migrations_are_said_not_to_run(tmp_path: Path) -> None:
    source = GolangMigrateSource(str(write(tmp_path, "1_a.up.sql", "hooks/before_up.sql")))

    (words,) = source.passed_over()
    assert words == "hooks: a folder; hooks belong to the native format, so what is in it does not run here"


def test_a_down_without_its_up_is_named(tmp_path: Path) -> None:
    source = GolangMigrateSource(str(write(tmp_path, "1_a.up.sql", "3_c.down.sql", "atlas.sum", "test/1_x.up.sql")))

    assert names(source) == ["1_a"]
    assert source.passed_over() == (
        "test: a folder",
        "atlas.sum: not a migration",
        "3_c.down.sql: there is no up file of version 3",
    )


@pytest.mark.parametrize("name", ["2_b.up.json", "2_b.up.sql.bak", "2_b.down.cql"])
def test_what_the_tool_would_run_but_is_not_sql_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="is a migration to golang-migrate, but not SQL"):
        GolangMigrateSource(str(write(tmp_path, "1_a.up.sql", name))).listing()


def test_a_number_too_large_for_the_tool_is_passed_over_as_the_tool_does(tmp_path: Path) -> None:
    source = GolangMigrateSource(str(write(tmp_path, "1_a.up.sql", f"{2**64}_b.up.sql")))

    assert names(source) == ["1_a"]
    assert "larger than golang-migrate can hold" in source.passed_over()[0]


def test_an_empty_file_is_a_direction_that_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "1_a.up.sql").touch()
    (tmp_path / "1_a.down.sql").touch()
    source = GolangMigrateSource(str(tmp_path))

    migration = source.read(source.listing()[0])

    assert migration.up.empty
    assert migration.down is not None
    assert migration.down.empty


def test_the_first_comment_is_the_description(tmp_path: Path) -> None:
    (tmp_path / "1_a.up.sql").write_text("\n-- Users\n-- of the shop\n\n-- depends: nothing read here\nSELECT 1;")
    source = GolangMigrateSource(str(tmp_path))

    migration = source.read(source.listing()[0])

    assert migration.description == "Users\nof the shop"
    assert migration.depends is None


def test_a_word_of_sqlx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1_a.up.sql").write_text("-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (x);")
    source = GolangMigrateSource(str(tmp_path))

    with pytest.raises(SourceError, match="a word of sqlx"):
        source.read(source.listing()[0])
