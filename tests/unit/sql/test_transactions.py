from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql import OwnTransactions, SqlSyntaxProblem, inspect, own_transactions, split


def grouped(text: str, dialect: Dialect = "postgresql") -> OwnTransactions:
    statements = split(text, dialect)
    return own_transactions(statements, [inspect(statement, dialect) for statement in statements], dialect)


def told(text: str, dialect: Dialect = "postgresql") -> list[tuple[bool, list[str]]]:
    return [(block.explicit, [s.text for s in block.statements]) for block in grouped(text, dialect).blocks]


def test_without_begin_whoever_runs_the_script_decides() -> None:
    found = grouped("select 1; select 2")
    assert found.shape == "none"
    assert told("select 1; select 2") == [(False, ["select 1", "select 2"])]
    assert grouped("").blocks[0].statements == ()


@pytest.mark.parametrize(
    "text",
    [
        "begin; select 1; select 2; commit;",
        "BEGIN WORK; select 1; select 2; END",
        "start transaction; select 1; select 2; commit and no chain",
    ],
)
def test_one_pair_around_everything_is_as_if_it_was_not_there(text: str) -> None:
    assert grouped(text).shape == "whole"
    assert told(text) == [(True, ["select 1", "select 2"])]


def test_settings_around_the_pair_do_not_change_that() -> None:
    text = "set work_mem = 1; select set_config('a.b', '', false); begin; select 1; commit; reset work_mem"
    assert grouped(text).shape == "whole"
    assert [s.text for s in grouped(text).blocks[0].statements][2:] == ["select 1", "reset work_mem"]


def test_each_insight_stays_with_its_statement() -> None:
    for block in grouped("begin; drop table a; commit; select 1; begin; drop table b; commit").blocks:
        assert [insight.kind.split()[0].lower() for insight in block.insights] == [
            statement.text.split()[0] for statement in block.statements
        ]


def test_several_pairs_and_statements_outside_are_units_of_their_own() -> None:
    text = "begin; select 1; commit; vacuum; select 2; begin; select 3; select 4; commit"
    assert grouped(text).shape == "several"
    assert told(text) == [
        (True, ["select 1"]),
        (False, ["vacuum"]),
        (False, ["select 2"]),
        (True, ["select 3", "select 4"]),
    ]


def test_foreign_keys_of_sqlite_are_switched_outside_of_the_pair() -> None:
    text = "pragma foreign_keys = off; begin; drop table a; commit; pragma foreign_keys = on"
    assert told(text, "sqlite") == [
        (False, ["pragma foreign_keys = off"]),
        (True, ["drop table a"]),
        (False, ["pragma foreign_keys = on"]),
    ]


def test_a_mode_that_sqlite_alone_knows_is_kept() -> None:
    assert grouped("begin immediate transaction; select 1; commit", "sqlite").blocks[0].modes == "immediate"


@pytest.mark.parametrize(
    ("begin", "level"),
    [
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "SERIALIZABLE"),
        ("begin isolation level repeatable read", "REPEATABLE READ"),
        ("begin work not deferrable isolation level read committed", "READ COMMITTED"),
    ],
)
def test_an_isolation_level_becomes_the_first_statement_of_its_transaction(begin: str, level: str) -> None:
    setting = f"SET TRANSACTION ISOLATION LEVEL {level}"
    assert told(f"{begin}; select 1; commit") == [(True, [setting, "select 1"])]
    assert told(f"set work_mem = 1; {begin}; select 1; commit") == [(True, [setting, "set work_mem = 1", "select 1"])]
    assert told(f"vacuum; {begin}; select 1; commit")[1] == (True, [setting, "select 1"])


@pytest.mark.parametrize("mode", ["READ WRITE", "DEFERRABLE", "NOT DEFERRABLE"])
def test_a_mode_that_every_migration_has_adds_nothing(mode: str) -> None:
    assert told(f"begin {mode}; select 1; commit") == [(True, ["select 1"])]


@pytest.mark.parametrize(
    "text",
    [
        "select 1;\nbegin isolation level serializable, read only;\nselect 1;\ncommit",
        "select 1;\nset transaction read only",
        "select 1;\nset session characteristics as transaction read only",
    ],
)
def test_a_transaction_that_could_not_hold_its_own_record_is_refused(text: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match=r"^line 2: in a READ ONLY transaction"):
        grouped(text)


