"""Native SQL files: where the blocks begin and end, and what is refused instead of guessed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule.domain.migration import MigrationRef
from bascule.errors import SourceError
from bascule.sources.native_sql import read_sql
from tests.unit.sources.folders import read_native


def test_the_two_blocks_are_told_apart(tmp_path: Path) -> None:
    migration = read_native(tmp_path, "-- migrate:up\nCREATE TABLE t (x int);\n-- migrate:down\nDROP TABLE t;\n")

    assert migration.up.text == "CREATE TABLE t (x int);\n"
    assert migration.up.line == 2
    assert migration.down is not None
    assert migration.down.text == "DROP TABLE t;\n"
    assert migration.down.line == 4


@pytest.mark.parametrize(
    "marker", ["-- migrate:up", "--migrate:up", "--   migrate:up", "--\tmigrate:up  ", "-- migrate:up\r"]
)
def test_a_marker_begins_in_the_first_column_with_any_space_after_the_dashes(tmp_path: Path, marker: str) -> None:
    assert read_native(tmp_path, f"{marker}\nSELECT 1;").up.text == "SELECT 1;"


@pytest.mark.parametrize(
    "line",
    [
        "-- migrate:upgrade the users",
        "-- migrate up the users",
        "--- migrates:up",
        "-- see migrate:down",
        "-- migrate:down-port",
    ],
)
def test_a_comment_that_only_resembles_a_marker_stays_a_comment(tmp_path: Path, line: str) -> None:
    migration = read_native(tmp_path, f"-- migrate:up\nSELECT 1;\n{line}\nSELECT 2;\n")

    assert migration.up.text == f"SELECT 1;\n{line}\nSELECT 2;\n"
    assert migration.down is None


@pytest.mark.parametrize(
    "line",
    [
        "-- Migrate:Down",
        "-- MIGRATE:DOWN",
        "  -- migrate:down",
        "-- migrate: down",
        "-- migrate :down",
        "--- migrate:down",
    ],
)
def test_a_line_meant_as_a_marker_that_is_none_is_refused_before_it_hides_a_way_back(tmp_path: Path, line: str) -> None:
    with pytest.raises(SourceError, match=r"1_x\.sql, line 3: .* looks like a marker but is none") as refusal:
        read_native(tmp_path, f"-- migrate:up\nCREATE TABLE t (x int);\n{line}\nDROP TABLE t;\n")

    assert refusal.value.code == "broken_marker"


@pytest.mark.parametrize(
    ("options", "transaction"),
    [("", True), (" transaction:false", False), (" transaction:true", True), ("\ttransaction:false \r", False)],
)
def test_the_surrounding_transaction_is_turned_off_for_each_direction_alone(
    tmp_path: Path, options: str, transaction: bool
) -> None:
    migration = read_native(tmp_path, f"-- migrate:up{options}\nSELECT 1;\n-- migrate:down\nSELECT 2;")

    assert migration.up.transaction is transaction
    assert migration.down is not None
    assert migration.down.transaction
    assert migration.warnings == ()


def test_an_option_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="line 1: transaction:off is not understood"):
        read_native(tmp_path, "-- migrate:up transaction:off\nSELECT 1;")


def test_an_unknown_option_is_named_in_a_warning(tmp_path: Path) -> None:
    migration = read_native(tmp_path, "-- migrate:up quickly transaction:false\nSELECT 1;")

    assert not migration.up.transaction
    assert migration.warnings == (f"{tmp_path}/1_x.sql, line 1: `quickly` is no option of a marker and has no effect.",)


def test_what_stands_before_the_first_marker_is_the_description(tmp_path: Path) -> None:
    migration = read_native(
        tmp_path,
        "\n-- Users of the shop.\n--   They log in by mail.\n\n/* Agreed with\n * the lawyers. */\n"
        "-- migrate:up\n-- not this\nSELECT 1;",
    )

    assert migration.description == "Users of the shop.\n  They log in by mail.\n\nAgreed with\nthe lawyers."


@pytest.mark.parametrize("before", ["CREATE TYPE t AS ENUM ('a');", "-- fine\nSELECT 1;\n-- fine", "/* never closed"])
def test_statements_before_the_first_marker_are_refused(tmp_path: Path, before: str) -> None:
    with pytest.raises(SourceError, match="something other than comments stands before"):
        read_native(tmp_path, f"{before}\n-- migrate:up\nSELECT 1;")


@pytest.mark.parametrize(
    ("lines", "depends"),
    [
        ("-- depends: a, b", ("a", "b")),
        ("--depends:a,b ,a", ("a", "b")),
        ("-- depends: a\n-- why\n-- depends: b\r", ("a", "b")),
        ("-- Depends: two words, x:y", ("two words", "x:y")),
        ("-- depends:", ()),
        ("-- it depends: on the weather", None),
        ("", None),
    ],
)
def test_dependencies_are_declared_in_the_leading_comment(
    tmp_path: Path, lines: str, depends: tuple[str, ...] | None
) -> None:
    migration = read_native(tmp_path, f"{lines}\n-- migrate:up\nSELECT 1;")

    assert migration.depends == depends
    assert migration.warnings == ()


def test_the_declaration_is_no_part_of_the_description(tmp_path: Path) -> None:
    assert read_native(tmp_path, "-- Users\n-- depends: a\n-- migrate:up\nSELECT 1;").description == "Users"


def test_a_declaration_below_the_marker_is_warned_of(tmp_path: Path) -> None:
    migration = read_native(tmp_path, "-- migrate:up\n-- depends: a\nSELECT 1;")

    assert migration.depends is None
    assert "line 2: `-- depends: a` has no effect below" in migration.warnings[0]


@pytest.mark.parametrize("text", ["", "\n\n", "-- later\n", "\ufeff"])
def test_a_file_with_nothing_in_it_is_refused_as_not_finished(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="is empty") as refusal:
        read_native(tmp_path, text)

    assert refusal.value.code == "no_up"
    assert refusal.value.hint


def test_a_file_without_an_up_marker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no `-- migrate:up`"):
        read_native(tmp_path, "CREATE TABLE t (x int);")


def test_a_down_before_the_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="line 1: `-- migrate:down` stands before the first"):
        read_native(tmp_path, "-- migrate:down\nDROP TABLE t;\n-- migrate:up\nCREATE TABLE t (x int);")


def test_two_downs_in_a_row_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 5: a second `-- migrate:down` \(the first is on line 3\)"):
        read_native(tmp_path, "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:down\nSELECT 3;")


@pytest.mark.parametrize("body", ["", "\n", "-- nothing\n", "/* no */ ; ;\n"])
def test_an_up_of_comments_only_is_empty(tmp_path: Path, body: str) -> None:
    migration = read_native(tmp_path, f"-- migrate:up\n{body}")

    assert migration.up.empty
    assert migration.down is None


@pytest.mark.parametrize("body", ["SELECT 1", "/* a /* b */ DROP TABLE t; -- */", "/* open", "-- x\n;SELECT 1"])
def test_what_some_database_would_run_is_not_empty(tmp_path: Path, body: str) -> None:
    assert not read_native(tmp_path, f"-- migrate:up\n{body}").up.empty


class TestTwoPairsInOneFile:
    TEXT = (
        "-- migrate:up\n\n-- migrate:down\n\n"
        "-- migrate:up\nCREATE TABLE a (x int)\n-- migrate:down\nDROP TABLE a\n"
        "-- migrate:up transaction:false\nCREATE TABLE b (x int);\n-- migrate:down\nDROP TABLE b;\n"
    )

    def test_all_up_blocks_are_run_in_order_and_a_warning_names_them(self, tmp_path: Path) -> None:
        migration = read_native(tmp_path, self.TEXT)

        assert [line for line in migration.up.text.split("\n") if line.strip(";")] == [
            "CREATE TABLE a (x int)",
            "CREATE TABLE b (x int);",
        ]
        assert not migration.up.empty
        (warning,) = migration.warnings
        assert warning.startswith(
            f"{tmp_path}/1_x.sql: 3 `-- migrate:up` blocks, on lines 1 and 5 and 9. All of them are run"
        )

    def test_each_statement_keeps_its_line(self, tmp_path: Path) -> None:
        migration = read_native(tmp_path, self.TEXT)
        assert migration.down is not None

        for script, statement, line in (
            (migration.up, "CREATE TABLE a", 6),
            (migration.up, "CREATE TABLE b", 10),
            (migration.down, "DROP TABLE a", 8),
            (migration.down, "DROP TABLE b", 12),
        ):
            assert script.line + script.text[: script.text.index(statement)].count("\n") == line

    def test_a_statement_that_its_block_leaves_open_ends_there(self, tmp_path: Path) -> None:
        up = read_native(tmp_path, self.TEXT).up

        between = up.text[up.text.index("(x int)") + 7 : up.text.index("CREATE TABLE b")]
        assert between.strip() == ";"

    def test_one_block_without_a_transaction_makes_it_none_for_all(self, tmp_path: Path) -> None:
        migration = read_native(tmp_path, self.TEXT)

        assert not migration.up.transaction
        assert migration.down is not None
        assert migration.down.transaction

    def test_a_missing_down_among_them_is_said(self, tmp_path: Path) -> None:
        migration = read_native(
            tmp_path, "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT 3;"
        )

        assert "; only 1 of them with a down block." in migration.warnings[0]


def test_a_marker_inside_a_function_body_is_a_marker_as_for_dbmate(tmp_path: Path) -> None:
    migration = read_native(tmp_path, "-- migrate:up\nDO $$\n-- migrate:down\n$$;")

    assert migration.up.text == "DO $$\n"
    assert migration.down is not None
    assert migration.down.text == "$$;"


@pytest.mark.parametrize(
    ("line", "tool"),
    [
        ("-- +goose Up", "goose"),
        ("--+GOOSE up", "goose"),
        ("-- +goose NO TRANSACTION", "goose"),
        ("-- +migrate Up notransaction", "sql-migrate"),
        ("-- Up Migration", "node-pg-migrate"),
        ("-- no-transaction", "sqlx"),
        ("-- transactional: false", "yoyo"),
    ],
)
def test_another_tools_markers_are_named_not_misread(tmp_path: Path, line: str, tool: str) -> None:
    with pytest.raises(SourceError, match=f"written for {tool}, a format that Bascule does not read yet"):
        read_native(tmp_path, f"{line}\nCREATE TABLE t (x int);\n")


class TestRepeatables:
    def test_need_no_markers(self, tmp_path: Path) -> None:
        migration = read_native(tmp_path, "-- A view\n-- depends: other\n\nCREATE VIEW v AS SELECT 1;", name="R__v.sql")

        assert migration.ref.repeatable
        assert migration.up.text.endswith("CREATE VIEW v AS SELECT 1;")
        assert migration.up.line == 1
        assert migration.down is None
        assert migration.description == "A view"
        assert migration.depends == ("other",)

    def test_a_down_block_is_never_run_and_that_is_said(self, tmp_path: Path) -> None:
        migration = read_native(tmp_path, "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;", name="R__v.sql")

        assert migration.up.text == "SELECT 1;\n"
        assert migration.down is None
        assert "line 3: the down block of a repeatable migration is never run" in migration.warnings[0]

    def test_an_empty_one_changes_nothing(self, tmp_path: Path) -> None:
        assert read_native(tmp_path, "", name="R__v.sql").up.empty


_LINES = st.sampled_from(
    [
        "-- migrate:up",
        "-- migrate:down",
        "-- migrate:up transaction:false",
        "SELECT 1;",
        "-- note",
        "",
        "CREATE TABLE t (x int)",
    ]
)


def _is_broken(lines: list[str]) -> bool:
    """No up, something before the first up, or two downs in a row."""
    markers = [line for line in lines if "migrate:" in line]
    if not any("up" in marker for marker in markers) or "down" in markers[0]:
        return True
    before = lines[: lines.index(markers[0])]
    return any(line and not line.startswith("--") for line in before) or any(
        "down" in one and "down" in other for one, other in itertools.pairwise(markers)
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(lines=st.lists(_LINES, max_size=12), end=st.sampled_from(["\n", "\r\n"]))
def test_each_statement_is_in_the_block_above_it_on_its_line_or_the_file_is_refused(lines: list[str], end: str) -> None:
    ref = MigrationRef(name="1_x", version="1", order=(1, "1_x"), path="1_x.sql")
    data = end.join(lines).encode()
    if _is_broken(lines):
        with pytest.raises(SourceError) as refusal:
            read_sql(ref, data, {})
        assert refusal.value.code in ("no_up", "broken_marker")
        return
    migration = read_sql(ref, data, {})

    wanted: dict[str, list[tuple[int, str]]] = {"up": [], "down": []}
    block = None
    for number, line in enumerate(lines, 1):
        if "migrate:" in line:
            block = "up" if "up" in line else "down"
        elif line and not line.startswith("--"):
            assert block is not None
            wanted[block].append((number, line))
    for direction, script in (("up", migration.up), ("down", migration.down)):
        found = (
            [
                (script.line + index, line.rstrip("\r"))
                for index, line in enumerate(script.text.split("\n"))
                if line.strip("\r") not in ("", ";") and not line.startswith("--")
            ]
            if script
            else []
        )
        assert found == wanted[direction]
        assert script is None or script.empty == (not wanted[direction])
