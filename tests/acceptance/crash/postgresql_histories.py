"""What is run on PostgreSQL. Tables without keys, so that an effect that came twice is seen."""

from __future__ import annotations

from tests.acceptance.crash.histories import Answer, History, Hold, Query, native

_APPLICATION = """
CREATE TABLE tally (what text);
CREATE TABLE accounts (n integer, name text);
INSERT INTO accounts SELECT i, 'account ' || i FROM generate_series(1, 40) AS i;
CREATE INDEX accounts_old ON accounts (name);
CREATE TABLE twins (n integer);
INSERT INTO twins VALUES (1), (1), (2);
"""
_BASE = native(up="CREATE TABLE base (what text);\nINSERT INTO base VALUES ('base');", down="DROP TABLE base;")

_ONE = native(up="INSERT INTO tally VALUES ('one')", down="DELETE FROM tally WHERE what = 'one'")
_MANY = {
    "0002_rows.sql": native(
        up="""
CREATE TABLE moved (what text, size integer DEFAULT 1);
INSERT INTO tally VALUES ('row'), ('row');
INSERT INTO moved (what) SELECT what FROM tally;
ALTER TABLE accounts ADD COLUMN size integer NOT NULL DEFAULT 7;
UPDATE accounts SET size = size + 1;
COPY moved (what, size) FROM stdin;
copied\t3
copied\t4
\\.
CREATE INDEX moved_what ON moved (what);
""",
        down="""
ALTER TABLE accounts DROP COLUMN size;
DROP TABLE moved;
DELETE FROM tally WHERE what = 'row';
""",
    ),
    "0003_function.sql": native(
        up="""
CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS $note$
BEGIN
  -- a semicolon; and 'quotes' that are none
  INSERT INTO tally VALUES ('noted; ' || what);
END
$note$;
SELECT note('by function');
DO $$ BEGIN PERFORM note('by block'); END $$;
CREATE VIEW noted AS SELECT what FROM tally WHERE what LIKE 'noted; %';
""",
        down="""
DROP VIEW noted;
DROP FUNCTION note;
DELETE FROM tally WHERE what LIKE 'noted; %';
""",
    ),
}
_REPEATABLE = {
    "R__moved_sizes.sql": native(
        up="""
CREATE OR REPLACE VIEW moved_sizes AS SELECT what, sum(size) AS size FROM moved GROUP BY what;
INSERT INTO tally VALUES ('repeatable');
"""
    )
}
_SLOW = native(
    up="INSERT INTO tally VALUES ('early');\nSELECT pg_sleep(0.4);\nINSERT INTO tally VALUES ('late');",
    down="DELETE FROM tally WHERE what = 'early';\nSELECT pg_sleep(0.4);\nDELETE FROM tally WHERE what = 'late';",
)
_STEPWISE = native(
    bare=True,
    up="""
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE extra (n integer, what text, mood mood);
INSERT INTO extra SELECT i, 'extra ' || i FROM generate_series(1, 30) AS i;
SET search_path = app, public;
CREATE TABLE in_app (what text);
INSERT INTO in_app SELECT current_setting('search_path');
CREATE INDEX CONCURRENTLY extra_n ON extra (n);
ALTER TYPE mood ADD VALUE 'happy';
UPDATE extra SET mood = 'happy' WHERE n < 4;
SET search_path = public;
DROP INDEX CONCURRENTLY accounts_old;
ALTER TABLE extra ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
ALTER TABLE extra VALIDATE CONSTRAINT positive;
REINDEX INDEX CONCURRENTLY extra_n;
VACUUM extra;
INSERT INTO tally SELECT 'stepwise ' || count(*) FROM extra WHERE mood = 'happy';
CREATE UNIQUE INDEX CONCURRENTLY extra_what ON extra (what);
""",
    down="""
DROP INDEX CONCURRENTLY extra_what;
DELETE FROM tally WHERE what LIKE 'stepwise %';
INSERT INTO tally VALUES ('was stepwise');
CREATE INDEX CONCURRENTLY accounts_old ON accounts (name);
DROP TABLE app.in_app, extra;
DROP TYPE mood;
VACUUM;
DROP SCHEMA app;
""",
)
_INDEX = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('first');
CREATE INDEX CONCURRENTLY accounts_n ON accounts (n);
INSERT INTO tally VALUES ('last');
""",
    down="DROP INDEX CONCURRENTLY accounts_n;\nDELETE FROM tally WHERE what IN ('first', 'last');",
)
_INDEX_ALONE = native(
    bare=True,
    up="CREATE UNIQUE INDEX CONCURRENTLY accounts_n ON accounts (n);",
    down="DROP INDEX CONCURRENTLY accounts_n;",
)
_REINDEX = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('first');
REINDEX INDEX CONCURRENTLY accounts_old;
REINDEX TABLE CONCURRENTLY accounts;
""",
)
_SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.parts (n integer);
INSERT INTO app.parts SELECT generate_series(1, 40);
CREATE INDEX parts_old ON app.parts (n);
CREATE TABLE app.halves (n integer) PARTITION BY RANGE (n);
CREATE TABLE app.halves_low PARTITION OF app.halves FOR VALUES FROM (0) TO (10);
"""
_IN_A_SCHEMA = native(
    bare=True,
    up="""
