"""What a rollback would lose or leave different is in the plan, and is said before the up runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from bascule import Bascule
from tests.acceptance.commandline import Project

PRODUCTION = {"MIGRATION_ENVIRONMENT": "production"}


def ways(told: dict[str, Any]) -> list[tuple[int, str]]:
    return [(each["line"], each["way"]) for each in told["waysBack"]]


def test_the_plan_names_the_way_back_of_each_statement(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write(
        "1_users",
        "CREATE TABLE users (id integer PRIMARY KEY, note text, phone text);\n"
        "CREATE TABLE logs (id integer PRIMARY KEY);\n"
        "CREATE TABLE old (id integer PRIMARY KEY);\nINSERT INTO users VALUES (1, 'a', 'b');\n"
        "INSERT INTO logs VALUES (1);\nINSERT INTO old VALUES (1);",
        "DROP TABLE users; DROP TABLE logs; DROP TABLE old;",
    )
    project.well("up")
    project.write(
        "2_less",
        "CREATE TABLE new (id integer);\nALTER TABLE users DROP COLUMN note;\n"
        "-- bascule: no-preimage erasure\nALTER TABLE users DROP COLUMN phone;\nDROP TABLE old;\nDELETE FROM logs;",
        "ALTER TABLE users ADD COLUMN note text; ALTER TABLE users ADD COLUMN phone text;",
    )
    told = project.well("plan", "--json").json
    (one,) = told["migrations"]
    assert ways(one) == [(2, "down"), (3, "preimage"), (5, "none"), (6, "backup"), (7, "preimage")]
    assert one["wayBack"] == "none"
    erased, dropped = one["losses"]
    assert erased == "2_less: line 5 drops column users.phone (not kept: erasure)"
    assert dropped == "2_less: line 6 drops table old (not kept: the down script does not make table old again)"
    assert one["foretold"]["differences"] == ["table old is missing", "table new is left behind"]
    back = told["rollbackPlan"]
    assert (back["backupRequired"], back["dataLossWarning"]) == (True, f"{erased}; {dropped}")
    text = project.well("plan").out
    assert "way back of line 3, drops column users.note: kept, and put back" in text
    assert "way back of line 6, drops table old: only a backup" in text
    assert "after a rollback: table new is left behind" in text
    refused = project.run("up", "--json", "--yes-production", "a test", **PRODUCTION)
    assert refused.json["error"]["code"] == "data_loss"
    assert refused.json["error"]["losses"] == [erased, dropped]
    done = project.well("up", "--json")
    assert done.json["losses"] == [erased, dropped]
    assert "2_less: after a rollback, table new is left behind" in done.json["warnings"]
    assert "Warning: 2_less: after a rollback, table old is missing" in done.err


def test_what_cannot_be_kept_has_its_reason_and_must_be_accepted(tmp_path: Path, bascule_postgres_url: str) -> None:
    project = Project(tmp_path, DATABASE_URL=bascule_postgres_url)
    with psycopg.connect(bascule_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE a (id int PRIMARY KEY, v text NOT NULL); INSERT INTO a VALUES (1, 'x')")
        connection.execute("CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE)")
        connection.execute("CREATE SCHEMA s CREATE TABLE t (id int PRIMARY KEY); INSERT INTO b VALUES (1, 1)")
        connection.execute("CREATE TABLE c (v text); INSERT INTO c VALUES ('x')")
    project.write(
        "1_much",
        "DELETE FROM a;\nMERGE INTO b USING a ON a.id = b.a WHEN MATCHED THEN DELETE;\nDROP SCHEMA s CASCADE;\n"
        "UPDATE c SET v = 'y';\nALTER TABLE a DROP COLUMN v;\nCREATE SEQUENCE q;",
        "ALTER TABLE a ADD COLUMN v text NOT NULL; DROP SEQUENCE q;",
    )
    project.write("2_forgotten", "CREATE TYPE mood AS ENUM ('a');\nALTER TABLE c ADD COLUMN m mood;", "SELECT 1;")
    told = project.well("plan", "--json").json
    much, forgotten = told["migrations"]
    why = {each["line"]: (each["way"], each["why"]) for each in much["waysBack"]}
    assert {line: way for line, (way, _) in why.items()} == {
        2: "backup", 3: "backup", 4: "backup", 5: "backup", 6: "preimage", 7: "down",
    }  # fmt: skip
    assert "that refer to it change along with it" in why[2][1]
    assert "MERGE" in why[3][1]
    assert "DROP SCHEMA" in why[4][1]
    assert "key" in why[5][1]
    assert [loss.split(": ")[1].split(" (")[0] for loss in much["losses"]] == [
        "line 2 deletes rows of a",
        "line 3 overwrites or deletes rows of b",
        "line 4 drops schema s with every table in it",
        "line 5 overwrites values in c",
        "line 6 drops column a.v",
    ]
    assert "rows written since would get no value for a.v" in much["losses"][-1]
    assert forgotten["foretold"]["differences"] == ["column c.m is left behind", "type mood is left behind"]
    assert forgotten["losses"] == []
    refused = project.run("up", "--json", "--yes-production", "a test", **PRODUCTION)
    assert (refused.code, refused.json["error"]["losses"]) == (3, much["losses"])
    assert "2_forgotten: after a rollback, type mood is left behind" in refused.err


def test_of_python_the_plan_says_that_nothing_is_kept(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write("1_t", "CREATE TABLE t (id integer PRIMARY KEY, v text);", "DROP TABLE t;")
    project.well("up")
    (tmp_path / "migrations" / "2_py.py").write_text(
        "def up(op):\n    op.drop_column('t', 'v')\n\n\ndef down(op):\n    op.execute('SELECT 1')\n"
    )
    (one,) = project.well("plan", "--json").json["migrations"]
    (way,) = one["waysBack"]
    assert (way["way"], way["why"]) == ("backup", "what Python does is known only when it runs")
    assert len(one["losses"]) == 1
    assert one["foretold"]["unsure"] == ["what Python does is known only when it runs"]


def test_a_plan_without_anything_destructive_is_exact_and_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL="sqlite:///app.db")
    project.write("1_t", "CREATE TABLE t (id integer);\nCREATE INDEX i ON t (id);", "DROP TABLE t;")
    project.write("2_c", "ALTER TABLE t ADD COLUMN c text;", None)
    told = project.well("plan", "--json").json
    one, two = told["migrations"]
    assert (one["wayBack"], one["foretold"]["exact"], one["losses"]) == ("down", True, [])
    assert (two["wayBack"], ways(two), two["losses"]) == ("inverse", [(2, "inverse")], [])
    assert (told["rollbackPlan"]["backupRequired"], told["rollbackPlan"]["dataLossWarning"]) == (False, None)
    plan = Bascule(url=f"sqlite:///{tmp_path}/app.db", migrations_dir=tmp_path / "migrations").migrations
    backs = plan.create_migration_plan().ways_back
    assert [backs[name].way for name in ("1_t", "2_c")] == ["down", "inverse"]
    (first, second) = project.well("up", "--json").json["data"]
    assert (first["estimatedDuration"], second["estimatedDuration"]) == (6, 3)
