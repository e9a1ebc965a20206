"""Python migrations inside a transaction of ours, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from bascule.databases.operations import AuthorFunction, author_line, run_in_transaction
from bascule.domain.statement import Statement
from bascule.errors import MigrationFailed
from tests.unit.operations.authors import function, up


@pytest.fixture
def connection(bascule_postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as opened:
        yield opened


def run(connection: psycopg.Connection, work: AuthorFunction, **options: Any) -> None:
    connection.execute("BEGIN")
    run_in_transaction(work, connection, dialect="postgresql", **options)
    assert connection.info.transaction_status == TransactionStatus.INTRANS


def apply(connection: psycopg.Connection, *several: AuthorFunction) -> None:
    for work in several:
        run(connection, work)
        connection.execute("COMMIT")


def rows(connection: psycopg.Connection, sql: str) -> list[Any]:
    return connection.execute(sql.encode()).fetchall()


def relations(connection: psycopg.Connection) -> list[str]:
    found = rows(connection, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
    return [name for (name,) in found]


def test_what_the_function_made_is_there_after_the_callers_commit(connection: psycopg.Connection) -> None:
    apply(connection, function("create_accounts"))
    assert {"accounts", "accounts_by_email"} <= set(relations(connection))
    apply(connection, function("create_accounts", "down"))
    assert relations(connection) == []


def test_nothing_is_left_after_the_callers_rollback(connection: psycopg.Connection) -> None:
    run(connection, function("create_accounts"))
    connection.execute("ROLLBACK")
    assert relations(connection) == []


def test_up_and_down_of_a_migration_that_reads_rows(connection: psycopg.Connection) -> None:
    apply(connection, function("create_accounts"))
    connection.execute("INSERT INTO accounts VALUES (1, 'a', 'Ada Lovelace'), (2, 'p', 'Plato')")
    apply(connection, function("split_names"))
    assert rows(connection, "SELECT given, family FROM accounts ORDER BY id") == [("Ada", "Lovelace"), ("Plato", None)]
    apply(connection, function("split_names", "down"))
    assert rows(connection, "SELECT full_name FROM accounts ORDER BY id") == [("Ada Lovelace",), ("Plato",)]


def test_texts_go_as_written(connection: psycopg.Connection) -> None:
    work = up(r"""
        op.execute('''
            CREATE TABLE t (id int PRIMARY KEY, a text);
            INSERT INTO t VALUES (1, '{"a":1} 100% %s ? :x'), (2, '12:30'::text);
            CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 5 % 3; END $$;
        ''')
        op.execute("INSERT INTO t VALUES (3, '\\:escaped')")
        op.backfill("t", {"a": f"a || {op.literal(chr(92) + ';')} || id % 2"}, where="a LIKE '%:%' AND a <> ':y' -- so")
    """)
    apply(connection, work)
    expected = [('{"a":1} 100% %s ? :x\\;1',), ("12:30\\;0",), (":escaped\\;1",)]
    assert rows(connection, "SELECT a FROM t ORDER BY id") == expected
    assert rows(connection, "SELECT f()") == [(2,)]


def test_rows_of_copy_come_with_their_statement(connection: psycopg.Connection) -> None:
    body = (
        r"op.execute('CREATE TABLE t (a int, b text);\nCOPY t FROM stdin;\n1\tx\n2\t\\N\n\\.\nUPDATE t SET a = a * 2')"
    )
    told: list[Statement] = []
    run(connection, up(body), on_statement=told.append)
    assert rows(connection, "SELECT * FROM t") == [(2, "x"), (4, None)]
    assert [statement.text[:6] for statement in told] == ["CREATE", "COPY t", "UPDATE"]


def test_types_of_postgresql_work_both_ways(connection: psycopg.Connection) -> None:
    work = up("""
        import datetime
        from sqlalchemy.dialects import postgresql as pg
        table = op.create_table(
            "t",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("mood", sa.Enum("happy", "sad", name="mood")),
            sa.Column("data", pg.JSONB),
            sa.Column("tags", pg.ARRAY(sa.Text)),
            sa.Column("at", sa.DateTime(timezone=True)),
        )
        at = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
        row = {"id": 1, "mood": "sad", "data": {"a": ["%s", 1]}, "tags": ["x", "y,z"], "at": at}
        op.bulk_insert(table, [row])
        assert dict(op.get_bind().execute(sa.select(table)).mappings().one()) == row
    """)
    apply(connection, work)
    assert rows(connection, "SELECT mood, data, tags FROM t") == [("sad", {"a": ["%s", 1]}, ["x", "y,z"])]


@pytest.mark.parametrize(
    ("ending", "word"),
    [
        ("op.get_bind().commit()", "COMMIT"),
        ("op.get_bind().rollback()", "ROLLBACK"),
        ("op.get_bind().connection.commit()", "COMMIT"),
        ("op.execute('/* now */ commit; BEGIN')", "COMMIT"),
        ("op.get_bind().execute(sa.text('SELECT 1; ABORT'))", "ABORT"),
        ("op.get_bind().exec_driver_sql('START TRANSACTION')", "START TRANSACTION"),
    ],
)
def test_the_author_cannot_end_the_transaction(connection: psycopg.Connection, ending: str, word: str) -> None:
    with pytest.raises(MigrationFailed, match=rf"tried to end its transaction \({word}\)"):
        run(connection, up(f"op.execute('CREATE TABLE t (a int)')\n{ending}"))
    assert connection.info.transaction_status == TransactionStatus.INTRANS
    connection.execute("ROLLBACK")
    assert relations(connection) == []


def test_the_isolation_level_cannot_be_changed(connection: psycopg.Connection) -> None:
    with pytest.raises(MigrationFailed):
        run(connection, up("op.get_bind().execution_options(isolation_level='AUTOCOMMIT')"))
    assert connection.autocommit
    assert connection.info.transaction_status == TransactionStatus.INTRANS


def test_a_savepoint_may_be_taken_back(connection: psycopg.Connection) -> None:
    work = up("""
        op.execute("CREATE TABLE t (a int PRIMARY KEY)")
        connection = op.get_bind()
        for value in (1, 1, 2):
            try:
                with connection.begin_nested():
                    connection.execute(sa.text("INSERT INTO t VALUES (:a)"), {"a": value})
            except sa.exc.IntegrityError:
                pass
    """)
    apply(connection, work)
    assert rows(connection, "SELECT a FROM t") == [(1,), (2,)]


def test_an_error_that_was_swallowed_without_a_savepoint_comes_out_all_the_same(connection: psycopg.Connection) -> None:
    work = up("""
        op.execute("CREATE TABLE t (a int)")
        try:
            op.execute("DROP TABLE nothing")
        except Exception:
            pass
    """)
    with pytest.raises(errors.UndefinedTable, match="nothing"):
        run(connection, work)


def test_the_drivers_error_comes_out_as_the_driver_raised_it(connection: psycopg.Connection) -> None:
    work = up("op.execute('CREATE TABLE t (a int)')\nop.create_index('i', 't', ['a'], postgresql_concurrently=True)")
    with pytest.raises(errors.ActiveSqlTransaction) as caught:
        run(connection, work)
    assert caught.value.sqlstate == "25001"
    assert author_line(caught.value, work.path) == 5
    assert caught.value.__notes__ == ["in up(op) of 0001_test.py: CREATE INDEX CONCURRENTLY i ON t (a)"]


def test_a_lost_connection_comes_out_as_the_drivers_error(
    connection: psycopg.Connection, bascule_postgres_url: str
) -> None:
    pid = connection.info.backend_pid

    def listen(statement: Statement) -> None:
        with psycopg.connect(bascule_postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    connection.execute("BEGIN")
    with pytest.raises(psycopg.OperationalError):
        run_in_transaction(up("op.execute('SELECT 1')"), connection, dialect="postgresql", on_statement=listen)
    assert connection.broken


def test_a_connection_lost_before_the_function_began_comes_out_as_the_drivers_error(
    connection: psycopg.Connection, bascule_postgres_url: str
) -> None:
    connection.execute("BEGIN")
    with psycopg.connect(bascule_postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        run_in_transaction(up("raise AssertionError"), connection, dialect="postgresql")


def test_the_schema_can_be_looked_at_and_found_on_the_search_path(connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA app; SET search_path TO app")
    work = up("""
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))
        looked = sa.inspect(op.get_bind())
        assert looked.default_schema_name == "app"
        assert looked.get_table_names() == ["t"]
        assert looked.get_pk_constraint("t")["constrained_columns"] == ["id"]
    """)
    apply(connection, work)


def test_a_query_sent_often_survives_a_change_of_its_table(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a int)")
    work = up("""
        for number in range(10):
            op.get_bind().execute(sa.text("SELECT * FROM t WHERE a = :a"), {"a": 1}).all()
            op.add_column("t", sa.Column(f"c{number}", sa.Integer))
    """)
    before = connection.prepare_threshold
    apply(connection, work)
    assert connection.prepare_threshold == before


def test_the_connection_is_given_back_as_it_was(connection: psycopg.Connection) -> None:
    dictionaries: Any = connection
    dictionaries.row_factory = dict_row
    for number in range(2):
        apply(connection, up(f"op.create_table('t{number}', sa.Column('a', sa.Integer))\nsa.inspect(op.get_bind())"))
    assert dictionaries.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    assert connection.autocommit
    assert not connection._notice_handlers
    assert connection.info.transaction_status == TransactionStatus.IDLE


def test_a_cursor_on_the_server_reads_many_rows(connection: psycopg.Connection) -> None:
    work = up("""
        connection = op.get_bind()
        found = connection.execution_options(stream_results=True).execute(sa.text("SELECT generate_series(1, 5000)"))
        assert sum(found.scalars()) == 12502500
    """)
    apply(connection, work)
