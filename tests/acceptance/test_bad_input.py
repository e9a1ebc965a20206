"""Bad input of every kind: a clear error with the right exit code, and nothing changed or lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commandline import Answer, Project, rows

FIRST = "20240101000000_first"
SECOND = "20240102000000_second"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/shop.db")
    project.write(FIRST, "create table first (id integer primary key);", "drop table first;")
    return project


def tables(project: Project) -> set[str]:
    file = project.folder / "shop.db"
    if not file.exists():
        return set()
    found = rows(file, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'bascule_%'")
    return {name for (name,) in found}


def refuses(project: Project, *arguments: str, code: int, error: str, state: str = "unchanged") -> Answer:
    """The command fails in the contract's form, for people and for machines."""
    answer = project.run(*arguments, "--json")
    assert answer.code == code, answer
    document = answer.json
    assert document["success"] is False
    assert document["error"]["code"] == error, document
    assert document["error"]["state"] == state
    assert document["error"]["hint"]
    people = project.run(*arguments)
    assert people.code == code
    assert "Traceback" not in people.err
    assert "Next:" in people.err
    return answer


def test_an_unknown_scheme_is_named_with_the_known_ones(project: Project) -> None:
    project.environment["DATABASE_URL"] = "oracle://scott:tiger@db/x"
    answer = refuses(project, "up", code=2, error="config")
    assert "oracle" in answer.json["message"]
    assert "postgresql" in answer.out
    assert "tiger" not in answer.out + answer.err


def test_a_server_that_is_not_there_is_named_without_the_password(project: Project) -> None:
    project.environment["DATABASE_URL"] = "postgresql://me:s3cr3t-word@127.0.0.1:1/x"
    answer = refuses(project, "up", code=2, error="unreachable")
    assert "127.0.0.1" in answer.out
    assert "s3cr3t-word" not in answer.out + answer.err


def test_a_missing_driver_says_what_to_install(project: Project, tmp_path: Path) -> None:
    hidden = tmp_path / "without"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['psycopg'] = None\n")
    project.environment |= {"DATABASE_URL": "postgresql://me@127.0.0.1:1/x", "PYTHONPATH": str(hidden)}
    answer = refuses(project, "up", code=2, error="missing_driver")
    assert "bascule[postgres]" in answer.out


def test_a_file_that_is_no_database_is_left_as_it_is(project: Project) -> None:
    file = project.folder / "shop.db"
    file.write_bytes(b"these are my notes, not a database\n" * 100)
    before = file.read_bytes()
    refuses(project, "up", code=2, error="not_a_database")
    assert file.read_bytes() == before


def test_a_full_disk_undoes_the_migration_and_says_so(project: Project) -> None:
    project.well("up")
    project.write(
        SECOND,
        "create table big as with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000) "
        "select i, hex(zeroblob(1000)) as pad from n;",
    )
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)); "
        "from bascule.cli.main import main; sys.argv = ['bascule', 'up', '--json', '--no-progress']; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done
    answer = Answer(code=done.returncode, out=done.stdout, err=done.stderr)
    assert answer.json["error"]["state"] == "unchanged"
    assert tables(project) == {"first"}
    assert project.names() == {FIRST}


def test_a_folder_that_mixes_formats_is_refused_with_what_was_seen_of_each(project: Project) -> None:
    (project.folder / "migrations" / "000002_second.up.sql").write_text("create table second (id integer);")
    (project.folder / "migrations" / "000002_second.down.sql").write_text("drop table second;")
    answer = refuses(project, "up", code=2, error="mixed_formats")
    assert "000002_second" in answer.out
    assert FIRST in answer.out
    assert tables(project) == set()


def test_a_file_that_is_not_utf_8_is_named_with_its_line(project: Project) -> None:
    path = project.write(SECOND, "create table second (id integer);")
    path.write_bytes(path.read_bytes().replace(b"second (id", b"second\xff (id"))
    answer = refuses(project, "up", code=2, error="not_utf8")
    assert f"{SECOND}.sql, line 2" in answer.out
    assert tables(project) == set()


