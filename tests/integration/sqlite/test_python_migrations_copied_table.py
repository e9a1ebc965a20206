"""op.batch_alter_table on SQLite copies a table and replaces it: nothing that belonged to it is lost in silence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from bascule.databases.operations import run_in_transaction
from bascule.databases.operations.copied_table import lost_clauses
from bascule.errors import MigrationFailed
from tests.unit.operations.authors import up

TABLE = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, price INTEGER, old TEXT);
    CREATE INDEX by_price ON orders (price);
    CREATE INDEX by_note ON orders (lower(note)) WHERE price > 0;
    CREATE TABLE log (what TEXT);
    CREATE TRIGGER orders_log AFTER UPDATE OF price ON orders BEGIN
        INSERT INTO log VALUES (old.price || ';' || new.price);
    END;
    INSERT INTO orders VALUES (1, 'a', 5, 'x');
"""
DROP_OLD = "with op.batch_alter_table('orders') as table:\n    table.drop_column('old')"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        yield opened


def run(connection: sqlite3.Connection, body: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    run_in_transaction(up(body), connection, dialect="sqlite")
    connection.execute("COMMIT")


def attached(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'orders' AND type <> 'table'"))


def test_triggers_and_indexes_over_expressions_are_there_as_before(connection: sqlite3.Connection) -> None:
    connection.executescript(TABLE)
    before = attached(connection)
    run(connection, DROP_OLD)
    assert attached(connection) == before
    connection.execute("UPDATE orders SET price = 6")
    assert connection.execute("SELECT what FROM log").fetchall() == [("5;6",)]


def test_a_column_that_only_gets_longer_is_copied_the_same_way(connection: sqlite3.Connection) -> None:
    connection.executescript(TABLE)
    before = attached(connection)
    run(connection, "with op.batch_alter_table('orders') as table:\n    table.alter_column('old', nullable=False)")
    assert attached(connection) == before


@pytest.mark.parametrize(
    ("column", "what"), [("price", "index by_note.*no such column: price"), ("note", "index by_note.*no such column")]
)
def test_an_index_that_does_not_fit_any_more_is_named(connection: sqlite3.Connection, column: str, what: str) -> None:
    connection.executescript(TABLE)
    connection.execute("DROP TRIGGER orders_log")
    connection.execute("DROP INDEX by_price")
    with pytest.raises(MigrationFailed, match=what) as caught:
        run(connection, f"with op.batch_alter_table('orders') as table:\n    table.drop_column('{column}')")
    assert caught.value.hint.startswith("Drop the index before batch_alter_table")
    assert connection.in_transaction


def test_a_trigger_that_would_fail_when_it_fires_is_named_now(connection: sqlite3.Connection) -> None:
    connection.executescript(TABLE)
    connection.executescript("DROP INDEX by_note; DROP INDEX by_price")
    words = r"drops its trigger, .*: error in trigger orders_log: no such column: old\.price"
    with pytest.raises(MigrationFailed, match=words):
        run(connection, "with op.batch_alter_table('orders') as table:\n    table.drop_column('price')")


@pytest.mark.parametrize(
    ("definition", "clause"),
    [
        ("(id INTEGER PRIMARY KEY, a INTEGER CHECK (a > 0), old TEXT)", "CHECK"),
        ("(id INTEGER PRIMARY KEY AUTOINCREMENT, old TEXT)", "AUTOINCREMENT"),
        ("(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, old TEXT)", "COLLATE"),
    ],
)
def test_a_clause_that_would_be_lost_is_refused(connection: sqlite3.Connection, definition: str, clause: str) -> None:
    connection.execute(f"CREATE TABLE orders {definition}")
    with pytest.raises(MigrationFailed, match=rf"Copying orders would lose .*: {clause}\."):
        run(connection, DROP_OLD)


def test_a_check_that_has_a_name_is_kept_or_refused(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, a INTEGER, old TEXT, CONSTRAINT c CHECK (a > 0))")
    try:
        run(connection, DROP_OLD)
    except MigrationFailed as refused:
        # By versions of SQLAlchemy that cannot read it.
        assert "would lose" in refused.message  # noqa: PT017
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO orders (a) VALUES (-1)")


def test_a_clause_may_go_with_its_column(connection: sqlite3.Connection) -> None:
    connection.execute('CREATE TABLE orders (id INTEGER PRIMARY KEY, "Old" TEXT COLLATE NOCASE CHECK ("Old" <> \'\'))')
    run(connection, "with op.batch_alter_table('orders') as table:\n    table.drop_column('Old')")
    assert [row[1] for row in connection.execute("PRAGMA table_info(orders)")] == ["id"]


def test_a_clause_may_be_given_again(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, a INTEGER CHECK (a > 0), old TEXT)")
    given = "table_args=[sa.CheckConstraint('a > 0')]"
    run(connection, f"with op.batch_alter_table('orders', {given}) as table:\n    table.drop_column('old')")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO orders (a) VALUES (-1)")


def test_what_the_author_gave_as_the_whole_table_is_taken_at_its_word(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, a INTEGER CHECK (a > 0), old TEXT)")
    columns = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.Integer), sa.Column('old', sa.Text)"
    given = f"copy_from=sa.Table('orders', sa.MetaData(), {columns})"
    run(connection, f"with op.batch_alter_table('orders', {given}) as table:\n    table.drop_column('old')")
    connection.execute("INSERT INTO orders (a) VALUES (-1)")


def test_a_word_inside_a_string_or_a_quoted_name_is_no_clause() -> None:
    before = "CREATE TABLE t (a TEXT DEFAULT 'CHECK', \"check\" TEXT, b INT DEFAULT (1 + (2)), PRIMARY KEY (a)) STRICT"
    assert lost_clauses(before, "CREATE TABLE t (a, b) STRICT") == ()
    assert lost_clauses(before, "CREATE TABLE t (a, b)") == ("STRICT",)
    assert lost_clauses("CREATE TABLE [t x] (a PRIMARY KEY) WITHOUT ROWID", "CREATE TABLE [t x] (a)") == (
        "WITHOUT ROWID",
    )
