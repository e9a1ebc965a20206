"""Pre-images on PostgreSQL: nothing that was committed is missing, whatever it is called and whoever writes."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
import pytest

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.preimage import Keep, PreImageWork
from bascule.planning.steps import plan_migration
from bascule.ports.database import WorkFailed
from bascule.rollback.preimage_plan import keeps_of
from tests.integration.postgresql.target_builders import job, leased, rows


def keeps(up: str) -> tuple[Keep, ...]:
    ref = MigrationRef(name="m", version="1", order=(1,), path="m.sql")
    script = Script(text=up, path="m.sql")
    migration = Migration(ref=ref, up=script, down=None, exact_hash="e")
    return keeps_of(plan_migration(migration, "up", "postgresql"), "postgresql").get(0, ())


class There:
    """A database in which ups and downs run as jobs of one transaction."""

    def __init__(self, url: str) -> None:
        self.url = url

    def up(self, *statements: str, tries: int = 200) -> None:
        found = keeps(";\n".join(statements))
        with leased(self.url) as (target, lease):
            for _ in range(tries):
                try:
                    target.perform(job(*statements, preimages=PreImageWork(keeps=found)), lease=lease)
                    return
                except WorkFailed as failure:
                    if failure.kind not in ("lock_timeout", "deadlock"):
                        raise
            raise AssertionError("the lock was never to be had")

    def down(self, *statements: str, **work: Any) -> list[dict[str, Any]]:
        preimages = PreImageWork(look=True, put_back=True, **work)
        with leased(self.url) as (target, lease):
            target.perform(job(*statements, preimages=preimages, ledger=None, facts=()), lease=lease)
            return [dict(each.back or {}) for each in target.preimages().kept("m")]

    def kept(self) -> list[Any]:
        with leased(self.url) as (target, _):
            return list(target.preimages().kept("m"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.url, sql)


@pytest.fixture
def there(bascule_postgres_url: str) -> There:
    return There(bascule_postgres_url)


def test_a_type_goes_with_its_column_and_both_come_back(there: There) -> None:
    there.rows("CREATE TYPE mood AS ENUM ('sad', 'it''s \"fine\"')")
    there.rows(
        "CREATE TABLE t (id int PRIMARY KEY, m mood, j json, c char(4), b bit(3), n numeric(9,3), x bytea, d date[])"
    )
    there.rows(
        "INSERT INTO t VALUES (1, 'sad', '{\"a\" : 1}', 'ab', B'101', 1.500, '\\xdead', '{infinity,2020-01-01}')"
    )
    there.rows("INSERT INTO t (id, m) VALUES (2, 'it''s \"fine\"')")
    before = there.rows("SELECT id, m::text, j::text, c, b::text, n::text, x, d::text FROM t ORDER BY id")
    there.up("ALTER TABLE t DROP m, DROP j, DROP c, DROP b, DROP n, DROP x, DROP d", "DROP TYPE mood")
    back = there.down(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s \"fine\"')",
        "ALTER TABLE t ADD m mood, ADD j json, ADD c char(4), ADD b bit(3), ADD n numeric(9,3), ADD x bytea",
        "ALTER TABLE t ADD d date[]",
    )
    assert there.rows("SELECT id, m::text, j::text, c, b::text, n::text, x, d::text FROM t ORDER BY id") == before
    assert back == [{"rows": 2, "changed": 0, "newer": 0, "gone": 0}]


def test_hostile_names_are_only_names(there: There) -> None:
    there.rows('CREATE SCHEMA "s; drop"')
    there.rows('CREATE TABLE "s; drop"."t"" %s $1" ("k\'" text COLLATE "C" PRIMARY KEY, "select" text, "%I" int)')
    there.rows("INSERT INTO \"s; drop\".\"t\"\" %s $1\" VALUES ('a''b', 'x', 1), ('\\', NULL, 2)")
    before = there.rows('SELECT "k\'", "select", "%I" FROM "s; drop"."t"" %s $1" ORDER BY 1')
    there.up('ALTER TABLE "s; drop"."t"" %s $1" DROP COLUMN "select", DROP COLUMN "%I"')
    there.down('ALTER TABLE "s; drop"."t"" %s $1" ADD COLUMN "select" text, ADD COLUMN "%I" int')
    assert there.rows('SELECT "k\'", "select", "%I" FROM "s; drop"."t"" %s $1" ORDER BY 1') == before


def test_a_column_that_must_not_be_null_finds_its_values_before_it_says_so(there: There) -> None:
    there.rows("CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL UNIQUE)")
    there.rows("INSERT INTO t SELECT i, 'mail' || i FROM generate_series(1, 5) AS i")
    there.up("ALTER TABLE t DROP COLUMN email")
    there.down(
        "ALTER TABLE t ADD COLUMN email text",
        "ALTER TABLE t ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE t ADD UNIQUE (email)",
        tries=frozenset((0, 1, 2)),
    )
    assert there.rows("SELECT email FROM t ORDER BY id") == [(f"mail{number}",) for number in range(1, 6)]


def test_what_a_narrower_type_cut_off_is_back(there: There) -> None:
    there.rows("CREATE TABLE t (id int PRIMARY KEY, word text)")
    there.rows("INSERT INTO t VALUES (1, 'abcdef'), (2, 'ab'), (3, 'xyzxyz'), (4, 'longer')")
    there.up("ALTER TABLE t ALTER COLUMN word TYPE varchar(3) USING left(word, 3)")
    there.rows("UPDATE t SET word = 'new' WHERE id = 3")
    there.rows("DELETE FROM t WHERE id = 4")
    assert there.kept()[0].rows == 3, "the short one lost nothing"
    back = there.down("ALTER TABLE t ALTER COLUMN word TYPE text")
    assert there.rows("SELECT word FROM t ORDER BY id") == [("abcdef",), ("ab",), ("new",)]
    assert back == [{"rows": 1, "changed": 1, "gone": 1}]


WITH_IDENTITY = (
    "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, w text, "
    "l int GENERATED ALWAYS AS (length(w)) STORED)"
)


def test_a_dropped_table_comes_back_with_its_sequence_and_wakes_no_trigger(there: There) -> None:
    there.rows(WITH_IDENTITY)
    there.rows("INSERT INTO t (w) SELECT 'word ' || i FROM generate_series(1, 7) AS i; DELETE FROM t WHERE id = 7")
    there.up("DROP TABLE t")
    back = there.down(
        WITH_IDENTITY,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()",
    )
    assert back == [{"rows": 6, "changed": 0, "newer": 0}]
    there.rows("ALTER TABLE t DISABLE TRIGGER no")
    assert there.rows("INSERT INTO t (w) VALUES ('next') RETURNING id, l") == [(8, 4)]


def test_nobody_else_may_read_it(there: There) -> None:
    there.rows("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    there.rows("CREATE TABLE t (id int PRIMARY KEY, secret text); INSERT INTO t VALUES (1, 's')")
    there.up("ALTER TABLE t DROP COLUMN secret")
    given = there.rows(
        "SELECT relname, g.grantee FROM pg_class AS c CROSS JOIN LATERAL aclexplode(relacl) AS g "
        "WHERE relnamespace = 'bascule'::regnamespace AND relname LIKE 'preimage%' AND grantee <> relowner"
    )
    assert given == []


NOT_KEPT = {
    "no key": ("CREATE TABLE t (a int, b int)", "ALTER TABLE t DROP b", "no key"),
    "the key": ("CREATE TABLE t (a int PRIMARY KEY, b int)", "ALTER TABLE t DROP a", "the key of t itself"),
    "cascades": (
        "CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE u (a int REFERENCES t ON DELETE CASCADE)",
        "DELETE FROM t",
        "rows of public.u",
    ),
    "children": (
        "CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE u () INHERITS (t)",
        "UPDATE t SET b = 1",
        "children",
    ),
    "an author's wish": (
        "CREATE TABLE t (a int PRIMARY KEY, b int)",
        "-- bascule: no-preimage erasure of personal data\nALTER TABLE t DROP b",
        "erasure of personal data",
    ),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_what_cannot_be_kept_says_why(there: There, case: str) -> None:
    setting, up, why = NOT_KEPT[case]
    there.rows(setting)
    there.rows("INSERT INTO t VALUES (1, 2)")
    with leased(there.url) as (target, _):
        (told,) = target.preimages().assess(keeps(up))
    assert why in (told.why or ""), told
    there.up(up)
    (kept,) = there.kept()
    assert (kept.why, kept.kept) == (told.why, False)


WRITERS = 4


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("ALTER TABLE t DROP COLUMN v", "ALTER TABLE t ADD COLUMN v int"),
        ("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY, v int)"),
        ("UPDATE t SET v = -1 WHERE v % 2 = 0", "SELECT 1"),
        ("UPDATE t SET v = -1 FROM o WHERE o.id = t.id % 2", "SELECT 1"),
        ("DELETE FROM t WHERE v % 2 = 0", "SELECT 1"),
    ],
)
def test_no_committed_value_is_missing_under_writers(there: There, up: str, down: str) -> None:
    """Each writer notes what it has committed. Whatever the up then destroys has to be in what is kept."""
    there.rows("CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE o (id int); INSERT INTO o VALUES (1)")
    there.rows("INSERT INTO t SELECT i, 0 FROM generate_series(1, 200) AS i")
    begun = threading.Barrier(WRITERS + 1)
    committed: list[dict[int, int]] = [{} for _ in range(WRITERS)]

    def write(number: int) -> None:
        mine, luck = committed[number], random.Random(number)
        with psycopg.connect(there.url, autocommit=True) as connection:
            begun.wait(10)
            for _ in range(2000):
                row, value = luck.randrange(number, 400, WRITERS) + 1, luck.randrange(1, 10**6)
                try:
                    # Only values that nobody has turned to -1: from then on the migration is done.
                    done = connection.execute(
                        "INSERT INTO t (id, v) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET v = excluded.v "
                        "WHERE NOT EXISTS (SELECT FROM bascule.ledger WHERE name = 'm') RETURNING v",
                        (row, value),
                    ).fetchone()
                except psycopg.Error:
                    return
                if connection.execute("SELECT count(*) FROM bascule.ledger").fetchone() != (0,):
                    if done is not None:
                        mine[row] = -value  # nobody knows on which side of the migration
                    return
                if done is not None:
                    mine[row] = value

    with leased(there.url) as (target, _):
        target.prepare()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    there.up(up)
    for thread in threads:
        thread.join(30)
    there.down(down)
    found = dict(there.rows("SELECT id, v FROM t"))
    known = {row: value for each in committed for row, value in each.items() if value > 0}
    assert len(known) > 20
    assert {row: found.get(row) for row in known} == known


def test_a_role_that_may_not_keep_anything_can_still_migrate(there: There) -> None:
    with leased(there.url) as (target, _):
        target.prepare()
    there.rows("DROP ROLE IF EXISTS runner_of_preimages; CREATE ROLE runner_of_preimages LOGIN")
    try:
        there.rows("GRANT USAGE ON SCHEMA bascule TO runner_of_preimages")
        there.rows("GRANT ALL ON ALL TABLES IN SCHEMA bascule TO runner_of_preimages")
        there.rows("GRANT ALL ON ALL SEQUENCES IN SCHEMA bascule TO runner_of_preimages")
        there.rows("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bascule TO runner_of_preimages")
        there.rows("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 2)")
        there.rows("ALTER TABLE t OWNER TO runner_of_preimages")
        other = There(there.url + "&user=runner_of_preimages" if "?" in there.url else _as(there.url))
        with leased(other.url) as (target, _):
            (told,) = target.preimages().assess(keeps("UPDATE t SET v = 3"))
        assert told.why == "this role may not make tables in the schema of Bascule"
        other.up("UPDATE t SET v = 3")
        assert there.rows("SELECT v FROM t") == [(3,)]
        assert other.kept() == []
    finally:
        there.rows("DROP OWNED BY runner_of_preimages CASCADE; DROP ROLE runner_of_preimages")


def _as(url: str) -> str:
    import re

    return re.sub(r"//[^@/]*@", "//runner_of_preimages@", url)