def test_sql_that_cannot_be_cut_into_statements_stops_the_run_before_it_begins(project: Project) -> None:
    project.write(SECOND, "insert into first values ('an open string);")
    answer = refuses(project, "up", code=2, error="sql_syntax")
    assert f"{SECOND}.sql:2" in answer.out
    assert tables(project) == set()


@pytest.mark.parametrize("name", ["../../etc/passwd", "1; drop table first", "", "a\nb"])
def test_a_name_that_is_a_path_or_sql_is_no_name(project: Project, name: str) -> None:
    project.well("up")
    refuses(project, "rollback", name, code=2, error="not_a_name")
    assert tables(project) == {"first"}


def test_a_python_migration_that_raises_at_import_stops_the_run_before_it_begins(project: Project) -> None:
    path = project.folder / "migrations" / f"{SECOND}.py"
    path.write_text("import does_not_exist\n\ndef up(op):\n    op.execute('select 1')\n\ndef down(op):\n    pass\n")
    answer = refuses(project, "up", code=2, error="python_failed")
    assert f"{SECOND}.py:1" in answer.out
    assert "does_not_exist" in answer.out
    assert tables(project) == set()


def test_a_python_migration_that_raises_in_the_middle_leaves_nothing_behind(project: Project) -> None:
    path = project.folder / "migrations" / f"{SECOND}.py"
    path.write_text(
        "def up(op):\n"
        "    op.execute('create table second (id integer)')\n"
        "    rows = op.get_bind().exec_driver_sql('select count(*) from second').scalar()\n"
        "    raise ValueError(f'{rows} rows are too few')\n"
        "\n"
        "def down(op):\n"
        "    op.execute('drop table second')\n"
    )
    project.well("up", FIRST)
    answer = refuses(project, "up", code=1, error="function_raised")
    assert "0 rows are too few" in answer.json["message"]
    assert f"{SECOND}.py, line 4" in answer.out
    assert tables(project) == {"first"}
    assert project.names() == {FIRST}


def test_an_applied_migration_whose_file_is_gone_is_named(project: Project) -> None:
    path = project.write(SECOND, "create table second (id integer);", "drop table second;")
    project.well("up")
    path.unlink()
    answer = refuses(project, "up", code=3, error="missing_file")
    assert SECOND in answer.json["message"]
    refuses(project, "rollback", code=3, error="missing_file")
    assert tables(project) == {"first", "second"}
    project.well("accept", SECOND, "--reason", "squashed")
    project.well("up")


def test_a_ledger_of_a_newer_version_is_not_touched(project: Project) -> None:
    project.well("up")
    connection = sqlite3.connect(project.folder / "shop.db")
    connection.execute("UPDATE bascule_meta SET value = '99' WHERE key = 'layout'")
    connection.commit()
    connection.close()
    project.write(SECOND, "create table second (id integer);")
    refuses(project, "up", code=3, error="newer_ledger")
    assert tables(project) == {"first"}


def test_a_dependency_that_is_missing_or_circular_is_shown_before_anything_runs(project: Project) -> None:
    path = project.write(SECOND, "create table second (id integer);")
    path.write_text("-- depends: nobody\n" + path.read_text())
    refuses(project, "up", code=3, error="missing_dependency")
    other = project.write("20240103000000_third", "create table third (id integer);")
    other.write_text("-- depends: second\n" + other.read_text())
    path.write_text(path.read_text().replace("nobody", "third"))
    answer = refuses(project, "up", code=3, error="dependency_cycle")
    assert "->" in answer.json["message"]
    assert tables(project) == set()


def test_two_files_with_one_version_are_both_named(project: Project) -> None:
    project.write("20240101000000_other", "create table other (id integer);")
    answer = refuses(project, "up", code=2, error="duplicate_version")
    assert FIRST in answer.out
    assert "20240101000000_other" in answer.out
    assert tables(project) == set()


def test_an_error_at_the_very_end_of_a_statement_still_has_its_line(bascule_postgres_url: str, tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    project.write(FIRST, "select 1;\nselect 1 +;\nselect 2;")
    answer = project.run("up", "--json")
    assert answer.code == 1
    assert answer.json["error"]["line"] == 3
    assert f"{FIRST}.sql:3" in answer.json["message"]