SET search_path = app;
CREATE INDEX CONCURRENTLY IF NOT EXISTS parts_n ON parts (n);
DROP INDEX CONCURRENTLY parts_old;
REINDEX TABLE CONCURRENTLY parts;
ALTER TABLE halves DETACH PARTITION halves_low CONCURRENTLY;
INSERT INTO public.tally VALUES (current_setting('search_path'));
""",
)
_PARTITIONS = """
CREATE TABLE parted (n integer) PARTITION BY RANGE (n);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT generate_series(0, 19);
"""
_DETACH = native(
    bare=True,
    up="""
ALTER TABLE parted DETACH PARTITION parted_low CONCURRENTLY;
INSERT INTO tally SELECT 'left ' || count(*) FROM parted;
""",
    down="""
ALTER TABLE parted ATTACH PARTITION parted_low FOR VALUES FROM (0) TO (10);
DELETE FROM tally WHERE what LIKE 'left %';
""",
)
_FAILS = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('before the index');
CREATE UNIQUE INDEX CONCURRENTLY twins_once ON twins (n);
INSERT INTO tally VALUES ('after the index');
""",
    down="""
INSERT INTO tally VALUES ('undone');
DROP INDEX CONCURRENTLY IF EXISTS twins_once;
DELETE FROM tally WHERE what LIKE '% the index';
""",
)
_FAILS_WHOLE = native(
    up="INSERT INTO tally VALUES ('undone with the rest');\nALTER TABLE twins ADD CONSTRAINT twins_once UNIQUE (n);"
)
_ONE_TWIN = "DELETE FROM twins WHERE ctid = (SELECT max(ctid) FROM twins WHERE n = 1)"

_PROCEDURE = """
CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tally VALUES ('filled, first part');
  COMMIT;
  PERFORM pg_sleep(0.3);
  INSERT INTO tally VALUES ('filled, second part');
  COMMIT;
END
$$;
"""
_CALL = native(
    bare=True,
    up="INSERT INTO tally VALUES ('first');\nCALL fill();\nINSERT INTO tally VALUES ('last');",
)
_DO = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('first');
DO $$ BEGIN
  INSERT INTO tally VALUES ('filled, first part');
  COMMIT;
  INSERT INTO tally VALUES ('filled, second part');
END $$;
INSERT INTO tally VALUES ('last');
""",
)
_VACUUM_FULL = native(
    bare=True,
    up="INSERT INTO tally VALUES ('first');\nVACUUM FULL accounts;\nINSERT INTO tally VALUES ('last');",
)
_UNNAMED = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('first');
CREATE INDEX CONCURRENTLY ON accounts (n);
INSERT INTO tally VALUES ('last');
""",
)
_TEMPORARY = native(
    bare=True,
    up="""
CREATE TEMPORARY TABLE passing AS SELECT n FROM accounts WHERE n < 4;
VACUUM accounts;
INSERT INTO tally SELECT 'passing ' || n FROM passing;
""",
)
_PYTHON = '''
"""A table and rows, by Python."""


def up(op):
    op.execute("CREATE TABLE made (what text, size integer)")
    for size in range(3):
        op.execute(f"INSERT INTO made VALUES ('by python', {size})")
    op.execute("INSERT INTO tally VALUES ('by python')")


def down(op):
    op.execute("DROP TABLE made")
    op.execute("DELETE FROM tally WHERE what = 'by python'")
'''
_PYTHON_STEPWISE = '''
"""Rows are counted up in batches; a batch that came twice would be seen."""

transactional = False


def up(op):
    op.execute("INSERT INTO tally VALUES ('by steps')")
    op.create_index("numbers_n", "numbers", ["n"], postgresql_concurrently=True)
    op.backfill("numbers", set={"n": "n + 1"}, batch=15)
    op.execute("INSERT INTO tally VALUES ('by steps, last')")


def down(op):
    op.drop_index("numbers_n", "numbers", postgresql_concurrently=True)
    op.backfill("numbers", set={"n": "n - 1"}, batch=15)
    op.execute("DELETE FROM tally WHERE what LIKE 'by steps%'")
'''
_NUMBERS = """
CREATE TABLE numbers (id integer PRIMARY KEY, n integer NOT NULL);
INSERT INTO numbers SELECT i, i FROM generate_series(1, 60) AS i;
"""
_BACK = ("rollback", "--to", "0001_base", "--accept-data-loss")

