"""diesel folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.sources.diesel import DieselSource
from tests.unit.sources.folders import names, read_only_one, write


def test_the_order_is_that_of_versions_without_dashes_not_of_names(tmp_path: Path) -> None:
    folders = [
        "00000000000000_initial_setup",
        "20160101000000_old_style",
        "2015-12-31-235959_new_style",
        "2016-01-01-000000-0001_eighteen_digits",
        "2016-01-01-000001_later",
    ]
    write(tmp_path, *(f"{name}/up.sql" for name in folders))

    listing = DieselSource(str(tmp_path)).listing()

    assert [ref.version for ref in listing] == [
        "00000000000000", "20151231235959", "20160101000000", "201601010000000001", "20160101000001",
    ]  # fmt: skip
    assert [ref.name for ref in listing] != sorted(folders)


@pytest.mark.parametrize("name", ["2024-01-01-000000_a.sql", "2024-01-01-000000_a copy", "2024:01_a", "create", "_a"])
def test_folder_names_need_no_particular_form(tmp_path: Path, name: str) -> None:
    assert names(DieselSource(str(write(tmp_path, f"{name}/up.sql")))) == [name]


def test_the_same_version_with_and_without_dashes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "2024-01-01-000000_a/up.sql", "20240101000000_b/up.sql")

    with pytest.raises(SourceError, match=r"2024-01-01-000000_a and 20240101000000_b have the same version") as refusal:
        DieselSource(str(tmp_path)).listing()

    assert refusal.value.code == "duplicate_version"


def test_folders_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a1_x/up.sql", "A1_x/up.sql")

    with pytest.raises(SourceError, match="differ only in upper and lower case"):
        DieselSource(str(tmp_path)).listing()


def test_a_folder_with_files_but_no_up_is_refused_as_diesel_does(tmp_path: Path) -> None:
    write(tmp_path, "1_a/up.sql", "2_b/down.sql")

    with pytest.raises(SourceError, match=r"2_b holds files but no up\.sql"):
        DieselSource(str(tmp_path)).listing()


def test_what_stands_beside_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "1_a/up.sql", "1_a/data.csv", "2_b/", ".diesel_lock", "README.md", "data.sql", ".hidden/x.sql")
    source = DieselSource(str(tmp_path))

    assert names(source) == ["1_a"]
    assert source.passed_over() == (
        "1_a/data.csv: not a part of the migration",
        "2_b: an empty folder",
        "README.md: not a migration",
        "data.sql: not a migration",
    )


@pytest.mark.parametrize(
    ("metadata", "transaction", "warning"),
    [
        ("run_in_transaction = false\n", False, None),
        ("run_in_transaction = true", True, None),
        ("\ufeffrun_in_transaction = false\r\n", False, None),
        ("", False, "has no `run_in_transaction`; as in diesel, that turns the transaction off"),
        ("run_in_transaction = no", True, "is not TOML"),
        ('run_in_transaction = "false"', True, "neither true nor false"),
    ],
)
def test_metadata_is_read_as_diesel_reads_it(
    tmp_path: Path, metadata: str, transaction: bool, warning: str | None
) -> None:
    write(tmp_path, "1_a/up.sql", "1_a/down.sql")
    (tmp_path / "1_a/metadata.toml").write_text(metadata, newline="")

    migration = read_only_one(tmp_path)

    assert migration.up.transaction is transaction
    assert migration.down is not None
    assert migration.down.transaction is transaction
    assert len(migration.warnings) == (1 if warning else 0)
    assert not warning or warning in migration.warnings[0]


@pytest.mark.parametrize(
    ("metadata", "transaction", "warnings"),
    [
        (
            "run_in_transactionn = false",
            False,
            (
                "`run_in_transactionn`, so it is passed over; did you mean `run_in_transaction`?",
                "turns the transaction",
            ),
        ),
        (
            "run_in_transaction = true\nRun-In-Transaction = false",
            True,
            ("`Run-In-Transaction`, so it is passed over; did you mean `run_in_transaction`?",),
        ),
        ("run_in_transaction = false\nother = 1", False, ("diesel knows no `other`, so it is passed over.",)),
    ],
)
def test_a_key_that_diesel_does_not_know_is_named_with_the_one_that_was_meant(
    tmp_path: Path, metadata: str, transaction: bool, warnings: tuple[str, ...]
) -> None:
    write(tmp_path, "1_a/up.sql")
    (tmp_path / "1_a/metadata.toml").write_text(metadata)

    migration = read_only_one(tmp_path)

    assert migration.up.transaction is transaction
    assert len(migration.warnings) == len(warnings)
    assert all(part in told for part, told in zip(warnings, migration.warnings, strict=True))


def test_without_metadata_there_is_a_transaction(tmp_path: Path) -> None:
    assert read_only_one(write(tmp_path, "1_a/up.sql")).up.transaction


@pytest.mark.parametrize(("comment", "description"), [("-- Your SQL goes here", ""), ("-- Users", "Users")])
def test_the_first_comment_is_the_description_unless_it_is_the_generators(
    tmp_path: Path, comment: str, description: str
) -> None:
    write(tmp_path, "1_a/up.sql")
    (tmp_path / "1_a/up.sql").write_text(f"{comment}\nSELECT 1;")

    assert read_only_one(tmp_path).description == description
