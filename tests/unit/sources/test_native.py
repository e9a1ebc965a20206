"""The listing of a native folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.errors import SourceError
from bascule.sources.native import NativeSource
from tests.unit.sources.folders import names, write


def test_sql_python_and_repeatables_share_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "R__b.sql", "0010_b.py", "9_a.sql", "20240101000000_c.sql", "R__a.sql")

    listing = NativeSource(str(tmp_path)).listing()

    assert [ref.name for ref in listing] == ["9_a", "0010_b", "20240101000000_c", "R__a", "R__b"]
    assert [ref.version for ref in listing] == ["9", "0010", "20240101000000", "", ""]
    assert [ref.language for ref in listing] == ["sql", "python", "sql", "sql", "sql"]
    assert [ref.repeatable for ref in listing] == [False, False, False, True, True]
    assert sorted(listing, key=lambda ref: ref.order) == list(listing)


@pytest.mark.parametrize("name", ["1.sql", "1abc.sql", "20240101-add.sql", "1_a.b.sql", "1__.sql"])
def test_digits_in_front_make_a_migration(tmp_path: Path, name: str) -> None:
    assert names(NativeSource(str(write(tmp_path, name)))) == [name.removesuffix(".sql")]


@pytest.mark.parametrize("second", ["1_b.sql", "01_a.sql", "1_a.py", "001.sql"])
def test_one_number_names_one_migration(tmp_path: Path, second: str) -> None:
    write(tmp_path, "1_a.sql", second)

    with pytest.raises(SourceError) as refusal:
        NativeSource(str(tmp_path)).listing()

    assert sorted(refusal.value.details["files"]) == sorted(["1_a.sql", second])
    assert refusal.value.message.endswith("have the same version, 1.")
    assert refusal.value.code == "duplicate_version"


def test_repeatables_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "R__View.sql", "R__view.sql")

    with pytest.raises(SourceError, match=r"R__View\.sql and R__view\.sql differ only in upper and lower case"):
        NativeSource(str(tmp_path)).listing()


def test_everything_else_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    write(
        tmp_path, "1_a.sql", "seed.sql", "__init__.py", "R__x.py", "r__x.sql", "notes.txt", "2_b.sql/",
        "future/3_c.sql", ".gitkeep", "hooks/before_up.sql", "hooks/befor_up.sql",
    )  # fmt: skip

    source = NativeSource(str(tmp_path))

    assert names(source) == ["1_a"]
    assert source.passed_over() == (
        "2_b.sql: a folder",
        "R__x.py: repeatable migrations are SQL",
        "__init__.py: no version number in front",
        "future: a folder",
        "hooks/befor_up.sql: no hook; known are after_rollback.sql, after_up.sql, before_rollback.sql, before_up.sql",
        "notes.txt: not a migration",
        "r__x.sql: no version number in front",
        "seed.sql: no version number in front",
    )


def test_what_was_passed_over_can_be_asked_without_a_listing(tmp_path: Path) -> None:
    assert NativeSource(str(write(tmp_path, "notes.txt"))).passed_over() == ("notes.txt: not a migration",)


@pytest.mark.parametrize("name", ["٣_arabic.sql", "²_super.sql"])
def test_only_plain_digits_are_numbers(tmp_path: Path, name: str) -> None:
    assert names(NativeSource(str(write(tmp_path, name)))) == []