_WRITER = "LOCK TABLE accounts IN ROW EXCLUSIVE MODE"
_READER = "LOCK TABLE accounts IN ACCESS SHARE MODE"
_OLD_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tally"


def _filled(query: Query) -> Answer:
    """Looks how far the procedure came. Half of it is taken away by hand, so that it can run again."""
    (parts,) = query("SELECT count(*) FROM tally WHERE what LIKE 'filled%'")[0]
    if parts == 2:
        return "done"
    query("DELETE FROM tally WHERE what LIKE 'filled%'")
    return "again"


def _once_more(_: Query) -> Answer:
    """Nobody can see whether a table was rewritten, and once more does no harm."""
    return "again"


def _indexed(query: Query) -> Answer:
    """Looks for an index that the server named. A broken one is taken away by hand, so that it can be built again."""
    found = query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('accounts_n_idx')")
    if found and found[0][0]:
        return "done"
    query("DROP INDEX IF EXISTS accounts_n_idx")
    return "again"


def _by_hand(query: Query) -> Answer:
    """The temporary table is gone: what was to be done with it is done by hand, where it was not done."""
    if not query("SELECT 1 FROM tally WHERE what LIKE 'passing%'"):
        query("INSERT INTO tally SELECT 'passing ' || n FROM accounts WHERE n < 4")
    return "applied"


