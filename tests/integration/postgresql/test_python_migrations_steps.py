"""Python migrations without a transaction, on PostgreSQL: each statement is a step, also after a crash."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule.databases.operations import AuthorFunction, literal, run_stepwise
from bascule.errors import MigrationFailed
from tests.unit.operations.authors import function, up
from tests.unit.operations.steps import Died, Engine

Run = Callable[..., Engine]


@pytest.fixture
def connection(bascule_postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(bascule_postgres_url, autocommit=True) as opened:
        yield opened


@pytest.fixture
def run(connection: psycopg.Connection, bascule_postgres_url: str) -> Run:
    def reader() -> psycopg.Connection:
        return psycopg.connect(bascule_postgres_url, autocommit=True, options="-c default_transaction_read_only=on")

    def run(work: AuthorFunction, engine: Engine | None = None, **options: Any) -> Engine:
        engine = engine or Engine(perform=lambda sql: connection.execute(sql.encode()).rowcount)
        run_stepwise(
            work,
            dialect="postgresql",
            server_version=connection.info.server_version,
            execute=engine.execute,
            connect=options.pop("connect", reader),
            batches=engine,
            **options,
        )
        return engine

    return run


def rows(connection: psycopg.Connection, sql: str) -> list[Any]:
    return connection.execute(sql.encode()).fetchall()


def test_up_and_down_of_the_example_with_an_index_built_concurrently(run: Run, connection: psycopg.Connection) -> None:
    run(function("create_accounts"))
    connection.execute("INSERT INTO accounts SELECT n, 'User' || n || '@X.org', 'n' FROM generate_series(1, 1200) n")
    engine = run(function("index_without_waiting"))
    assert [" ".join(step.text.split())[:30] for step in engine.sent] == [
        "ALTER TABLE accounts ADD COLUM",
        "UPDATE accounts SET address = ",
        "UPDATE accounts SET address = ",
        "CREATE INDEX CONCURRENTLY acco",
    ]
    assert rows(connection, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'accounts_by_address'::regclass") == [
        (True,)
    ]
    assert rows(connection, "SELECT count(*) FROM accounts WHERE address = lower(email)") == [(1200,)]
    run(function("index_without_waiting", "down"))
    assert rows(connection, "SELECT to_regclass('accounts_by_address')") == [(None,)]


def test_nothing_is_read_and_no_connection_opened_unless_the_author_asks(run: Run) -> None:
    def forbidden() -> None:
        raise AssertionError("a connection was opened")

    run(up("op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))\nop.get_context()"), connect=forbidden)


def test_a_run_that_died_anywhere_is_finished_by_the_next_and_does_nothing_twice(
    run: Run, connection: psycopg.Connection
) -> None:
    work = up("""
        t = op.create_table("t", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("n", sa.Integer))
        op.bulk_insert(t, [{"id": i, "n": -1} for i in range(-10, 15)])
        op.backfill("t", {"n": "n + 2"}, batch=10)
        op.get_bind().execute(t.update().values(n=t.c.n + 6))
        op.create_index("i", "t", ["n"], postgresql_concurrently=True)
    """)
    perform = lambda sql: connection.execute(sql.encode()).rowcount  # noqa: E731
    whole = len(run(work).sent)
    assert whole == 1 + 1 + 3 + 1 + 1
    for death in range(whole):
        connection.execute("DROP TABLE t")
        marks: dict[int, tuple[str, str]] = {}
        with pytest.raises(Died):
            run(work, Engine(perform=perform, marks=marks, dies_before=death))
        run(work, Engine(perform=perform, marks=marks))
        assert rows(connection, "SELECT count(*), min(n), max(n) FROM t") == [(25, 7, 7)]


KEYS = {
    "int": "x * 3 - 30",
    'text COLLATE "C"': "'K' || x || '''\\'",
    "uuid": "md5(x::text)::uuid",
    "timestamptz": "timestamptz '2024-01-01' + x * interval '1.000001 s'",
    "numeric": "x / 7.0",
    "float8": "x / 7.0::float8",
    "bytea": "decode(md5(x::text), 'hex')",
}


@pytest.mark.parametrize("kind", KEYS)
def test_batches_reach_every_row_once_whatever_the_key(run: Run, connection: psycopg.Connection, kind: str) -> None:
    connection.execute(f'CREATE TABLE "T%" ("Id" {kind} PRIMARY KEY, n int DEFAULT 0)'.encode())
    connection.execute(f'INSERT INTO "T%" ("Id") SELECT {KEYS[kind]} FROM generate_series(1, 23) x'.encode())
    engine = run(up("op.backfill('T%', {'n': 'n + 1'}, batch=10)"))
    assert len(engine.sent) == 3
    assert rows(connection, 'SELECT count(*), min(n), max(n) FROM "T%"') == [(23, 1, 1)]


def test_batches_follow_a_key_of_two_columns_in_another_schema(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA app; CREATE TABLE app.t (a text, b int, n int DEFAULT 0, PRIMARY KEY (b, a))")
    connection.execute("INSERT INTO app.t SELECT a, b FROM unnest('{x,y,z}'::text[]) a, generate_series(1, 5) b")
    engine = run(up("op.backfill('app.t', {'n': 'n + 1'}, batch=4)"))
    assert len(engine.sent) == 4
    assert engine.sent[0].text.splitlines()[2] == "WHERE (b, a) <= ('2', 'x')"
    assert rows(connection, "SELECT count(*), min(n), max(n) FROM app.t") == [(15, 1, 1)]


def test_a_table_without_a_key_asks_for_one(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a int, n int)")
    with pytest.raises(MigrationFailed, match="has no primary key to cut batches along"):
        run(up("op.backfill('t', {'n': '1'})"))


def test_a_failure_while_reading_is_the_drivers_own(run: Run) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        run(up("op.get_bind().execute(sa.text('SELECT * FROM nothing'))"))
    with pytest.raises(psycopg.errors.UndefinedTable):
        run(up("op.backfill('nothing', {'n': '1'})"))


def test_a_query_that_writes_is_stopped_by_the_connection_that_may_only_read(
    run: Run, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE SEQUENCE s")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run(up("op.get_bind().execute(sa.text(\"SELECT nextval('s')\"))"))
    engine = run(up("op.execute(\"SELECT nextval('s')\")"))
    assert len(engine.sent) == 1


def test_types_are_made_once_and_values_arrive_whole(run: Run, connection: psycopg.Connection) -> None:
    work = up(r"""
        from sqlalchemy.dialects import postgresql as pg
        sa.Enum("a", "b", name="letter").create(op.get_bind(), checkfirst=True)
        t = op.create_table(
            "t",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("data", pg.JSONB),
            sa.Column("tags", pg.ARRAY(sa.Text)),
            sa.Column("raw", sa.LargeBinary),
            sa.Column("mood", sa.Enum("happy", "sad", name="mood")),
        )
        op.bulk_insert(t, [
            {"id": -2147483648, "data": {"a": "it's \\ 5%"}, "tags": ["x", "y,'z"], "raw": b"\x00\\'", "mood": "sad"},
        ])
        op.get_bind().execute(t.insert().values(data=[1], mood="happy"))
    """)
    run(work)
    assert rows(connection, "SELECT data, tags, raw, mood::text FROM t ORDER BY id") == [
        ({"a": "it's \\ 5%"}, ["x", "y,'z"], b"\x00\\'", "sad"),
        ([1], None, None, "happy"),
    ]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=5),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.times(),
    st.timedeltas(dt.timedelta(days=-9000), dt.timedelta(days=9000)),
    st.uuids(),
    st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(-9, 9)),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_postgresql_reads_back_what_was_written(connection: psycopg.Connection, value: object) -> None:
    (found,) = rows(connection, f"SELECT {literal(value, 'postgresql')}")[0]
    if isinstance(value, float):
        # A number with a point is exact in SQL; it becomes a float where it is put into one.
        found = float(found)
        assert found == value or (math.isnan(found) and math.isnan(value))
    else:
        assert found == value
    if isinstance(value, Decimal | UUID | bytes | str | dict):
        assert type(found) is type(value)
