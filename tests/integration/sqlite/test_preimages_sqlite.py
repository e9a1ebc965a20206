"""Pre-images on SQLite: values come back as they were, whatever they are and whatever things are called."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.sqlite.target import SqliteTarget
from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.preimage import Keep, PreImageWork
from bascule.domain.statement import Statement
from bascule.planning.steps import plan_migration
from bascule.ports.database import Job, Lease, TargetOptions, WorkFailed
from bascule.rollback.preimage_plan import keeps_of


def keeps(up: str) -> tuple[Keep, ...]:
    ref = MigrationRef(name="m", version="1", order=(1,), path="m.sql")
    migration = Migration(ref=ref, up=Script(text=up, path="m.sql"), down=None, exact_hash="e")
    return keeps_of(plan_migration(migration, "up", "sqlite"), "sqlite").get(0, ())


def work(*texts: str, direction: str, preimages: PreImageWork) -> Job:
    statements = tuple(Statement(text=text, index=at, line=at + 1, offset=0) for at, text in enumerate(texts))
    return Job(run_id=f"m_{direction}", migration="m", direction=direction, statements=statements, preimages=preimages)


class There:
    """A database in which ups and downs run as jobs of one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.target = SqliteTarget(f"sqlite:///{path}", TargetOptions())

    def _do(self, job: Job) -> None:
        lease = self.target.acquire(owner="me", run="m")
        assert not isinstance(lease, tuple)
        assert hasattr(lease, "release")
        held: Lease = lease  # type: ignore[assignment]
        try:
            self.target.perform(job, lease=held)
        finally:
            held.release()

    def up(self, *statements: str) -> None:
        self._do(work(*statements, direction="up", preimages=PreImageWork(keeps=keeps(";\n".join(statements)))))

    def down(self, *statements: str, tries: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        preimages = PreImageWork(look=True, put_back=True, tries=frozenset(tries))
        self._do(work(*statements, direction="down", preimages=preimages))
        return [dict(each.back or {}) for each in self.target.preimages().kept("m")]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    opened = There(tmp_path / "app.db")
    yield opened
    opened.target.close()


def test_each_value_is_what_it_was(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    there.rows(
        "INSERT INTO t (v) VALUES (1), (1.0), ('1'), (x'31'), (NULL), (9223372036854775807), (1e308), ('a' || char(0))"
    )
    before = there.rows("SELECT id, typeof(v), hex(v) FROM t")
    there.up("ALTER TABLE t DROP COLUMN v")
    assert there.down("ALTER TABLE t ADD COLUMN v") == [{"rows": 8, "changed": 0, "gone": 0, "newer": 0}]
    assert there.rows("SELECT id, typeof(v), hex(v) FROM t") == before


def test_hostile_names_are_only_names(there: There) -> None:
    there.rows('CREATE TABLE "t; drop""" ("k\'" TEXT PRIMARY KEY, "select" TEXT, "o1" INT)')
    there.rows("INSERT INTO \"t; drop\"\"\" VALUES ('a', 'x', 1), ('''', NULL, 2)")
    before = there.rows('SELECT * FROM "t; drop""" ORDER BY 1')
    there.up('ALTER TABLE "t; drop""" DROP COLUMN "o1"', 'UPDATE "t; drop""" SET "select" = 5')
    there.down('ALTER TABLE "t; drop""" ADD COLUMN "o1" INT')
    assert there.rows('SELECT * FROM "t; drop""" ORDER BY 1') == before


def test_triggers_neither_see_it_nor_are_gone(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v, seen INT DEFAULT 0)")
    there.rows("CREATE TRIGGER no BEFORE UPDATE OF v ON t WHEN old.v = 'new' BEGIN SELECT RAISE(ABORT, 'no'); END")
    there.rows("INSERT INTO t (id, v) VALUES (1, 'old')")
    there.up("UPDATE t SET v = 'new'")
    there.down("SELECT 1")
    assert there.rows("SELECT v FROM t") == [("old",)]
    assert there.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'") == [("no",)]


def test_a_dropped_table_comes_back_with_its_sequence(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    there.rows("INSERT INTO t (v) VALUES (1), (2), (3)")
    there.rows("DELETE FROM t WHERE id = 3")
    there.up("DROP TABLE t")
    there.down("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    assert there.rows("INSERT INTO t (v) VALUES (9) RETURNING id") == [(4,)]
    assert there.rows("SELECT * FROM t") == [(1, 1), (2, 2), (4, 9)]


def test_a_unique_index_finds_the_values_there(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    there.rows("INSERT INTO t (v) VALUES ('a'), ('b')")
    there.up("ALTER TABLE t DROP COLUMN v")
    there.down("ALTER TABLE t ADD COLUMN v TEXT DEFAULT ''", "CREATE UNIQUE INDEX x ON t (v)", tries=(0,))
    assert there.rows("SELECT v FROM t") == [("a",), ("b",)]


def test_values_that_do_not_fit_stay_kept(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    there.rows("INSERT INTO t (v) VALUES ('1'), ('b')")
    there.up("ALTER TABLE t DROP COLUMN v")
    (back,) = there.down("ALTER TABLE t ADD COLUMN v INT")
    assert back == {"failed": "1 of 2 values do not fit into t as it is now"}
    assert there.rows("SELECT v FROM t") == [(None,), (None,)]
    assert there.rows("SELECT o1 FROM bascule_preimage_1") == [("1",), ("b",)]


def test_a_failure_leaves_neither_change_nor_copy(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    there.rows("INSERT INTO t (v) VALUES (1)")
    with pytest.raises(WorkFailed) as failure:
        there.up("UPDATE t SET v = 2", "nonsense")
    assert failure.value.statement == 1
    assert there.rows("SELECT v FROM t") == [(1,)]
    assert there.target.preimages().kept() == []


def test_what_has_no_key_says_so(there: There) -> None:
    there.rows("CREATE TABLE t (v)")
    there.rows("INSERT INTO t (v) VALUES (1)")
    (told,) = there.target.preimages().assess(keeps("UPDATE t SET v = 2"))
    assert (told.there, told.rows) == (True, 1)
    assert told.why == "t has no key by which its rows could be found again"


def test_what_is_old_is_thrown_away(there: There) -> None:
    there.rows("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    there.rows("INSERT INTO t (v) VALUES (1)")
    there.up("UPDATE t SET v = 2")
    assert there.target.preimages().expire(3600) == 0
    assert there.target.preimages().expire(-1) == 1
    (left,) = there.target.preimages().kept("m")
    assert (left.kept, left.why) == (False, "it was kept until its time was over")
    assert there.rows("SELECT name FROM sqlite_master WHERE name LIKE 'bascule_preimage_%'") == []