HISTORIES: tuple[History, ...] = (
    History(name="one", database="postgresql", group="transactions", before=_APPLICATION, files={"0001_one.sql": _ONE}),
    History(
        name="many",
        database="postgresql",
        group="transactions",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, **_MANY, **_REPEATABLE},
    ),
    History(
        name="long transaction",
        database="postgresql",
        group="transactions",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_slow.sql": _SLOW, "0003_one.sql": _ONE},
        holds=(Hold(name="asleep", waits="pg_sleep", sql=""),),
    ),
    History(
        name="stepwise",
        database="postgresql",
        pooled=False,
        group="steps",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_stepwise.sql": _STEPWISE, "0003_rows.sql": _MANY["0002_rows.sql"]},
    ),
    History(
        name="index concurrently",
        database="postgresql",
        group="concurrently",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_index.sql": _INDEX, "0003_one.sql": _ONE},
        holds=(
            Hold(name="a writer", waits="CREATE INDEX CONCURRENTLY", sql=_WRITER),
            Hold(name="an old snapshot", waits="CREATE INDEX CONCURRENTLY", sql=_OLD_SNAPSHOT),
        ),
    ),
    History(
        name="index alone",
        database="postgresql",
        group="concurrently",
        before=_APPLICATION,
        files={"0001_index.sql": _INDEX_ALONE},
        holds=(
            Hold(name="a writer", waits="CREATE UNIQUE INDEX CONCURRENTLY", sql=_WRITER),
            Hold(name="an old snapshot", waits="CREATE UNIQUE INDEX CONCURRENTLY", sql=_OLD_SNAPSHOT),
        ),
    ),
    History(
        name="reindex concurrently",
        database="postgresql",
        group="concurrently",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_reindex.sql": _REINDEX, "0003_one.sql": _ONE},
        holds=(
            Hold(name="a writer", waits="REINDEX", sql=_WRITER),
            Hold(name="an old snapshot", waits="REINDEX", sql=_OLD_SNAPSHOT),
            Hold(name="a reader", waits="REINDEX", sql=_READER),
        ),
    ),
    History(
        name="detach concurrently",
        database="postgresql",
        group="concurrently",
        before=_APPLICATION + _PARTITIONS,
        files={"0001_base.sql": _BASE, "0002_detach.sql": _DETACH, "0003_one.sql": _ONE},
        holds=(Hold(name="a reader", waits="DETACH PARTITION", sql="SELECT count(*) FROM parted"),),
    ),
    History(
        name="in a schema on the path",
        database="postgresql",
        pooled=False,
        group="concurrently",
        before=_APPLICATION + _SCHEMA,
        files={"0001_base.sql": _BASE, "0002_schema.sql": _IN_A_SCHEMA, "0003_one.sql": _ONE},
        holds=(
            Hold(name="a writer", waits="CREATE INDEX CONCURRENTLY", sql="LOCK TABLE app.parts IN ROW EXCLUSIVE MODE"),
            Hold(name="an old snapshot", waits="CREATE INDEX CONCURRENTLY", sql=_OLD_SNAPSHOT),
            Hold(name="a reader", waits="DROP INDEX CONCURRENTLY", sql="SELECT count(*) FROM app.parts"),
            Hold(name="a reader of the whole", waits="DETACH PARTITION", sql="SELECT count(*) FROM app.halves"),
        ),
    ),
    History(
        name="failing",
        database="postgresql",
        group="transactions",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_fails.sql": _FAILS_WHOLE},
        code=1,
        mend=_ONE_TWIN,
    ),
    History(
        name="failing, stepwise",
        database="postgresql",
        group="steps",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_fails.sql": _FAILS, "0003_one.sql": _ONE},
        code=1,
        mend=_ONE_TWIN,
    ),
    History(
        name="call that commits",
        database="postgresql",
        group="undecidable",
        before=_APPLICATION + _PROCEDURE,
        files={"0001_base.sql": _BASE, "0002_call.sql": _CALL, "0003_one.sql": _ONE},
        holds=(Hold(name="asleep", waits="CALL fill", sql=""),),
        person=_filled,
        undecidable="CALL, in a file whose transaction is turned off",
    ),
    History(
        name="block that commits",
        database="postgresql",
        group="undecidable",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_do.sql": _DO, "0003_one.sql": _ONE},
        person=_filled,
        undecidable="DO with a COMMIT or ROLLBACK in it",
    ),
    History(
        name="vacuum full",
        database="postgresql",
        group="undecidable",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_vacuum.sql": _VACUUM_FULL, "0003_one.sql": _ONE},
        person=_once_more,
        undecidable="VACUUM FULL, and CLUSTER of all tables",
    ),
    History(
        name="index without a name",
        database="postgresql",
        group="undecidable",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_index.sql": _UNNAMED, "0003_one.sql": _ONE},
        holds=(
            Hold(name="a writer", waits="CREATE INDEX CONCURRENTLY", sql=_WRITER),
            Hold(name="an old snapshot", waits="CREATE INDEX CONCURRENTLY", sql=_OLD_SNAPSHOT),
        ),
        person=_indexed,
        undecidable="CREATE INDEX CONCURRENTLY without a name for the index",
    ),
    History(
        name="temporary table",
        database="postgresql",
        pooled=False,
        group="undecidable",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_temporary.sql": _TEMPORARY, "0003_one.sql": _ONE},
        person=_by_hand,
        undecidable="steps behind one that made a temporary object",
    ),
    History(
        name="python",
        database="postgresql",
        group="python",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_python.py": _PYTHON},
        slow=True,
    ),
    History(
        name="python, stepwise",
        database="postgresql",
        group="python",
        before=_APPLICATION + _NUMBERS,
        files={"0001_base.sql": _BASE, "0002_python.py": _PYTHON_STEPWISE},
        slow=True,
    ),
    History(
        name="rollback",
        database="postgresql",
        group="rollback",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, **_MANY, "0004_slow.sql": _SLOW},
        applied=True,
        command=_BACK,
        holds=(Hold(name="asleep", waits="pg_sleep", sql=""),),
    ),
    History(
        name="rollback, stepwise",
        database="postgresql",
        pooled=False,
        group="rollback",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_stepwise.sql": _STEPWISE, "0003_rows.sql": _MANY["0002_rows.sql"]},
        applied=True,
        command=_BACK,
    ),
    History(
        name="rollback, concurrently",
        database="postgresql",
        group="rollback",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_index.sql": _INDEX, "0003_one.sql": _ONE},
        applied=True,
        command=_BACK,
        holds=(
            Hold(name="a reader", waits="DROP INDEX CONCURRENTLY", sql=_READER),
            Hold(name="a writer", waits="DROP INDEX CONCURRENTLY", sql=_WRITER),
        ),
    ),
    History(
        name="recover",
        database="postgresql",
        group="steps",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_fails.sql": _FAILS, "0003_one.sql": _ONE},
        applied=True,
        applied_code=1,
        then=_ONE_TWIN,
        command=("recover",),
    ),
    History(
        name="rollback of what is half done",
        database="postgresql",
        group="rollback",
        before=_APPLICATION,
        files={"0001_base.sql": _BASE, "0002_fails.sql": _FAILS, "0003_one.sql": _ONE},
        applied=True,
        applied_code=1,
        command=("rollback", "0002_fails", "--accept-data-loss"),
    ),
    History(
        name="rollback, python",
        database="postgresql",
        group="python",
        before=_APPLICATION + _NUMBERS,
        files={"0001_base.sql": _BASE, "0002_python.py": _PYTHON_STEPWISE},
        applied=True,
        command=_BACK,
        slow=True,
    ),
)
