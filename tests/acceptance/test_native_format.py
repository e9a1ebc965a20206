"""What the native format adds: hooks, repeatable files, variables, late migrations, downs that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.commandline import Project, rows

FIRST = "20240101000000_first"
SECOND = "20240102000000_second"
THIRD = "20240103000000_third"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/shop.db")
    project.write(FIRST, "create table t (n integer);", "drop table t;")
    return project


def ask(project: Project, query: str) -> list[tuple[object, ...]]:
    return rows(project.folder / "shop.db", query)


def test_hooks_run_around_up_and_rollback_and_only_when_something_runs(project: Project) -> None:
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "before_up.sql").write_text(
        "create table if not exists told (what text); insert into told values ('before up');"
    )
    (hooks / "after_up.sql").write_text("insert into told values ('after up');")
    (hooks / "before_rollback.sql").write_text("insert into told values ('before rollback');")
    project.well("up")
    project.well("up")
    project.well("rollback")
    assert [what for (what,) in ask(project, "select what from told order by rowid")] == [
        "before up",
        "after up",
        "before rollback",
    ]


def test_a_hook_that_fails_before_the_run_stops_it(project: Project) -> None:
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "before_up.sql").write_text("insert into nowhere values (1);")
    answer = project.run("up", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "hook_failed"
    assert answer.json["error"]["state"] == "unchanged"
    assert project.names() == set()


def test_a_repeatable_file_runs_again_when_its_meaning_changes_and_after_the_others(project: Project) -> None:
    view = project.folder / "migrations" / "R__report.sql"
    view.write_text("-- migrate:up\ndrop view if exists report;\ncreate view report as select n from t;\n")
    assert [run["name"] for run in project.well("up", "--json").json["data"]] == [FIRST, "R__report"]
    view.write_text(
        "-- a comment\n-- migrate:up\ndrop view if exists report;\ncreate view report as\n  select n from t;\n"
    )
    assert project.well("up", "--json").json["data"] == []
    view.write_text("-- migrate:up\ndrop view if exists report;\ncreate view report as select n + 1 as n from t;\n")
    assert [run["name"] for run in project.well("up", "--json").json["data"]] == ["R__report"]
    assert "n + 1 as n" in str(ask(project, "select sql from sqlite_schema where name = 'report'")[0][0])


def test_variables_are_put_in_and_an_undeclared_one_is_refused(project: Project) -> None:
    (project.folder / "bascule.toml").write_text('[variables]\nlimit = "42"\n')
    project.write(SECOND, "insert into t values (${limit});\ninsert into t values (length('$${limit}'));")
    project.well("up")
    assert ask(project, "select n from t") == [(42,), (8,)]
    project.write(THIRD, "insert into t values (${unknown});")
    answer = project.run("up", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "undeclared_variable"
    assert f"{THIRD}.sql" in answer.out


def test_a_migration_that_came_late_from_a_branch_is_named_and_applied(project: Project) -> None:
    project.write(THIRD, "insert into t values (3);", "delete from t where n = 3;")
    project.well("up")
    project.write(SECOND, "insert into t values (2);", "delete from t where n = 2;")
    assert "late" in project.well("status").out
    answer = project.well("up")
    assert SECOND in answer.err
    assert "late" in answer.err
    assert ask(project, "select n from t") == [(3,), (2,)]


def test_a_project_may_refuse_late_migrations(project: Project) -> None:
    project.write(THIRD, "insert into t values (3);")
    project.well("up")
    (project.folder / "bascule.toml").write_text('late = "refuse"\n')
    project.write(SECOND, "insert into t values (2);")
    answer = project.run("up", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "late_migration"
    assert ask(project, "select n from t") == [(3,)]


def test_a_missing_way_back_is_not_a_rollback_unless_the_loss_is_accepted(project: Project) -> None:
    project.write(SECOND, "create table second (n integer);\ninsert into second values (1);", None)
    project.write(THIRD, "create table third (n integer);", "-- nothing yet")
    project.well("up")
    for name in (THIRD, SECOND):
        answer = project.run("rollback", "--json")
        assert answer.code == 3
        assert answer.json["error"]["code"] == "no_way_back"
        run = project.well("rollback", "--accept-data-loss", "--json").json["data"][0]
        assert (run["name"], run["verdict"]) == (name, "none")
        assert any(name.split("_")[1] in words for words in run["differences"])
    assert {name for (name,) in ask(project, "select name from sqlite_schema where name in ('second', 'third')")} == {
        "second",
        "third",
    }


def test_an_empty_way_back_of_an_up_that_changed_nothing_is_exact(project: Project) -> None:
    project.write(SECOND, "-- only a note for the colleagues", "-- nothing to undo")
    project.well("up")
    run = project.well("rollback", "--json").json["data"][0]
    assert (run["name"], run["verdict"]) == (SECOND, "exact")


def test_a_down_that_forgets_something_is_lossy_with_the_difference_in_words(project: Project) -> None:
    project.write(SECOND, "create table s (n integer); create index t_n on t (n);", "drop table s;")
    project.well("up")
    run = project.well("rollback", "--json").json["data"][0]
    assert run["verdict"] == "lossy"
    assert any("t_n" in words for words in run["differences"])


def test_rolling_back_to_one_keeps_it_and_undoes_what_came_after(project: Project) -> None:
    project.write(SECOND, "create table s (n integer);", "drop table s;")
    project.write(THIRD, "create table u (n integer);", "drop table u;")
    project.well("up")
    runs = project.well("rollback", "--to", "first", "--json").json["data"]
    assert [run["name"] for run in runs] == [THIRD, SECOND]
    assert project.names() == {FIRST}


def test_begin_and_commit_inside_a_file_do_not_end_the_migrations_transaction(project: Project) -> None:
    project.write(SECOND, "BEGIN;\ninsert into t values (1);\ninsert into nowhere values (1);\nCOMMIT;")
    answer = project.run("up", "--json")
    assert answer.code == 1
    assert answer.json["error"]["line"] == 4
    assert ask(project, "select n from t") == []
    project.write(SECOND, "insert into t values (1);\nCOMMIT;\ninsert into t values (2);")
    answer = project.run("up", "--json")
    assert answer.code == 2
    assert "COMMIT" in answer.json["message"]
    assert ask(project, "select n from t") == []


def test_several_transactions_in_one_file_are_several_steps(project: Project) -> None:
    project.write(
        SECOND, "BEGIN;\ninsert into t values (1);\nCOMMIT;\nBEGIN;\ninsert into nowhere values (1);\nCOMMIT;"
    )
    answer = project.run("up", "--json")
    assert answer.code == 1
    assert answer.json["error"]["state"] == "changed"
    assert project.well("status", "--json").json["halfDone"] == [SECOND]
    project.write(SECOND, "BEGIN;\ninsert into t values (1);\nCOMMIT;\nBEGIN;\ninsert into t values (2);\nCOMMIT;")
    project.well("recover")
    assert ask(project, "select n from t") == [(1,), (2,)]
    assert project.names() == {FIRST, SECOND}


def test_a_half_done_script_is_rolled_back_by_its_name(project: Project) -> None:
    project.write(
        SECOND,
        "create table s (n integer);\ninsert into nowhere values (1);",
        "drop table if exists s;",
        options=" transaction:false",
    )
    assert project.run("up", "--no-rollback-on-failure").code == 1
    refused = project.run("rollback", "--json")
    assert refused.json["error"]["code"] == "half_done"
    run = project.well("rollback", SECOND, "--json").json["data"][0]
    assert (run["status"], run["verdict"]) == ("rolled_back", "exact")
    assert "halfDone" not in project.well("status", "--json").json


def test_crlf_a_bom_and_a_missing_semicolon_change_nothing(project: Project) -> None:
    path = project.folder / "migrations" / f"{SECOND}.sql"
    path.write_bytes(b"\xef\xbb\xbf-- migrate:up\r\ninsert into t values (1);\r\ninsert into t values (2)\r\n")
    project.well("up")
    assert ask(project, "select n from t") == [(1,), (2,)]
    path.write_bytes(b"-- migrate:up\ninsert into t values (1);\ninsert into t values (2);\n")
    project.well("up")


def test_two_up_blocks_in_one_file_are_warned_of(project: Project) -> None:
    path = project.folder / "migrations" / f"{SECOND}.sql"
    path.write_text("-- migrate:up\n-- migrate:down\n-- migrate:up\ninsert into t values (1);\n-- migrate:down\n")
    answer = project.well("up")
    assert "migrate:up" in answer.err
    assert ask(project, "select n from t") == [(1,)]


def test_a_lost_temporary_table_is_asked_about_once_and_the_answer_counts(project: Project) -> None:
    project.write(
        SECOND,
        "create temp table scratch (n integer);\ninsert into t values (1);\ninsert into nowhere values (1);",
        options=" transaction:false",
    )
    assert project.run("up").code == 1
    project.write(
        SECOND,
        "create temp table scratch (n integer);\ninsert into t values (1);\ninsert into t values (2);",
        options=" transaction:false",
    )
    asked = project.run("up", "--json")
    assert asked.code == 5
    assert asked.json["error"]["code"] == "temporary_lost"
    project.well("recover", "--answer", "done")
    assert ask(project, "select n from t") == [(1,), (2,)]
    assert project.names() == {FIRST, SECOND}


@pytest.mark.parametrize("transactional", [True, False])
def test_a_python_migration_is_compared_with_before_beside_other_tables(project: Project, transactional: bool) -> None:
    (project.folder / "migrations" / f"{SECOND}.py").write_text(
        f"transactional = {transactional}\n\n"
        "def up(op):\n    op.execute('create table p (i integer)')\n\n"
        "def down(op):\n    op.execute('drop table p')\n"
    )
    project.well("up")
    run = project.well("rollback", "--json").json["data"][0]
    assert (run["name"], run["verdict"], run["differences"]) == (SECOND, "exact", [])
