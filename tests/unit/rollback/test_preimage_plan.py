"""What has to be kept is told by the statements alone."""

from __future__ import annotations

from typing import Any

import pytest

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.preimage import Assessed, Keep
from bascule.domain.statement import Dialect, Statement
from bascule.planning.steps import plan_migration
from bascule.rollback.inverse import inverse
from bascule.rollback.preimage_plan import keeps_of
from bascule.rollback.relaxing import relaxed
from bascule.rollback.ways_back import heaviest, ways_back


def planned(up: str, dialect: Dialect = "postgresql", *, down: str | None = "SELECT 1") -> PlannedMigration:
    ref = MigrationRef(name="m", version="1", order=(1,), path="m.sql")
    back = None if down is None else Script(text=down, path="m.sql")
    migration = Migration(ref=ref, up=Script(text=up, path="m.sql"), down=back, exact_hash="e")
    return plan_migration(migration, "up", dialect)


def kept(up: str, dialect: Dialect = "postgresql") -> list[Keep]:
    return [each for keeps in keeps_of(planned(up, dialect), dialect).values() for each in keeps]


def told(keep: Keep) -> dict[str, Any]:
    """Its fields, without those that say nothing."""
    found = keep.as_dict()
    return {name: value for name, value in found.items() if value and name not in ("words", "ordinal")}


KEPT = {
    'ALTER TABLE a.t DROP COLUMN x, DROP IF EXISTS "Y"': [
        {"kind": "columns", "schema": "a", "name": "t", "columns": ["x", "Y"]}
    ],
    "ALTER TABLE t DROP a, ALTER b TYPE int USING b::int": [
        {"kind": "columns", "name": "t", "columns": ["a"]},
        {"kind": "retype", "name": "t", "columns": ["b"]},
    ],
    "DROP TABLE IF EXISTS a.b, c CASCADE": [
        {"kind": "table", "schema": "a", "name": "b"},
        {"kind": "table", "name": "c"},
    ],
    "TRUNCATE a": [{"kind": "table", "name": "a"}],
    "UPDATE t AS x SET a = 1, (b, c) = (2, 3) WHERE x.id > 3 AND lower(a) = 'where'": [
        {
            "kind": "update",
            "name": "t",
            "columns": ["a", "b", "c"],
            "alias": "x",
            "where": "x.id > 3 AND lower(a) = 'where'",
        }
    ],
    "UPDATE t SET a = 1 WHERE random() < 0.5": [{"kind": "update", "name": "t", "columns": ["a"]}],
    "UPDATE t SET a = 1 WHERE id IN (SELECT id FROM u WHERE b)": [{"kind": "update", "name": "t", "columns": ["a"]}],
    "UPDATE t SET a = u.a FROM u WHERE u.id = t.id": [{"kind": "update", "name": "t", "columns": ["a"]}],
    "DELETE FROM t WHERE (a = 1) RETURNING id": [{"kind": "delete", "name": "t", "where": "(a = 1)"}],
    "DELETE FROM t USING u WHERE u.id = t.id": [{"kind": "delete", "name": "t"}],
    "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET v = excluded.v": [
        {"kind": "update", "name": "t", "columns": ["v"]}
    ],
    "CREATE TABLE t (a int); DROP TABLE t": [],
    "ALTER TABLE t ADD a int; UPDATE t SET a = 1": [],
    "ALTER TABLE t ADD a int; UPDATE t SET a = b, b = 0": [{"kind": "update", "name": "t", "columns": ["b"]}],
    "INSERT INTO t VALUES (1)": [],
}


@pytest.mark.parametrize("up", KEPT)
def test_what_a_statement_destroys_is_what_is_kept(up: str) -> None:
    assert [told(each) for each in kept(up)] == KEPT[up]


NOT_KEPT = {
    "SET ROLE somebody; DROP TABLE t": "the script works as another role",
    "-- bascule: no-preimage law\nDROP TABLE t": "law",
    "SELECT 1;\n--  bascule:  no-preimage\nDROP TABLE t": "its author wants nothing kept",
    "DROP SCHEMA s CASCADE": "what DROP SCHEMA takes away is not followed",
    "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE": "what MERGE takes away is not followed",
    "WITH x AS (DELETE FROM u RETURNING a) UPDATE t SET b = 1": "a WITH query changes rows too",
    "CREATE TABLE n (a int); DROP TABLE t; ALTER TABLE n RENAME TO t": "t is made anew by the same script",
}


@pytest.mark.parametrize("up", NOT_KEPT)
def test_what_cannot_be_followed_says_so(up: str) -> None:
    (keep,) = kept(up)
    assert keep.why == NOT_KEPT[up]


def test_a_directive_speaks_of_one_statement() -> None:
    one, other = kept("-- bascule: no-preimage law\nDROP TABLE a;\nDROP TABLE b;")
    assert (one.why, other.why) == ("law", None)


SQLITE = {
    'ALTER TABLE "T t" DROP COLUMN [a b]': ("columns", "t t", ("a b",)),
    "DROP TABLE main.t": ("table", "t", ()),
    "UPDATE OR IGNORE t SET a = 1": ("update", "t", ()),
    "REPLACE INTO t VALUES (1)": ("update", "t", ()),
    "WITH x AS (SELECT 1) DELETE FROM t": ("delete", "t", ()),
    "CREATE TABLE n (a); DROP TABLE t; ALTER TABLE n RENAME TO t": ("rebuilt", "t", ()),
}


@pytest.mark.parametrize("up", SQLITE)
def test_sqlite_is_read_too(up: str) -> None:
    (keep,) = kept(up, "sqlite")
    assert (keep.kind, keep.name, keep.columns, keep.why) == (*SQLITE[up], None)


