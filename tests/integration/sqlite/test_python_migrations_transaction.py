"""Python migrations inside a transaction of ours, on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.operations import AuthorFunction, author_line, run_in_transaction
from bascule.domain.statement import Statement
from bascule.errors import MigrationFailed
from tests.unit.operations.authors import function, up


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as opened:
        yield opened


def run(connection: sqlite3.Connection, work: AuthorFunction, **options: Any) -> None:
    connection.execute("BEGIN IMMEDIATE")
    run_in_transaction(work, connection, dialect="sqlite", **options)
    assert connection.in_transaction


def apply(connection: sqlite3.Connection, *several: AuthorFunction) -> None:
    for work in several:
        run(connection, work)
        connection.execute("COMMIT")


def schema(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return {name: " ".join(sql.split()) for name, sql in rows}


def add_people(connection: sqlite3.Connection) -> None:
    connection.executemany(
        "INSERT INTO accounts (id, email, full_name) VALUES (?, ?, ?)",
        [(1, "Ada@x.org", "Ada Lovelace"), (2, "plato@x.org", "Plato"), (3, "m@x.org", "Maria de la Cruz")],
    )


def test_what_the_function_made_is_there_after_the_callers_commit(connection: sqlite3.Connection) -> None:
    apply(connection, function("create_accounts"))
    assert set(schema(connection)) == {"accounts", "accounts_by_email"}


def test_nothing_is_left_after_the_callers_rollback(connection: sqlite3.Connection) -> None:
    run(connection, function("create_accounts"))
    connection.execute("ROLLBACK")
    assert schema(connection) == {}


def test_up_and_down_of_a_migration_that_reads_rows(connection: sqlite3.Connection) -> None:
    apply(connection, function("create_accounts"))
    add_people(connection)
    before = schema(connection)
    apply(connection, function("split_names"))
    rows = connection.execute("SELECT given, family FROM accounts ORDER BY id").fetchall()
    assert rows == [("Ada", "Lovelace"), ("Plato", None), ("Maria", "de la Cruz")]
    apply(connection, function("split_names", "down"))
    assert connection.execute("SELECT full_name FROM accounts ORDER BY id").fetchall() == [
        ("Ada Lovelace",),
        ("Plato",),
        ("Maria de la Cruz",),
    ]
    assert set(schema(connection)) == set(before)


def test_every_statement_is_told_before_it_is_sent_with_its_line(connection: sqlite3.Connection) -> None:
    told: list[Statement] = []
    run(connection, function("create_accounts"), on_statement=told.append)
    assert [(statement.index, statement.line, statement.text.split()[0:2]) for statement in told] == [
        (0, 11, ["CREATE", "TABLE"]),
        (1, 17, ["CREATE", "UNIQUE"]),
    ]


def test_texts_go_as_written(connection: sqlite3.Connection) -> None:
    work = up("""
        op.execute('''
            CREATE TABLE t (a TEXT);
            INSERT INTO t VALUES ('{"a":1} 100% ? :x'), ('12:30');
            CREATE TRIGGER tr AFTER DELETE ON t BEGIN SELECT 1; SELECT 2; END;
        ''')
        op.execute("INSERT INTO t VALUES ('\\\\:escaped')")
        op.backfill("t", {"a": f"a || {op.literal(';é')}"}, where="a LIKE '%:%' AND a <> ':y'")
    """)
    apply(connection, work)
    assert connection.execute("SELECT a FROM t").fetchall() == [('{"a":1} 100% ? :x;é',), ("12:30;é",), (":escaped;é",)]


def test_a_savepoint_may_be_taken_back(connection: sqlite3.Connection) -> None:
    work = up("""
        op.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        connection = op.get_bind()
        for value in (1, 1, 2):
            try:
                with connection.begin_nested():
                    connection.execute(sa.text("INSERT INTO t VALUES (:a)"), {"a": value})
            except sa.exc.IntegrityError:
                pass
    """)
    apply(connection, work)
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]


ENDINGS = {
    "op.get_bind().commit()": "COMMIT",
    "op.get_bind().rollback()": "ROLLBACK",
    "op.get_bind().connection.commit()": "COMMIT",
    "op.get_bind().connection.dbapi_connection.rollback()": "ROLLBACK",
    "op.execute('COMMIT')": "COMMIT",
    "op.execute('INSERT INTO t VALUES (2); COMMIT; BEGIN')": "COMMIT",
    "op.get_bind().execute(sa.text('-- so\\nEND'))": "END",
    "op.get_bind().exec_driver_sql('ROLLBACK')": "ROLLBACK",
    "s = Session(op.get_bind()); s.execute(sa.text('SELECT 1')); s.rollback()": "ROLLBACK",
}


@pytest.mark.parametrize("sql", ["ATTACH 'y.db' AS y", "SELECT 1; -- so\n detach y"])
def test_another_file_cannot_be_attached(connection: sqlite3.Connection, sql: str) -> None:
    with pytest.raises(MigrationFailed, match="works on one database file") as caught:
        run(connection, up(f"op.execute({sql!r})"))
    assert (caught.value.code, caught.value.state) == ("refused_statement", "unchanged")
    connection.execute("ROLLBACK")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_author_cannot_end_the_transaction(connection: sqlite3.Connection, ending: str) -> None:
    connection.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(MigrationFailed, match=rf"tried to end its transaction \({ENDINGS[ending]}\)") as caught:
        run(connection, up(f"from sqlalchemy.orm import Session\nop.execute('INSERT INTO t VALUES (1)')\n{ending}"))
    assert (caught.value.code, caught.value.state) == ("transaction_control", "unchanged")
    assert "transactional = False" in caught.value.hint
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT * FROM t").fetchall() == []


def test_a_refused_commit_that_was_swallowed_has_committed_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER)")
    swallowing = "try:\n    op.get_bind().commit()\nexcept Exception:\n    pass"
    run(connection, up(f"op.execute('INSERT INTO t VALUES (1)')\n{swallowing}"))
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT * FROM t").fetchall() == []


def test_a_session_of_the_orm_works_and_its_commit_keeps_the_transaction(connection: sqlite3.Connection) -> None:
    work = up("""
        from sqlalchemy.orm import Session
        op.execute("CREATE TABLE t (a INTEGER)")
        session = Session(op.get_bind())
        session.execute(sa.text("INSERT INTO t VALUES (7)"))
        session.commit()
    """)
    run(connection, work)
    assert connection.execute("SELECT a FROM t").fetchall() == [(7,)]
    connection.execute("ROLLBACK")
    assert schema(connection) == {}


def test_a_transaction_ended_behind_our_back_is_noticed(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        run(connection, up("op.execute('INSERT OR ROLLBACK INTO t VALUES (1)')"))
    work = up("try:\n    op.execute('INSERT OR ROLLBACK INTO t VALUES (1)')\nexcept Exception:\n    pass")
    with pytest.raises(MigrationFailed, match="ended its own transaction") as caught:
        run(connection, work)
    assert caught.value.state == "unknown"


def test_an_autocommit_block_is_refused_with_the_way_out(connection: sqlite3.Connection) -> None:
    with pytest.raises(MigrationFailed, match="autocommit_block") as caught:
        run(connection, up("with op.get_context().autocommit_block():\n    op.execute('VACUUM')"))
    assert "transactional = False" in caught.value.hint


def test_a_pragma_that_would_do_nothing_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(MigrationFailed, match="PRAGMA foreign_keys does nothing inside a transaction"):
        run(connection, up("op.execute('PRAGMA foreign_keys = OFF')"))


def test_a_second_connection_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(MigrationFailed, match="second connection") as caught:
        run(connection, up("op.get_bind().engine.connect()"))
    assert "op.get_bind()" in caught.value.hint


def test_the_drivers_error_comes_out_as_the_driver_raised_it(connection: sqlite3.Connection) -> None:
    work = up("op.execute('CREATE TABLE t (a)')\nop.execute('INSERT INTO u VALUES (1)')")
    with pytest.raises(sqlite3.OperationalError, match="no such table: u") as caught:
        run(connection, work)
    assert author_line(caught.value, work.path) == 5
    assert caught.value.__notes__ == ["in up(op) of 0001_test.py: INSERT INTO u VALUES (1)"]


def test_values_of_rows_are_in_no_error(connection: sqlite3.Connection) -> None:
    work = up("op.get_bind().execute(sa.text('INSERT INTO u VALUES (:a)'), {'a': 'hunter2'})")
    with pytest.raises(sqlite3.OperationalError) as caught:
        run(connection, work)
    assert "hunter2" not in f"{caught.value} {caught.value.__notes__}"


def test_the_authors_own_error_is_named_with_its_line(connection: sqlite3.Connection) -> None:
    with pytest.raises(MigrationFailed, match=r"line 5: up\(op\) raised KeyError: 'x'") as caught:
        run(connection, up("op.execute('CREATE TABLE t (a)')\n{}['x']"))
    assert caught.value.state == "unchanged"


def test_an_alter_that_sqlite_lacks_is_answered_with_the_batch(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(MigrationFailed) as caught:
        run(connection, up("op.create_check_constraint('positive', 't', 'a > 0')"))
    assert "batch_alter_table" in caught.value.hint


def test_what_the_listener_raises_stops_a_function_that_catches_everything(connection: sqlite3.Connection) -> None:
    class Stop(Exception):
        pass

    told: list[str] = []

    def listen(statement: Statement) -> None:
        told.append(statement.text)
        raise Stop

    work = up("""
        for number in range(3):
            try:
                op.execute(f"CREATE TABLE t{number} (a)")
            except Exception:
                pass
    """)
    with pytest.raises(Stop):
        run(connection, work, on_statement=listen)
    assert told == ["CREATE TABLE t0 (a)"]
    connection.execute("ROLLBACK")


def test_a_table_that_others_refer_to_is_not_replaced_while_foreign_keys_are_enforced(
    connection: sqlite3.Connection,
) -> None:
    connection.executescript("""
        PRAGMA foreign_keys = ON;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, a TEXT);
        CREATE TABLE child (parent INTEGER REFERENCES Parent ON DELETE CASCADE);
        INSERT INTO parent VALUES (1, 'x');
        INSERT INTO child VALUES (1);
    """)
    drop_column = "with op.batch_alter_table('{}') as table:\n    table.drop_column('{}')"
    with pytest.raises(MigrationFailed, match="rows of child that refer to it") as caught:
        run(connection, up(drop_column.format("parent", "a")))
    assert "foreign keys off" in caught.value.hint
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (1,)
    connection.execute("PRAGMA foreign_keys = OFF")
    apply(connection, up(drop_column.format("parent", "a")))
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (1,)


def test_the_connection_is_given_back_as_it_was(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    reading = "assert op.get_bind().execute(sa.text('SELECT 1')).all() == [(1,)]"
    apply(connection, up(f"op.execute('CREATE TABLE t (a)')\n{reading}"))
    assert connection.execute("SELECT 1 AS one").fetchone()["one"] == 1
    assert connection.isolation_level is None
    assert not connection.in_transaction
    apply(connection, up("op.drop_table('t')"))
    assert schema(connection) == {}
