"""Python migrations without a transaction, on SQLite: each statement is a step, and a crash resumes between them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.operations import AuthorFunction, run_stepwise
from bascule.errors import MigrationFailed
from tests.unit.operations.authors import function, up
from tests.unit.operations.steps import Died, Edited, Engine

Run = Callable[..., Engine]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as opened:
        yield opened


@pytest.fixture
def run(connection: sqlite3.Connection, tmp_path: Path) -> Run:
    def run(work: AuthorFunction, engine: Engine | None = None, **options: Any) -> Engine:
        engine = engine or Engine(perform=lambda sql: connection.execute(sql).rowcount)
        run_stepwise(
            work,
            dialect="sqlite",
            server_version=3_040_000,
            execute=engine.execute,
            connect=lambda: sqlite3.connect(f"file:{tmp_path / 'app.db'}?mode=ro", uri=True, isolation_level=None),
            **{"batches": engine} | options,
        )
        return engine

    return run


def crashing(connection: sqlite3.Connection, dies_before: int, marks: dict[int, tuple[str, str]]) -> Engine:
    return Engine(perform=lambda sql: connection.execute(sql).rowcount, dies_before=dies_before, marks=marks)


def test_each_statement_is_a_step_in_order(run: Run, connection: sqlite3.Connection) -> None:
    engine = run(function("create_accounts"))
    assert [(step.index, step.line, step.text[:6]) for step in engine.sent] == [(0, 11, "CREATE"), (1, 17, "CREATE")]
    assert not any(step.text != step.text.strip() for step in engine.sent)


def test_another_file_cannot_be_attached(run: Run, connection: sqlite3.Connection) -> None:
    with pytest.raises(MigrationFailed, match="works on one database file") as caught:
        run(up("op.execute('CREATE TABLE t (a)')\nop.execute(\"ATTACH 'y.db' AS y\")"))
    assert (caught.value.code, caught.value.state) == ("refused_statement", "changed")
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",)]


def test_a_run_that_died_anywhere_is_finished_by_the_next_and_does_nothing_twice(
    run: Run, connection: sqlite3.Connection
) -> None:
    work = up("""
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
        op.bulk_insert(sa.table("t", sa.column("id"), sa.column("n")), [{"id": i, "n": 0} for i in range(25)])
        op.backfill("t", {"n": "n + 1"}, batch=10)
        op.execute("UPDATE t SET n = n * 3; CREATE INDEX i ON t (n)")
        op.get_bind().execute(sa.text("UPDATE t SET n = n + :more"), {"more": 4})
    """)
    whole = len(run(work).sent)
    assert whole == 1 + 1 + 3 + 2 + 1
    for death in range(whole):
        connection.execute("DROP TABLE t")
        marks: dict[int, tuple[str, str]] = {}
        with pytest.raises(Died):
            run(work, crashing(connection, death, marks))
        run(work, crashing(connection, -1, marks))
        assert connection.execute("SELECT count(*), min(n), max(n) FROM t").fetchone() == (25, 7, 7)


def test_a_function_that_makes_other_statements_now_is_stopped(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (n INTEGER)")
    marks: dict[int, tuple[str, str]] = {}
    with pytest.raises(Died):
        run(up("op.execute('INSERT INTO t VALUES (1)')\nop.execute('SELECT 1')"), crashing(connection, 1, marks))
    with pytest.raises(Edited):
        run(up("op.execute('INSERT INTO t VALUES (2)')"), crashing(connection, -1, marks))


def test_what_is_read_is_what_the_steps_so_far_have_done(run: Run, connection: sqlite3.Connection) -> None:
    work = up("""
        op.execute("CREATE TABLE t (n INTEGER)")
        op.execute("INSERT INTO t VALUES (41)")
        (n,) = op.get_bind().execute(sa.text("SELECT n FROM t")).one()
        assert sa.inspect(op.get_bind()).get_table_names() == ["t"]
        op.execute(f"UPDATE t SET n = {n + 1}")
    """)
    run(work)
    assert connection.execute("SELECT n FROM t").fetchall() == [(42,)]


def test_rows_changed_are_known_while_the_steps_are_new(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (n INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(7)])
    loop = up("""
        while op.get_bind().execute(sa.text("DELETE FROM t WHERE n IN (SELECT n FROM t LIMIT 3)")).rowcount:
            pass
    """)
    assert len(run(loop).sent) == 4
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_rows_changed_by_a_step_of_an_earlier_run_are_not_guessed(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (n INTEGER)")
    marks: dict[int, tuple[str, str]] = {}
    work = up("""
        changed = op.get_bind().execute(sa.text("DELETE FROM t")).rowcount
        op.execute("SELECT 1")
        if changed > 0:
            op.execute("SELECT 2")
    """)
    with pytest.raises(Died):
        run(work, crashing(connection, 1, marks))
    with pytest.raises(MigrationFailed, match="how many rows a step changed") as caught:
        run(work, crashing(connection, -1, marks))
    assert caught.value.state == "changed"


def test_an_error_of_a_step_cannot_be_swallowed(run: Run, connection: sqlite3.Connection) -> None:
    work = up("""
        for table in "abc":
            try:
                op.execute(f"DROP TABLE {table}")
            except Exception:
                pass
    """)
    with pytest.raises(sqlite3.OperationalError, match="no such table: a"):
        run(work)


def test_the_authors_error_says_whether_anything_changed(run: Run) -> None:
    with pytest.raises(MigrationFailed) as caught:
        run(up("1 / 0"))
    assert caught.value.state == "unchanged"
    with pytest.raises(MigrationFailed, match="line 5") as caught:
        run(up("op.execute('CREATE TABLE t (a)')\n1 / 0"))
    assert caught.value.state == "changed"


@pytest.mark.parametrize(
    "body",
    ["op.execute('BEGIN')", "op.get_bind().rollback()", "op.get_bind().begin_nested()", "op.execute('ROLLBACK TO a')"],
)
def test_there_is_no_transaction_to_control(run: Run, body: str) -> None:
    with pytest.raises(MigrationFailed, match="has no meaning with transactional = False"):
        run(up(body))


def test_a_commit_and_an_autocommit_block_change_nothing(run: Run) -> None:
    body = (
        "with op.get_context().autocommit_block():\n    op.execute('PRAGMA foreign_keys = OFF')\nop.get_bind().commit()"
    )
    engine = run(up(body))
    assert [step.text for step in engine.sent] == ["PRAGMA foreign_keys = OFF"]


def test_a_table_is_not_copied_in_steps_from_a_shape_that_was_read(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER, b INTEGER)")
    body = "with op.batch_alter_table('t'{}) as table:\n    table.drop_column('b')"
    with pytest.raises(MigrationFailed, match="could not be read again"):
        run(up(body.format("")))
    given = ", copy_from=sa.Table('t', sa.MetaData(), sa.Column('a', sa.Integer), sa.Column('b', sa.Integer))"
    run(up(body.format(given)))
    assert [row[1] for row in connection.execute("PRAGMA table_info(t)")] == ["a"]


def test_without_batches_a_backfill_is_one_step(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    engine = run(up("op.backfill('t', {'n': '1'})"), batches=None)
    assert [" ".join(step.text.split()) for step in engine.sent] == ["UPDATE t SET n = 1"]


KEYS = {
    "id INTEGER PRIMARY KEY": "x * 3 - 30",
    "id TEXT NOT NULL PRIMARY KEY": "'k' || x || ''''",
    "id REAL NOT NULL PRIMARY KEY": "x / 7.0 - 1",
    "id BLOB NOT NULL PRIMARY KEY": "CAST('k' || x AS BLOB)",
}


@pytest.mark.parametrize("key", KEYS)
def test_batches_reach_every_row_once_whatever_the_key(run: Run, connection: sqlite3.Connection, key: str) -> None:
    connection.execute(f"CREATE TABLE t ({key}, n INTEGER DEFAULT 0)")
    connection.execute(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 23) "
        f"INSERT INTO t (id) SELECT {KEYS[key]} FROM c"
    )
    engine = run(up("op.backfill('t', {'n': 'n + 1'}, batch=10)"))
    assert len(engine.sent) == 3
    assert connection.execute("SELECT count(*), min(n), max(n) FROM t").fetchone() == (23, 1, 1)


def test_batches_follow_a_key_of_two_columns(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a TEXT, b INTEGER, n INTEGER DEFAULT 0, PRIMARY KEY (b, a)) WITHOUT ROWID")
    connection.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [(a, b) for a in "xyz" for b in range(5)])
    engine = run(up("op.backfill('t', {'n': 'n + 1'}, batch=4)"))
    assert len(engine.sent) == 4
    assert "(b, a) > (0, 'z')" not in engine.sent[0].text
    assert connection.execute("SELECT count(*), min(n), max(n) FROM t").fetchone() == (15, 1, 1)


def test_only_the_rows_concerned_are_changed(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    connection.executemany("INSERT INTO t (n) VALUES (?)", [(i,) for i in range(20)])
    run(up("op.backfill('t', {'n': '-n'}, where='n % 2 = 0 OR n = 5 -- some', batch=3)"))
    expected = [-i if i % 2 == 0 or i == 5 else i for i in range(20)]
    assert [n for (n,) in connection.execute("SELECT n FROM t ORDER BY id")] == expected


def test_rows_added_meanwhile_do_not_keep_a_backfill_from_ending(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    connection.executemany("INSERT INTO t (n) VALUES (?)", [(0,)] * 10)

    def busy(sql: str) -> int:
        connection.executemany("INSERT INTO t (n) VALUES (?)", [(0,)] * 5)
        return connection.execute(sql).rowcount

    engine = run(up("op.backfill('t', {'n': 'n + 1'}, batch=5)"), Engine(perform=busy))
    assert len(engine.sent) == 2
    assert connection.execute("SELECT count(*) FROM t WHERE n = 1").fetchone() == (10,)


def test_an_empty_table_is_done_at_once(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    engine = run(up("op.backfill('t', {'n': '1'})"))
    assert engine.sent == []
    assert [cursor for _, cursor in engine.marks.values()] == ["done"]


def test_batches_grow_as_long_as_they_are_quick(run: Run, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    connection.execute(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000) "
        "INSERT INTO t SELECT x, 0 FROM c"
    )
    changed: list[int] = []

    def perform(sql: str) -> int:
        changed.append(connection.execute(sql).rowcount)
        return changed[-1]

    run(up("op.backfill('t', {'n': '1'})"), Engine(perform=perform), clock=lambda: 0.0)
    assert changed == [500, 750, 1125, 625]


@pytest.mark.parametrize("table", ["t (a TEXT, n INTEGER)", "t (a TEXT PRIMARY KEY, n INTEGER)"])
def test_a_table_without_a_firm_key_asks_for_one(run: Run, connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"CREATE TABLE {table}")
    with pytest.raises(MigrationFailed, match="has no primary key to cut batches along: give key="):
        run(up("op.backfill('t', {'n': '1'})"))
    connection.execute("INSERT INTO t VALUES ('x', 0), ('y', 0)")
    run(up("op.backfill('t', {'n': '1'}, key='a')"))
    assert connection.execute("SELECT sum(n) FROM t").fetchone() == (2,)
    connection.execute("INSERT INTO t VALUES (NULL, 0)")
    with pytest.raises(MigrationFailed, match="a of t is NULL in some rows"):
        run(up("op.backfill('t', {'n': '1'}, key='a')"))


def test_up_and_down_of_the_example(run: Run, connection: sqlite3.Connection) -> None:
    run(function("create_accounts"))
    connection.execute("INSERT INTO accounts VALUES (1, 'Ada@X.org', 'Ada')")
    run(function("index_without_waiting"))
    assert connection.execute("SELECT address FROM accounts").fetchall() == [("ada@x.org",)]
    run(function("index_without_waiting", "down"))
    assert [row[1] for row in connection.execute("PRAGMA table_info(accounts)")] == ["id", "email", "full_name"]
