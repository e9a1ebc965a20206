"""What a person means by the name of a migration."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.migration import MigrationRef
from bascule.errors import UsageError
from bascule.planning.names import Names, find, label_of
from tests.unit.planning.histories import entry, ref, refs

FOLDER = refs("20240101000000_AddUserTable", "20240102000000_AddCourse", "20240103000000_add_course_index", "R__views")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("20240101000000_AddUserTable", "20240101000000_AddUserTable"),
        ("AddUserTable", "20240101000000_AddUserTable"),
        ("20240101000000", "20240101000000_AddUserTable"),
        ("20240101000000_AddUserTable.sql", "20240101000000_AddUserTable"),
        ("AddUserTable.py", "20240101000000_AddUserTable"),
        ("views", "R__views"),
        ("R__views", "R__views"),
        ("R__views.sql", "R__views"),
    ],
)
def test_a_migration_is_found_by_name_version_and_the_part_after_it(name: str, found: str) -> None:
    assert find(name, FOLDER).name == found


@pytest.mark.parametrize("name", ["1", "01", "0001"])
def test_leading_zeros_of_a_version_do_not_count(name: str) -> None:
    assert find(name, refs("0001_a", "0010_b")).name == "0001_a"


def diesel(name: str) -> MigrationRef:
    return MigrationRef(name=name, version=name.split("_")[0].replace("-", ""), order=(), path=name)


@pytest.mark.parametrize(
    "name", ["2018-01-14-171611", "20180114171611", "create tables:x", "2018-01-14-171611_create tables:x"]
)
def test_dashes_of_a_version_do_not_count(name: str) -> None:
    assert find(name, [diesel("2018-01-14-171611_create tables:x"), diesel("00000000000000_setup")]).version.startswith(
        "2018"
    )


@pytest.mark.parametrize(
    ("migration", "label"),
    [
        (ref("1_a_b"), "a_b"), (ref("1"), ""), (ref("1a"), "a"), (ref("1-a"), "a"), (ref("20240101_2fa"), "2fa"),
        (ref("R__x"), "x"), (diesel("create_users"), "users"), (diesel("2024-03-13_170000_sso"), "170000_sso"),
    ],
)  # fmt: skip
def test_the_part_after_the_version(migration: MigrationRef, label: str) -> None:
    assert label_of(migration) == label


def test_an_exact_name_wins_over_a_version_and_a_version_over_a_part() -> None:
    folder = refs("1_2", "2_1", "3_3_x")

    assert find("2", folder).name == "2_1"
    assert find("1_2", folder).name == "1_2"
    assert find("3_x", folder).name == "3_3_x"


@pytest.mark.parametrize("name", ["a.sql", "a"])
def test_a_folder_name_may_end_like_a_file(name: str) -> None:
    assert find("1_a.sql", [diesel("1_a.sql"), diesel("2_b")]).name == "1_a.sql"


def test_an_entry_of_the_ledger_is_found_in_the_same_way() -> None:
    assert find("gone", [entry("1_here", 1), entry("2_gone", 2)]).position == 2


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("AddUserTabel", "20240101000000_AddUserTable"),
        ("addusertable", "20240101000000_AddUserTable"),
        ("view", "R__views"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError) as refusal:
        find(name, FOLDER)

    assert refusal.value.message == f"There is no migration {name}."
    assert refusal.value.code == "unknown_migration"
    assert refusal.value.hint == f"Did you mean {near}?"
    assert refusal.value.details["nearest"] == [near]
    assert refusal.value.exit_code == 2


def test_where_nothing_is_near_the_way_to_the_list_is_shown() -> None:
    with pytest.raises(UsageError) as refusal:
        find("zzzz", FOLDER)

    assert "bascule status" in refusal.value.hint


def test_in_an_empty_folder_the_folder_is_doubted() -> None:
    with pytest.raises(UsageError) as refusal:
        find("AddUserTable", [])

    assert "MIGRATION_DIR" in refusal.value.hint


def test_an_ambiguous_name_is_refused_with_all_that_it_may_mean() -> None:
    with pytest.raises(UsageError) as refusal:
        find("add", refs("1_add", "2_add", "3_other"))

    assert refusal.value.message == "add is ambiguous: it may mean 1_add or 2_add."
    assert refusal.value.code == "ambiguous_name"
    assert refusal.value.details["matches"] == ["1_add", "2_add"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("migrations/1_a.sql", "it is a path"),
        ("../../etc/passwd", "it is a path"),
        ("..", "it is a path"),
        ("C:\\a", "it is a path"),
        ("DROP TABLE users", "it is SQL"),
        ("x'; DROP TABLE users; --", "it is SQL"),
        ("a -- b", "it is SQL"),
        ("select 1", "it is SQL"),
        ("a\nb", "it holds characters that do not print"),
        ("a\x00", "it holds characters that do not print"),
        ("\x1b[31m", "it holds characters that do not print"),
        ("\udcff", "it holds characters that do not print"),
        ("a" * 300, "it is too long"),
    ],
)
def test_what_cannot_be_a_name_is_called_so(name: str, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        find(name, FOLDER)

    assert refusal.value.code == "not_a_name"
    assert refusal.value.message.endswith(f"is not the name of a migration: {why}.")
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 200


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)


@given(names=st.lists(_NAMES, unique=True, min_size=1, max_size=8), data=st.data())
def test_every_migration_is_found_by_its_own_name_whatever_the_others_are_called(
    names: Sequence[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(names))

    assert find(name, refs(*names)).name == name


@given(names=st.lists(_NAMES, unique=True, max_size=8), wanted=st.text(max_size=12))
def test_any_words_find_one_migration_or_are_refused(names: Sequence[str], wanted: str) -> None:
    folder = refs(*names)
    meant = Names(folder).called(wanted)
    if len(meant) == 1:
        assert find(wanted, folder) == meant[0]
        return

    with pytest.raises(UsageError) as refusal:
        find(wanted, folder)

    assert refusal.value.code in (("ambiguous_name",) if meant else ("not_a_name", "unknown_migration"))
    assert refusal.value.hint
