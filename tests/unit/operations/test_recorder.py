"""What a function would send, asked in a child process that has no database."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from bascule.databases.operations import record, statements_of
from bascule.errors import MigrationFailed
from tests.processes import eventually, runs
from tests.unit.operations.authors import example, function, script, up, up_text


def texts(statements: object) -> list[str]:
    return [" ".join(statement.text.split()) for statement in statements]  # type: ignore[attr-defined]


def test_the_statements_come_in_order_with_the_lines_that_made_them() -> None:
    recorded = record(example("create_accounts"), "up", dialect="postgresql", server_version=150_018)
    assert texts(recorded.statements) == [
        (
            "CREATE TABLE accounts ( id SERIAL NOT NULL, email VARCHAR(200) NOT NULL, "
            "full_name VARCHAR(200) NOT NULL, PRIMARY KEY (id) )"
        ),
        "CREATE UNIQUE INDEX accounts_by_email ON accounts (lower(email))",
    ]
    assert [(statement.index, statement.line) for statement in recorded.statements] == [(0, 11), (1, 17)]
    assert recorded.complete


def test_the_way_back_is_recorded_too() -> None:
    recorded = statements_of(function("create_accounts", "down"), dialect="sqlite")
    assert texts(recorded.statements) == ["DROP INDEX accounts_by_email", "DROP TABLE accounts"]


def test_values_are_literals_and_nothing_is_a_placeholder() -> None:
    recorded = statements_of(
        up("""
            t = sa.table("t", sa.column("a"), sa.column("b"))
            op.bulk_insert(t, [{"a": 1, "b": "100%"}, {"a": 2, "b": ":x"}])
            op.execute(t.update().where(t.c.a == -1).values(b="it's"))
            op.execute(sa.text("DELETE FROM t WHERE a = :a").bindparams(a=5))
            op.execute("UPDATE t SET b = '{\\"a\\":1}' WHERE b LIKE '5%'; DELETE FROM t;")
        """),
        dialect="sqlite",
    )
    assert texts(recorded.statements) == [
        "INSERT INTO t (a, b) VALUES (1, '100%'), (2, ':x')",
        "UPDATE t SET b='it''s' WHERE t.a = (-1)",
        "DELETE FROM t WHERE a = 5",
        "UPDATE t SET b = '{\"a\":1}' WHERE b LIKE '5%'",
        "DELETE FROM t",
    ]
    assert [statement.line for statement in recorded.statements] == [5, 6, 7, 8, 8]


def test_what_writes_through_the_bind_is_recorded() -> None:
    recorded = statements_of(
        up("""
            t = sa.table("t", sa.column("a"))
            connection = op.get_bind()
            connection.execute(t.insert().values(a=1))
            connection.execute(t.insert(), [{"a": 2}, {"a": 3}])
            connection.execute(sa.text("UPDATE t SET a = :a"), {"a": 4})
        """),
        dialect="postgresql",
    )
    assert [text.replace("::INTEGER", "") for text in texts(recorded.statements)] == [
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        "INSERT INTO t (a) VALUES (3)",
        "UPDATE t SET a = 4",
    ]


@pytest.mark.parametrize(
    "reading",
    [
        "op.get_bind().execute(sa.text('SELECT 1')).all()",
        "sa.inspect(op.get_bind()).get_table_names()",
        "sa.Table('t', sa.MetaData(), autoload_with=op.get_bind())",
    ],
)
def test_what_reads_is_said_to_depend_on_data_and_never_guessed(reading: str) -> None:
    recorded = statements_of(
        up(f"""
            op.execute("DELETE FROM t")
            try:
                {reading}
            except Exception:
                pass
            op.execute("DELETE FROM u")
        """),
        dialect="postgresql",
    )
    assert texts(recorded.statements) == ["DELETE FROM t"]
    assert recorded.depends_on_data == "depends on data: try it on a copy of the database (line 6 reads the database)"
    assert not recorded.complete


def test_a_loop_until_no_more_rows_change_ends_at_once() -> None:
    recorded = statements_of(
        up("""
            while op.get_bind().execute(sa.text("DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 9)")).rowcount > 0:
                pass
        """),
        dialect="sqlite",
    )
    assert recorded.depends_on_data == (
        "depends on data: try it on a copy of the database (line 4 asks how many rows were changed)"
    )


def test_a_number_of_rows_that_is_only_printed_stops_nobody() -> None:
    body = "changed = op.get_bind().execute(sa.text('DELETE FROM t')).rowcount\nprint(f'{changed} rows')"
    assert statements_of(up(body), dialect="sqlite").complete


def test_the_example_that_reads_rows_depends_on_data_after_its_first_columns() -> None:
    recorded = record(example("split_names"), "up", dialect="postgresql")
    assert texts(recorded.statements) == [
        "ALTER TABLE accounts ADD COLUMN given VARCHAR(100)",
        "ALTER TABLE accounts ADD COLUMN family VARCHAR(100)",
    ]
    assert recorded.depends_on_data == "depends on data: try it on a copy of the database (line 19 reads the database)"


def test_a_backfill_is_recorded_whole_and_named_where_it_will_run_in_batches() -> None:
    recorded = record(example("index_without_waiting", transaction=False), "up", dialect="postgresql")
    assert texts(recorded.statements) == [
        "ALTER TABLE accounts ADD COLUMN address VARCHAR(200)",
        "UPDATE accounts SET address = lower(email) || '' WHERE (address IS NULL )",
        "CREATE INDEX CONCURRENTLY accounts_by_address ON accounts (address)",
    ]
    assert recorded.batched == (1,)
    inside = record(example("index_without_waiting"), "up", dialect="postgresql")
    assert inside.batched == ()


def test_names_are_quoted_as_the_database_wants_them_and_no_further() -> None:
    for dialect in ("postgresql", "sqlite"):
        recorded = statements_of(up("op.backfill('Te%%st', {'a%': '1 % 2'})"), dialect=dialect)
        assert texts(recorded.statements) == ['UPDATE "Te%%st" SET "a%" = 1 % 2']


def test_what_the_real_run_would_refuse_is_refused_here() -> None:
    for body in ("op.execute('SELECT 1; COMMIT')", "op.get_context().autocommit_block().__enter__()"):
        with pytest.raises(MigrationFailed, match=r"commit|COMMIT"):
            statements_of(up(body), dialect="postgresql")
    stepwise = up("with op.get_context().autocommit_block():\n    op.execute('VACUUM')")
    assert texts(statements_of(stepwise, dialect="postgresql", transactional=False).statements) == ["VACUUM"]
    with pytest.raises(MigrationFailed, match="BEGIN has no meaning with transactional = False"):
        statements_of(up("op.execute('BEGIN')"), dialect="postgresql", transactional=False)


def test_an_authors_mistake_is_an_answer_with_its_line() -> None:
    recorded = record(script(up_text("op.execute('SELECT 1')\nop.create_tabel('t')")), "up", dialect="sqlite")
    assert recorded.error is not None
    assert recorded.error.startswith("up(op) raised AttributeError: ")
    assert recorded.error_line == 5
    assert recorded.hint
    assert not recorded.complete


def test_a_file_that_cannot_be_executed_is_an_answer_too() -> None:
    recorded = record(script("\n1 / 0"), "up", dialect="sqlite")
    assert recorded.error == "the file cannot be executed: ZeroDivisionError: division by zero."
    assert recorded.error_line == 2


def test_what_the_author_prints_does_not_disturb_the_answer() -> None:
    text = "import os\nprint('{')\nos.write(1, b'}')\ndef up(op):\n    print('up')\n    op.execute('SELECT 1')\n"
    assert texts(record(script(text), "up", dialect="sqlite").statements) == ["SELECT 1"]


def test_the_child_sees_no_secrets_and_no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@h/d")
    monkeypatch.setenv("BASCULE_SECRET_KEY", "secret")
    text = "import os, sys\ndef up(op):\n    op.execute(f'{os.environ} {sys.argv} {sys.stdin.read()}')\n"
    (statement,) = record(script(text), "up", dialect="sqlite").statements
    assert "DATABASE" not in statement.text
    assert "BASCULE" not in statement.text
    assert "secret" not in statement.text


def test_the_child_finds_what_we_find_and_nothing_in_the_working_folder_hides_a_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "my_models.py").write_text("SQL = 'SELECT 1'")
    (tmp_path / "alembic.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    recorded = record(script("import my_models\ndef up(op):\n    op.execute(my_models.SQL)\n"), "up", dialect="sqlite")
    assert texts(recorded.statements) == ["SELECT 1"]


def test_a_function_that_never_ends_is_ended_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = f"""
        import os, subprocess, time
        child = subprocess.Popen(["sleep", "60"])
        open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
        time.sleep(60)
    """
    started = time.monotonic()
    recorded = record(script(up_text(body)), "up", dialect="sqlite", timeout=3)
    assert time.monotonic() - started < 20
    assert recorded.error == "up(op) did not come to its end within 3 s."
    assert eventually(lambda: not any(runs(int(pid)) for pid in pids.read_text().split()))


def test_a_child_that_dies_is_an_answer_with_its_last_words() -> None:
    body = "import os, sys\nprint('goodbye', flush=True)\nos.kill(os.getpid(), 9)"
    recorded = record(script(up_text(body)), "up", dialect="sqlite")
    assert recorded.error == "up(op) was ended by signal 9; its last words: goodbye"


def test_recording_loads_nothing_of_the_authors_here() -> None:
    before = set(sys.modules)
    record(script("import mailbox\ndef up(op):\n    pass\n"), "up", dialect="sqlite")
    assert "mailbox" not in set(sys.modules) - before
