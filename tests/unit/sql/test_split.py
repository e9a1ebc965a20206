from __future__ import annotations

import sqlite3

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql import SqlSyntaxProblem, split
from tests.unit.sql.corpus import HARD, one

SEPARATORS = (";", ";\n", "\n;\n", "; -- done\n", ";\r\n", ";;\n", "; /* ; */ ", ";\n-- ;\n\n", "\n-- end;\n;")

SQLITE = (
    "CREATE TABLE [a;b] (`c;d` TEXT DEFAULT ';')",
    "CREATE TRIGGER t AFTER INSERT ON x BEGIN UPDATE y SET a = CASE WHEN 1 THEN 2 END; DELETE FROM z; END",
    "create temp trigger if not exists t before delete on x begin select 1; end",
    "explain query plan create trigger t after insert on x begin select 1; end",
    "INSERT INTO t VALUES (x'3b', ';', \";\")",
    "BEGIN IMMEDIATE",
    "END",
    "SELECT (1 /* ; */) -- ;\n + 2",
    "CREATE VIEW trigger_view AS SELECT 1",
)


def texts(text: str, dialect: Dialect = "postgresql") -> list[str]:
    return [statement.text for statement in split(text, dialect)]


@given(picked=st.lists(st.tuples(st.sampled_from(HARD), st.sampled_from(SEPARATORS)), max_size=6))
def test_splitting_what_was_joined_gives_the_statements_back(picked: list[tuple[str, str]]) -> None:
    # A trailing comment is no part of a statement.
    expected = [statement.removesuffix(" -- and; this") for statement, _ in picked]
    joined = "".join(
        statement + ("\n" if statement.endswith("this") else "") + separator for statement, separator in picked
    )
    assert texts(joined) == expected


@given(picked=st.lists(st.tuples(st.sampled_from(SQLITE), st.sampled_from(SEPARATORS)), max_size=6))
def test_splitting_what_was_joined_gives_the_statements_back_on_sqlite(picked: list[tuple[str, str]]) -> None:
    joined = "".join(statement + separator for statement, separator in picked)
    assert texts(joined, "sqlite") == [statement for statement, _ in picked]


@given(st.lists(st.sampled_from(HARD), min_size=1, max_size=5))
def test_boundaries_are_those_of_postgresqls_own_grammar(picked: list[str]) -> None:
    script = "\n;\n".join(picked)
    theirs = postgast.split(script, method="parser")
    # The grammar counts the comments before and behind a statement to it.
    assert [one(statement).text for statement in theirs] == texts(script)


PLAIN_PIECES = [
    "create",
    "t",
    "x1",
    "1.5",
    ".",
    "(",
    ")",
    ";",
    " ",
    "\n",
    "\t",
    "\v",
    "=",
    ":",
    "@a",
    "é",
    "-",
    "/",
    "*",
]


@given(pieces=st.lists(st.sampled_from(PLAIN_PIECES), max_size=20), dialect=st.sampled_from(("postgresql", "sqlite")))
def test_a_text_without_quotes_and_comments_is_split_like_any_other(pieces: list[str], dialect: Dialect) -> None:
    text = "".join(pieces)

    def split_or_problem(script: str) -> object:
        try:
            return split(script, dialect, first_line=3)
        except SqlSyntaxProblem as problem:
            return problem.message, problem.line

    # A comment behind it all changes nothing, but that the text is not a plain one any more.
    assert split_or_problem(text) == split_or_problem(text + "\n-- end")


TRIGGER_WORDS = ["create", "temp", "trigger", "begin", "end", "case", "x", ";", ";", "\n", "(", ")", "--;\n", "';'"]
words_of_triggers = st.lists(st.sampled_from(TRIGGER_WORDS), max_size=14).map(" ".join)


@given(text=words_of_triggers)
def test_statements_end_on_sqlite_where_sqlite_says(text: str) -> None:
    statements = split(text, "sqlite")
    for statement in statements[:-1]:
        assert sqlite3.complete_statement(statement.text + ";")
    ends = [statement.offset + len(statement.text) for statement in statements[:-1]]
    # No earlier semicolon would have completed the statement.
    for statement, end in zip(statements, ends, strict=False):
        inner = text[statement.offset : end]
        assert not any(sqlite3.complete_statement(inner[: at + 1]) for at, char in enumerate(inner) if char == ";")


