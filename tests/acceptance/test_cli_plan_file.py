"""`plan --out` and `up --plan`: exactly that runs, or it is refused and said why."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import Answer, Project

ONE = "20240101000000_one"
TWO = "20240102000000_two"
THREE = "20240103000000_three"
KEY = "k" * 32


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)

    def one() -> None:
        project.well("init")
        project.write(ONE, "create table one (id integer primary key, name text);", "drop table one;")
        project.well("up")

    begin(project, "one", one)
    project.write(TWO, "alter table one add column two integer;", "alter table one drop column two;")
    return project


def stale(answer: Answer, words: str) -> None:
    assert answer.code == 3, answer
    assert words in answer.err
    assert "The database is unchanged." in answer.err


def test_what_came_after_the_plan_is_not_run(project: Project) -> None:
    answer = project.well("plan", "--out", "plan.json")
    assert "bascule up --plan plan.json" in answer.out
    project.write(THREE, "create table three (id integer);", "drop table three;")
    runs = project.well("up", "--plan", "plan.json", "--json").json["data"]
    assert [run["name"] for run in runs] == [TWO]
    assert project.names() == {ONE, TWO}
    stale(project.run("up", "--plan", "plan.json"), f"{TWO} is applied already")


def test_the_file_names_and_holds_nothing_that_could_be_run(project: Project) -> None:
    written = project.well("plan", "--out", "plan.json", "--json").json["plan"]
    text = (project.folder / "plan.json").read_text()
    assert json.loads(text) == written
    assert [each["name"] for each in written["migrations"]] == [TWO]
    assert list(written["objects"]) == ["table one"]
    assert "alter table" not in text.lower()


@pytest.mark.parametrize("option", [(TWO,), ("--to", TWO), ("--steps", "1")])
def test_a_plan_goes_with_no_other_choice(project: Project, option: tuple[str, ...]) -> None:
    assert project.run("up", "--plan", "plan.json", *option).code == 2


def test_an_edited_file_a_changed_object_and_another_ledger_are_refused(project: Project) -> None:
    project.well("plan", "--out", "plan.json")
    path = project.folder / "migrations" / f"{TWO}.sql"
    kept = path.read_text()
    path.write_text(kept + "-- only a comment\n")
    stale(project.run("up", "--plan", "plan.json"), f"the file of {TWO} was edited")
    path.unlink()
    stale(project.run("up", "--plan", "plan.json"), f"{TWO} is not in the folder any more")
    path.write_text(kept)
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        connection.execute("create index by_hand on one (name)")
    stale(project.run("up", "--plan", "plan.json"), "table one is another one now")
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        connection.execute("drop index by_hand")
    path = project.write(THREE, "create table three (id integer);", "drop table three;")
    path.write_text(f"-- depends: {ONE}\n{path.read_text()}")
    project.well("up", THREE)
    answer = project.run("up", "--plan", "plan.json", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "plan_stale"
    (words,) = answer.json["error"]["changes"]
    assert words == f"the ledger had 1 applied, {ONE} the last, and has 2 applied, {THREE} the last"


def test_a_hook_that_came_later_is_refused(project: Project) -> None:
    project.well("plan", "--out", "plan.json")
    hooks = project.folder / "migrations" / "hooks"
    hooks.mkdir()
    (hooks / "before_up.sql").write_text("delete from one;\n")
    stale(project.run("up", "--plan", "plan.json"), "the hook before_up is there now")


def test_another_database_is_refused(project: Project) -> None:
    project.well("plan", "--out", "plan.json")
    other = {"DATABASE_URL": "sqlite:///other.db"}
    project.well("up", ONE, **other)
    stale(project.run("up", "--plan", "plan.json", **other), "the plan is for another database")


def test_a_plan_expires(project: Project) -> None:
    project.well("plan", "--out", "plan.json", MIGRATION_PLAN_LIFETIME="1s")
    data = json.loads((project.folder / "plan.json").read_text())
    data["expiresAt"] = data["createdAt"]
    (project.folder / "plan.json").write_text(json.dumps(data))
    answer = project.run("up", "--plan", "plan.json", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (3, "plan_expired")


def test_production_takes_no_unsigned_and_nobody_a_badly_signed_one(project: Project) -> None:
    production = {"MIGRATION_ENVIRONMENT": "production", "DATABASE_URL": "sqlite:///shop.db"}
    signing = production | {"BASCULE_SECRET_KEY": KEY}
    project.well("up", ONE, "--yes-production", "a test", **production)

    def code(**environment: str) -> str:
        answer = project.run("up", "--plan", "plan.json", "--json", **environment)
        assert answer.code == 3, answer
        return str(answer.json["error"]["code"])

    project.well("plan", "--out", "plan.json", **production)
    assert code(**production) == "plan_unsigned"
    assert code(**signing) == "plan_unsigned"
    project.well("plan", "--out", "plan.json", **signing)
    assert code(**production) == "plan_unsigned"
    assert code(**production, BASCULE_SECRET_KEY="x" * 32) == "plan_signature"
    text = (project.folder / "plan.json").read_text()
    (project.folder / "plan.json").write_text(text.replace('"author": "', '"author": "not '))
    assert code(**signing) == "plan_signature"
    (project.folder / "plan.json").write_text(text)
    project.well("up", "--plan", "plan.json", **signing)


def test_what_is_no_plan_is_a_wrong_call(project: Project) -> None:
    (project.folder / "plan.json").write_text("alter table")
    for line in (("up", "--plan", "plan.json"), ("up", "--plan", "nowhere"), ("plan", "--out", "no/such/folder")):
        answer = project.run(*line, "--json")
        assert (answer.code, answer.json["error"]["code"]) == (2, "plan_file")


def test_a_plan_with_nothing_in_it_does_nothing(project: Project) -> None:
    project.well("up")
    project.well("plan", "--out", "plan.json")
    project.write(THREE, "create table three (id integer);", "drop table three;")
    assert "Nothing to do" in project.well("up", "--plan", "plan.json").out
    assert project.names() == {ONE, TWO}


def test_the_plan_tells_sizes_time_way_back_and_checks(project: Project) -> None:
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        connection.execute("insert into one values (1, 'a'), (2, 'b')")
        connection.commit()
    project.write(THREE, "create unique index one_name on one (name);\ndelete from one;", None)
    told = project.well("plan", "--json").json
    two, three = told["migrations"]
    assert (two["dataImpact"], three["dataImpact"], told["dataImpact"]) == ("medium", "high", "high")
    assert two["impactReasons"] == ["line 2: ALTER TABLE (one holds 2 rows)"]
    assert two["estimate"]["basis"] == "prior"
    assert told["totalEstimatedTime"] == two["estimatedDuration"] + three["estimatedDuration"]
    back = told["rollbackPlan"]
    assert (back["targetMigration"], back["migrationsToRevert"], back["backupRequired"]) == (ONE, [THREE, TWO], True)
    assert "it has no down script" in back["dataLossWarning"]
    checks = told["validationPlan"]
    assert checks["preMigrationChecks"] == [f"migrations/{THREE}.sql:2: one (name) must be unique"]
    assert "fk_integrity" in checks["dataIntegrityChecks"]
    assert "table_size" in checks["performanceChecks"]
    assert told["backupBefore"] == {"scope": "tables", "tables": ["one"], "why": []}
    assert told["hooks"] == []
    project.write(THREE, "delete from one;\ncreate unique index one_name on one (name);", None)
    (check,) = project.well("plan", "--json").json["validationPlan"]["preMigrationChecks"]
    assert check.endswith(":3: one (name) must be unique (not judged: line 2 changes rows of one first)")
    assert project.well("plan", TWO, "--json").json["backupBefore"] is None
    text = project.well("plan").out
    assert "Backup before: one" in text
    assert "time: about" in text
    assert "one (name) must be unique" in text


def test_like_runs_of_this_database_come_before_the_prior(project: Project) -> None:
    for number in range(4):
        project.write(f"2024020{number}000000_t{number}", f"create table t{number} (id integer);", "select 1;")
    project.well("up")
    with closing(sqlite3.connect(project.folder / "bascule.db")) as connection:
        connection.execute("update bascule_ledger set execution_ms = 40 where name like '%_t_'")
        connection.commit()
    project.write("20240301000000_last", "create table last (id integer);", "drop table last;")
    (last,) = project.well("plan", "--json").json["migrations"]
    assert (last["estimate"]["basis"], last["estimatedDuration"]) == ("history", 40)
    assert "like runs" in project.well("plan").out


def test_on_postgresql_too(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url, BASCULE_SECRET_KEY=KEY)
    project.write(ONE, 'create table one (id integer primary key, "Name" text);', "drop table one;")
    project.well("plan", "--out", "first.json")
    project.well("up", "--plan", "first.json")
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("insert into one select n, n::text from generate_series(1, 1000) as n")
        connection.commit()
        connection.execute("analyze one")
        connection.commit()
    project.write(
        TWO, 'alter table one alter column "Name" set not null;', 'alter table one alter "Name" drop not null;'
    )
    told = project.well("plan", "--out", "plan.json", "--json").json
    (reason,) = told["migrations"][0]["impactReasons"]
    assert "about 1,000 rows, " in reason
    assert "kB" in reason
    assert told["plan"]["target"]["identity"]
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("alter table one add column by_hand integer")
    stale(project.run("up", "--plan", "plan.json"), "table public.one is another one now")
    with psycopg.connect(bascule_postgres_url) as connection:
        connection.execute("alter table one drop column by_hand")
    project.well("up", "--plan", "plan.json")
    assert project.names() == {ONE, TWO}
