"""What the first words of a statement tell."""

from __future__ import annotations

import pytest

from bascule.databases.operations.control import (
    ends_transaction,
    ignored_inside_transaction,
    only_reads,
    transaction_command,
)

ENDINGS = (
    "COMMIT",
    "/* so */ commit work",
    "END",
    "rollback",
    "ROLLBACK AND CHAIN",
    "ABORT",
    "BEGIN",
    "START TRANSACTION",
    "PREPARE TRANSACTION 'x'",
)

SAVEPOINTS = ("SAVEPOINT a", "RELEASE a", "RELEASE SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK WORK TO SAVEPOINT a")


@pytest.mark.parametrize("sql", ENDINGS)
def test_a_command_that_would_end_the_transaction_is_seen(sql: str) -> None:
    assert ends_transaction(sql, "postgresql")
    assert transaction_command(sql, "postgresql")


@pytest.mark.parametrize("sql", SAVEPOINTS)
def test_a_savepoint_does_not_end_the_transaction(sql: str) -> None:
    assert ends_transaction(sql, "postgresql") is None
    assert transaction_command(sql, "postgresql")


@pytest.mark.parametrize("sql", ["SELECT 'COMMIT'", "UPDATE t SET a = 1 -- commit", "PREPARE q AS SELECT 1", ""])
def test_other_statements_are_no_transaction_commands(sql: str) -> None:
    assert ends_transaction(sql, "postgresql") is None
    assert transaction_command(sql, "postgresql") is None


@pytest.mark.parametrize("sql", ["PRAGMA foreign_keys = OFF", "pragma main.journal_mode(wal)"])
def test_a_pragma_that_sqlite_ignores_inside_a_transaction_is_seen(sql: str) -> None:
    assert ignored_inside_transaction(sql, "sqlite")


@pytest.mark.parametrize("sql", ["PRAGMA foreign_keys", "PRAGMA user_version = 3", "SELECT foreign_keys = 1 FROM t"])
def test_pragmas_that_work_inside_a_transaction_are_left_alone(sql: str) -> None:
    assert ignored_inside_transaction(sql, "sqlite") is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "-- all\n(SELECT 1 UNION SELECT 2)",
        "WITH t AS (SELECT 'delete' AS x) SELECT * FROM t",
        "VALUES (1)",
        "TABLE users",
        "SHOW server_version",
        "EXPLAIN UPDATE t SET a = 1",
        "PRAGMA foreign_keys",
        'PRAGMA main.table_info("users")',
    ],
)
def test_a_query_only_reads(sql: str) -> None:
    assert only_reads(sql, "sqlite" if "PRAGMA" in sql else "postgresql")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * INTO copy FROM users",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "EXPLAIN ANALYZE UPDATE t SET a = 1",
        "INSERT INTO t SELECT 1",
        "PRAGMA foreign_keys = ON",
        "PRAGMA user_version(3)",
        "DO $$ BEGIN END $$",
        "",
    ],
)
def test_everything_else_may_write(sql: str) -> None:
    assert not only_reads(sql, "sqlite" if "PRAGMA" in sql else "postgresql")