def statement(text: str) -> Statement:
    return Statement(text=text, index=0, line=1, offset=0)


RELAXED = {
    "ALTER TABLE t ADD a int NOT NULL": ("ALTER TABLE t ADD a int ", ["a"]),
    "ALTER TABLE t ADD a int NOT\n/* é */ NULL CHECK (a > 0)": ("ALTER TABLE t ADD a int  CHECK (a > 0)", ["a"]),
    "ALTER TABLE t ADD a int NOT NULL, ADD b int NOT NULL": ("ALTER TABLE t ADD a int , ADD b int ", ["b", "a"]),
    "ALTER TABLE t ADD a int NOT NULL DEFAULT 1": None,
    "ALTER TABLE t ADD a serial NOT NULL": None,
    "ALTER TABLE t ADD other int NOT NULL": None,
    "ALTER TABLE t ADD a int": None,
    "ALTER TABLE u ADD a int NOT NULL": None,
}


@pytest.mark.parametrize("text", RELAXED)
def test_not_null_waits_for_the_values_that_are_kept(text: str) -> None:
    found = relaxed(statement(text), {("t", "a"), ("t", "b")})
    wanted = RELAXED[text]
    if wanted is None:
        assert found is None
        return
    assert found is not None
    assert found.statement.text == wanted[0]
    assert found.then == tuple(f'ALTER TABLE "t" ALTER COLUMN "{column}" SET NOT NULL' for column in wanted[1])


INVERSES: dict[tuple[str, Dialect], list[str] | None] = {
    ("CREATE TABLE a.t (i int)", "postgresql"): ['DROP TABLE "a"."t"'],
    ("CREATE TABLE IF NOT EXISTS t (i int)", "postgresql"): None,
    ("CREATE TEMP TABLE t (i int)", "postgresql"): None,
    ("CREATE OR REPLACE VIEW v AS SELECT 1", "postgresql"): None,
    ("CREATE INDEX x ON a.t (i)", "postgresql"): ['DROP INDEX "a"."x"'],
    ("CREATE INDEX CONCURRENTLY x ON a.t (i)", "postgresql"): None,
    ("CREATE INDEX ON t (i)", "postgresql"): None,
    ("ALTER TABLE t ADD a int, ADD CONSTRAINT c CHECK (a > 0)", "postgresql"): [
        'ALTER TABLE "t" DROP CONSTRAINT "c"',
        'ALTER TABLE "t" DROP COLUMN "a"',
    ],
    ("ALTER TABLE t ADD a int, ALTER b SET NOT NULL", "postgresql"): None,
    ('ALTER TABLE s.t RENAME TO "U"', "postgresql"): ['ALTER TABLE "s"."U" RENAME TO "t"'],
    ("ALTER TABLE t RENAME a TO b", "postgresql"): ['ALTER TABLE "t" RENAME COLUMN "b" TO "a"'],
    ("CREATE TYPE s.m AS ENUM ('a')", "postgresql"): ['DROP TYPE "s"."m"'],
    ("INSERT INTO t VALUES (1)", "postgresql"): None,
    ("DROP TABLE t", "postgresql"): None,
    ("CREATE TABLE t (i)", "sqlite"): ['DROP TABLE "t"'],
    ("CREATE UNIQUE INDEX x ON t (i)", "sqlite"): ['DROP INDEX "x"'],
    ("CREATE TABLE IF NOT EXISTS t (i)", "sqlite"): None,
    ("CREATE TEMP TABLE t (i)", "sqlite"): None,
    ("ALTER TABLE t ADD COLUMN a", "sqlite"): ['ALTER TABLE "t" DROP COLUMN "a"'],
}


@pytest.mark.parametrize("case", INVERSES)
def test_an_inverse_is_proved_or_there_is_none(case: tuple[str, Dialect]) -> None:
    found = inverse(statement(case[0]), case[1])
    assert (None if found is None else list(found)) == INVERSES[case]


def test_the_way_back_is_named_statement_by_statement() -> None:
    plan = planned("CREATE TABLE n (i int);\nALTER TABLE t DROP a;\nUPDATE u SET b = 1;")
    one, other = kept("CREATE TABLE n (i int);\nALTER TABLE t DROP a;\nUPDATE u SET b = 1;")
    assessed = [Assessed(keep=one, there=True), Assessed(keep=other, there=True, why="u has no key")]
    ways = ways_back(plan, "postgresql", assessed, backup=True)
    assert [(each.line, each.way) for each in ways] == [(1, "down"), (2, "preimage"), (3, "backup")]
    assert ways[2].why == "u has no key"
    assert heaviest(ways) == "backup"
    without = ways_back(plan, "postgresql", (), backup=False)
    assert [each.way for each in without] == ["down", "none", "none"]
    assert without[1].loses == ("drops column t.a",)
    erased = planned("-- bascule: no-preimage law\nALTER TABLE t DROP a;\nUPDATE u SET b = 1;")
    assert [each.way for each in ways_back(erased, "postgresql", (), backup=True)] == ["none", "backup"]


def test_without_a_down_script_only_what_is_proved_leads_back() -> None:
    proved = ways_back(planned("CREATE TABLE n (i int)", down=None), "postgresql", (), backup=False)
    assert [each.way for each in proved] == ["inverse"]
    unproved = planned("CREATE TABLE n (i int); INSERT INTO n VALUES (1)", down=None)
    assert [each.way for each in ways_back(unproved, "postgresql", (), backup=False)] == ["none", "none"]