@pytest.mark.parametrize(
    "setting",
    [
        "SET standard_conforming_strings = off",
        "set local Standard_Conforming_Strings to 'off'",
        'SET SESSION "standard_conforming_strings" TO false',
        "ALTER DATABASE d SET standard_conforming_strings = off",
        "ALTER ROLE r IN DATABASE d SET standard_conforming_strings TO 'off'",
        "ALTER SYSTEM SET standard_conforming_strings = off",
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)",
        "SELECT set_config('standard_conforming_strings', lower('OFF'), false)",
    ],
)
def test_a_setting_that_would_move_the_ends_of_statements_is_refused_with_its_line(setting: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match=r"^line 2: with standard_conforming_strings off"):
        grouped(f"select 1;\n{setting};\nselect 2")


@pytest.mark.parametrize(
    "text",
    [
        "SET standard_conforming_strings = on",
        "SET standard_conforming_strings TO DEFAULT",
        "RESET standard_conforming_strings",
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'on', false)",
        "SELECT current_setting('standard_conforming_strings'), 'set_config'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'",
        "ALTER FUNCTION f() SET standard_conforming_strings = off",
        "SET transaction_read_only = off",
        "UPDATE t SET standard_conforming_strings = 'off'",
    ],
)
def test_settings_that_change_nothing_for_the_script_are_let_through(text: str) -> None:
    assert grouped(text).shape == "none"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("begin;\nselect 1;\nrollback", 3, "ROLLBACK would undo"),
        ("select 1;\nabort", 2, "ROLLBACK would undo"),
        ("select 1;\ncommit", 2, "without BEGIN"),
        ("begin;\ncommit;\nend", 3, "without BEGIN"),
        ("select 1;\nbegin;\nselect 2", 2, "no COMMIT"),
        ("begin;\nbegin;\ncommit", 2, "begun on line 1"),
        ("begin;\ncommit and chain;\ncommit", 2, "AND CHAIN"),
        ("begin;\nprepare transaction 'x'", 2, "PREPARE TRANSACTION"),
        ("begin;\nvacuum;\ncommit", 2, "VACUUM cannot run inside the transaction begun on line 1"),
        ("begin;\ncreate index concurrently i on t (a);\ncommit", 2, "CREATE INDEX CONCURRENTLY"),
        ("begin;\ncommit;\nsavepoint a;\nbegin;\ncommit", 3, "outside"),
        ("release a", 1, "no savepoint"),
        ("savepoint a;\nrollback to b", 2, "no savepoint"),
        ("begin;\nsavepoint a;\nrelease a;\nrelease a;\ncommit", 4, "no savepoint"),
        ("savepoint a;\nsavepoint b;\nrelease a;\nrollback to b", 4, "no savepoint"),
        ('savepoint a;\nrelease "A"', 2, "no savepoint"),
    ],
)
def test_what_would_end_or_leave_the_transaction_is_refused_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match=what) as caught:
        grouped(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "savepoint a; select 1; release a",
        "savepoint a; rollback to a; rollback work to savepoint a; release savepoint a",
        'savepoint "a"; release A',
        "savepoint a; savepoint a; release a; release a",
        "savepoint left_open; select 1",
    ],
)
def test_balanced_savepoints_are_left_as_they_are(text: str) -> None:
    inside = grouped(f"begin; {text}; commit")
    assert inside.shape == "whole"
    assert [s.text for s in inside.blocks[0].statements] == [s.text for s in split(text, "postgresql")]
    assert grouped(text).shape == "none"


scripts = st.lists(st.sampled_from(["begin", "commit", "select 1", "set a.b = 1", "vacuum"]), max_size=8)


@given(scripts)
def test_no_statement_but_the_pairs_is_lost_and_none_of_the_pairs_is_left(words: list[str]) -> None:
    text = ";".join(words)
    try:
        found = grouped(text)
    except SqlSyntaxProblem:
        return
    kept = [s.text for block in found.blocks for s in block.statements]
    assert kept == [word for word in words if word not in ("begin", "commit")]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("select 1;\nattach 'y.db' as y;\ncreate table y.z (i)", 2, "ATTACH"),
        ("ATTACH DATABASE 'y.db' AS y", 1, "ATTACH"),
        ("begin;\nattach 'y.db' as y;\ncommit", 2, "ATTACH"),
        ("select 1;\n\ndetach y", 3, "DETACH"),
    ],
)
def test_another_sqlite_file_cannot_be_attached(text: str, line: int, word: str) -> None:
    with pytest.raises(SqlSyntaxProblem, match=f"^line {line}: {word} .* works on one database file"):
        grouped(text, "sqlite")


def test_a_table_called_attach_is_none_of_that() -> None:
    assert grouped('create table attach (detach int); insert into "attach" values (1)', "sqlite").shape == "none"
