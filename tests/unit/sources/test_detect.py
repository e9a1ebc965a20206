"""A folder's format is told by its shape, and never guessed between two."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import ConfigError, SourceError
from bascule.sources.detect import FORMATS, open_source
from tests.unit.sources.folders import names, write


@pytest.mark.parametrize(
    ("files", "format_"),
    [
        (["1_a.sql"], "bascule"),
        (["1_a.py", "__init__.py"], "bascule"),
        (["R__view.sql"], "bascule"),
        ([], "bascule"),
        ([".gitkeep", "README.md"], "bascule"),
        (["hooks/before_up.sql"], "bascule"),
        (["1_a.up.sql"], "golang-migrate"),
        (["1_a.up.sql", "1_a.down.sql", "schema.sql", "atlas.sum"], "golang-migrate"),
        (["2024-01-01-000000_a/up.sql", "README.md", "seed.sql", "empty/"], "diesel"),
    ],
)
def test_each_shape_is_recognised(tmp_path: Path, files: list[str], format_: str) -> None:
    assert open_source(str(write(tmp_path, *files))).format == format_


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        (["1_a.sql", "2_b.up.sql"], ["bascule (1_a.sql)", "golang-migrate (2_b.up.sql)"]),
        (["1_a.sql", "2_b/up.sql"], ["bascule (1_a.sql)", "diesel (2_b/up.sql)"]),
        (["1_a.up.sql", "2_b/up.sql"], ["diesel (2_b/up.sql)", "golang-migrate (1_a.up.sql)"]),
        (["1_a.sql", "V1__x.sql"], ["bascule (1_a.sql)", "flyway (V1__x.sql)"]),
        (["R__a.sql", "1_a.up.sql"], ["bascule (R__a.sql)", "golang-migrate (1_a.up.sql)"]),
    ],
)
def test_a_mixture_is_refused_with_what_was_seen_of_each(tmp_path: Path, files: list[str], seen: list[str]) -> None:
    with pytest.raises(SourceError) as refusal:
        open_source(str(write(tmp_path, *files)))

    assert refusal.value.message == f"{tmp_path} mixes formats: {', '.join(seen)}."
    assert refusal.value.code == "mixed_formats"


def test_native_files_of_two_tools_are_a_mixture_too(tmp_path: Path) -> None:
    write(tmp_path, "1_a.sql")
    (tmp_path / "2_b.sql").write_text("-- +goose Up\nSELECT 1;")

    with pytest.raises(SourceError, match=r"mixes formats: bascule \(1_a\.sql\), goose \(2_b\.sql\)"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "tool"),
    [
        (["V1__a.sql", "V1_5_2__b.sql", "R__c.sql", "U1__a.sql"], "flyway"),
        (["env.py", "script.py.mako", "versions/"], "alembic"),
        (["1975ea83b712_add_users.py", "ae1027a6acf_add.py"], "alembic"),
        (["00001_a.sql", "00002_b.go"], "goose"),
        (["migration_lock.toml", "20240101000000_a/migration.sql"], "prisma"),
        (["20240101000000_a/migration.sql"], "prisma"),
        (["0001_a.sql", "0001_a.rollback.sql"], "yoyo"),
        (["1700000000000_a.js"], "node-pg-migrate"),
    ],
)
def test_a_format_not_read_yet_is_named_by_its_listing(tmp_path: Path, files: list[str], tool: str) -> None:
    write(tmp_path, *files)
    for path in tmp_path.rglob("*.sql"):
        path.write_text("CREATE TABLE t (x int);")

    with pytest.raises(SourceError, match=f"is a folder of {tool} ") as refusal:
        open_source(str(tmp_path))

    assert refusal.value.code == "unsupported_format"
    assert refusal.value.details["format"] == tool
    assert all(format_ in refusal.value.hint for format_ in FORMATS)


@pytest.mark.parametrize(
    ("name", "text", "tool"),
    [
        ("00001_a.sql", "-- +goose Up\nSELECT 1;", "goose"),
        ("20240101000000-a.sql", "-- +migrate Up\nSELECT 1;", "sql-migrate"),
        ("1700000000000_a.sql", "-- Up Migration\nSELECT 1;", "node-pg-migrate"),
        ("20240101000000_a.sql", "-- no-transaction\nSELECT 1;", "sqlx"),
        (
            "0001_initial.py",
            "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    pass",
            "django",
        ),
        ("20240101_a.py", "revision = 'a'\ndown_revision = None\n\ndef upgrade():\n    pass", "alembic"),
        ("0001_a.py", "from yoyo import step\nsteps = [step('')]", "yoyo"),
    ],
)
def test_where_names_look_native_the_text_tells(tmp_path: Path, name: str, text: str, tool: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "__init__.py").touch()

    with pytest.raises(SourceError, match=f"is a folder of {tool} "):
        open_source(str(tmp_path))


def test_only_the_first_and_the_last_file_are_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "1_a.sql", "3_c.sql")
    (tmp_path / "2_b.sql").mkdir()
    (tmp_path / "2_d.sql").write_bytes(b"\xff")

    assert names(open_source(str(tmp_path))) == ["1_a", "2_d", "3_c"]


def test_a_format_that_is_named_wins_over_the_shape(tmp_path: Path) -> None:
    write(tmp_path, "1_a.sql", "2_b.up.sql", "3_c/up.sql")

    assert names(open_source(str(tmp_path), format="golang-migrate")) == ["2_b"]
    assert names(open_source(str(tmp_path), format="diesel")) == ["3_c"]
    assert names(open_source(str(tmp_path), format="bascule")) == ["1_a", "2_b.up"]


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format 'flyway'") as refusal:
        open_source(str(tmp_path), format="flyway")

    assert refusal.value.hint == "Allowed are: bascule, golang-migrate, diesel."


def test_variables_reach_the_native_reader(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("-- migrate:up\nSELECT '${x}';")
    source = open_source(str(tmp_path), variables={"x": "y"})

    assert source.read(source.listing()[0]).up.text == "SELECT 'y';"


class TestAFolderThatCannotBeListed:
    def test_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"There is no migrations folder .*/nowhere\.") as refusal:
            open_source(str(tmp_path / "nowhere"))

        assert refusal.value.code == "no_folder"
        assert "MIGRATION_DIR" in refusal.value.hint

    def test_is_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is a file, not a migrations folder"):
            open_source(str(write(tmp_path, "x.sql") / "x.sql"))

    @pytest.mark.parametrize("name", ["a\0b", "x" * 300])
    def test_has_an_impossible_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(SourceError, match="cannot be listed"):
            open_source(str(tmp_path / name))


def test_a_folder_may_be_named_with_a_final_slash_and_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/1_a.sql")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    source = open_source(f"{tmp_path}/link/")

    assert source.listing()[0].path == f"{tmp_path}/link/1_a.sql"
    assert not source.read(source.listing()[0]).warnings