def test_place_and_line_of_each_statement() -> None:
    text = "-- head\n\nselect 1;\n/* two\n */ select\n 2 ; select 3"
    statements = split(text, "postgresql", first_line=10)
    assert [(s.index, s.line, s.text) for s in statements] == [
        (0, 12, "select 1"),
        (1, 14, "select\n 2"),
        (2, 15, "select 3"),
    ]
    assert all(text[s.offset :].startswith(s.text) for s in statements)


@pytest.mark.parametrize("text", ["", " \n\t", "-- only a comment", "/* a */ ; ;; -- b\n", "\ufeff", "\r\n;\r\n"])
@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_nothing_but_comments_and_semicolons_is_no_statement(text: str, dialect: Dialect) -> None:
    assert split(text, dialect) == ()


def test_line_ends_of_windows_and_a_byte_order_mark() -> None:
    statements = split("\ufeff-- x\r\nselect 1;\r\nselect\r\n2\r\n", "postgresql")
    assert [(s.line, s.text) for s in statements] == [(2, "select 1"), (3, "select\r\n2")]


def test_repeatable_is_declared_above_a_statement() -> None:
    text = "select 0; -- bascule: repeatable\nselect 1;\n\n--  Bascule: Repeatable \r\n-- why\nselect 2; select 3;"
    assert [s.repeatable for s in split(text, "postgresql")] == [False, False, True, False]


def test_repeatable_at_the_top_of_the_file() -> None:
    assert one("-- bascule: repeatable\nvacuum").repeatable
    assert not one("-- bascule: repeatable once\nvacuum").repeatable
    assert not one("select '-- bascule: repeatable'").repeatable


def test_rows_of_copy_are_kept_exactly() -> None:
    text = "copy t (a, b) from stdin;\n1\t'x;\n\\\\.\n--\t$$\n\\.\nselect 1;"
    copy, select = split(text, "postgresql")
    assert copy.text == "copy t (a, b) from stdin"
    assert copy.copy_data == "1\t'x;\n\\\\.\n--\t$$\n"
    assert (select.text, select.line, select.copy_data) == ("select 1", 6, None)


def test_rows_of_copy_may_end_with_the_text() -> None:
    assert one('COPY "from" FROM STDIN WITH (FORMAT csv); -- rows\r\n1,2\r\n').copy_data == "1,2\r\n"
    assert one("copy t from stdin").copy_data == ""
    assert one("copy t from stdin;\n\\.").copy_data == ""


def test_other_copies_have_no_rows() -> None:
    assert one("copy t from 'stdin'").copy_data is None
    assert one("copy (select a from stdin) to stdout").copy_data is None


def test_rows_of_copy_on_the_line_of_the_statement_are_refused() -> None:
    with pytest.raises(SqlSyntaxProblem, match="line after the statement"):
        split("copy t from stdin; 1\n\\.\n", "postgresql")


@pytest.mark.parametrize("command", ["\\connect other", "\\i file.sql", "\\set x 1", "select 1 \\gset"])
def test_commands_of_psql_are_refused_by_name(command: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match="psql") as caught:
        split(f"select 1;\n{command}\n", "postgresql", first_line=5)
    assert caught.value.line == 6
    assert f"\\{command.partition(chr(92))[2].split()[0]}" in caught.value.message


def test_the_end_of_rows_without_a_copy_is_refused() -> None:
    with pytest.raises(SqlSyntaxProblem, match="none stands before it"):
        split("insert into t values (1);\n\\.\n", "postgresql")


def test_commands_of_the_sqlite_shell_are_refused() -> None:
    with pytest.raises(SqlSyntaxProblem, match="sqlite3 shell") as caught:
        split("select 1;\n.read other.sql\n", "sqlite")
    assert caught.value.line == 2


def test_a_problem_names_the_line_of_the_file() -> None:
    with pytest.raises(SqlSyntaxProblem) as caught:
        split("select 1;\nselect 'x", "postgresql", first_line=30)
    assert (caught.value.line, caught.value.offset, str(caught.value)[:8]) == (31, 17, "line 31:")


def test_an_open_parenthesis_does_not_swallow_a_sqlite_file() -> None:
    assert texts("select (1; select 2", "sqlite") == ["select (1", "select 2"]


def test_a_parenthesis_too_many_swallows_nothing() -> None:
    assert texts("select 1); select (2;3)") == ["select 1)", "select (2;3)"]


def test_a_literal_of_a_quarter_megabyte_is_one_statement() -> None:
    literal = "'" + "a;''\n--$$" * 30_000 + "'"
    assert texts(f"insert into t values ({literal}); select 1") == [f"insert into t values ({literal})", "select 1"]
