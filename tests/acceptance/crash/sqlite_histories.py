"""What is run on SQLite. Tables without keys, so that an effect that came twice is seen."""

from __future__ import annotations

from tests.acceptance.crash.histories import Answer, History, Query, native

_BASE = native(up="CREATE TABLE tally (what TEXT);", down="DROP TABLE tally;")
_ONE = native(up="CREATE TABLE tally (what TEXT);\nINSERT INTO tally VALUES ('one');", down="DROP TABLE tally;")
_MANY = {
    "0002_rows.sql": native(
        up="""
INSERT INTO tally VALUES ('row');
INSERT INTO tally SELECT 'copied' FROM tally;
ALTER TABLE tally ADD COLUMN size INTEGER NOT NULL DEFAULT 7;
UPDATE tally SET size = size + 1;
CREATE INDEX tally_what ON tally (what);
""",
        down="""
DROP INDEX tally_what;
ALTER TABLE tally DROP COLUMN size;
DELETE FROM tally WHERE what IN ('row', 'copied');
""",
    ),
    "0003_counted.sql": native(
        up="""
CREATE VIEW counted AS SELECT what, count(*) AS times FROM tally GROUP BY what;
CREATE TRIGGER tally_twice AFTER INSERT ON tally WHEN new.what = 'twice' BEGIN
  INSERT INTO tally (what) VALUES ('by trigger; ' || new.what);
END;
INSERT INTO tally (what) VALUES ('twice');
""",
        down="""
DELETE FROM tally WHERE what LIKE '%twice';
DROP TRIGGER tally_twice;
DROP VIEW counted;
""",
    ),
}
_REPEATABLE = {
    "R__sizes.sql": native(
        up="""
DROP VIEW IF EXISTS sizes;
CREATE VIEW sizes AS SELECT what, sum(size) AS size FROM tally GROUP BY what;
INSERT INTO tally (what) VALUES ('repeatable');
"""
    )
}
_STEPWISE = native(
    bare=True,
    up="""
CREATE TABLE extra (what TEXT, size INTEGER);
INSERT INTO tally VALUES ('before vacuum');
PRAGMA foreign_keys = ON;
VACUUM;
INSERT INTO tally VALUES ('after vacuum');
INSERT INTO extra VALUES ('extra', (SELECT count(*) FROM tally));
PRAGMA user_version = 7;
CREATE INDEX extra_what ON extra (what);
""",
    down="""
DROP TABLE extra;
VACUUM;
DELETE FROM tally WHERE what LIKE '% vacuum';
PRAGMA user_version = 0;
""",
)
_TWINS = native(
    up="CREATE TABLE tally (what TEXT);\nINSERT INTO tally VALUES ('twin'), ('twin');", down="DROP TABLE tally;"
)
_FAILS = native(
    up="INSERT INTO tally VALUES ('undone with the rest');\nCREATE UNIQUE INDEX tally_once ON tally (what);"
)
_FAILS_STEPWISE = native(
    bare=True,
    up="""
INSERT INTO tally VALUES ('first step');
VACUUM;
CREATE UNIQUE INDEX tally_once ON tally (what);
INSERT INTO tally VALUES ('last step');
""",
    down="""
INSERT INTO tally VALUES ('undone');
VACUUM;
DROP INDEX IF EXISTS tally_once;
DELETE FROM tally WHERE what IN ('first step', 'last step');
""",
)
_PYTHON = '''
"""A table and rows, by Python."""


def up(op):
    op.execute("CREATE TABLE made (what TEXT, size INTEGER)")
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
    op.execute("VACUUM")
    op.backfill("numbers", set={"n": "n + 1"}, batch=40)
    op.execute("INSERT INTO tally VALUES ('by steps, last')")


def down(op):
    op.execute("DELETE FROM tally WHERE what LIKE 'by steps%'")
    op.backfill("numbers", set={"n": "n - 1"}, batch=40)
'''
_NUMBERS = native(
    up="""
CREATE TABLE numbers (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO numbers
  WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < 200) SELECT i, i FROM counted;
""",
    down="DROP TABLE numbers;",
)
_TEMPORARY = native(
    bare=True,
    up="""
CREATE TEMPORARY TABLE passing AS SELECT 'passing' AS what;
VACUUM;
INSERT INTO tally SELECT what FROM passing;
""",
)
_ONE_TWIN = "DELETE FROM tally WHERE what = 'twin' AND rowid > (SELECT min(rowid) FROM tally WHERE what = 'twin');"
_BACK = ("rollback", "--to", "0001_base", "--accept-data-loss")


def _by_hand(query: Query) -> Answer:
    """The temporary table is gone: what was to be done with it is done by hand, where it was not done."""
    if not query("SELECT 1 FROM tally WHERE what = 'passing'"):
        query("INSERT INTO tally VALUES ('passing')")
    return "applied"


HISTORIES: tuple[History, ...] = (
    History(name="one", database="sqlite", group="transactions", files={"0001_one.sql": _ONE}),
    History(
        name="many",
        database="sqlite",
        group="transactions",
        files={"0001_base.sql": _BASE, **_MANY, **_REPEATABLE},
    ),
    History(
        name="stepwise",
        database="sqlite",
        group="steps",
        files={"0001_base.sql": _BASE, "0002_stepwise.sql": _STEPWISE, "0003_after.sql": _MANY["0002_rows.sql"]},
    ),
    History(
        name="failing",
        database="sqlite",
        group="transactions",
        files={"0001_twins.sql": _TWINS, "0002_fails.sql": _FAILS},
        code=1,
        mend=_ONE_TWIN,
    ),
    History(
        name="failing, stepwise",
        database="sqlite",
        group="steps",
        files={"0001_twins.sql": _TWINS, "0002_fails.sql": _FAILS_STEPWISE},
        code=1,
        mend=_ONE_TWIN,
    ),
    History(
        name="temporary table",
        database="sqlite",
        group="undecidable",
        files={"0001_base.sql": _BASE, "0002_temporary.sql": _TEMPORARY},
        person=_by_hand,
        undecidable="steps behind one that made a temporary object",
    ),
    History(
        name="python",
        database="sqlite",
        group="python",
        slow=True,
        files={"0001_base.sql": _BASE, "0002_python.py": _PYTHON},
    ),
    History(
        name="python, stepwise",
        database="sqlite",
        group="python",
        slow=True,
        files={"0001_base.sql": _BASE, "0002_numbers.sql": _NUMBERS, "0003_python.py": _PYTHON_STEPWISE},
    ),
    History(
        name="rollback",
        database="sqlite",
        group="rollback",
        files={"0001_base.sql": _BASE, **_MANY},
        applied=True,
        command=_BACK,
    ),
    History(
        name="rollback, stepwise",
        database="sqlite",
        group="rollback",
        files={"0001_base.sql": _BASE, "0002_stepwise.sql": _STEPWISE, "0003_after.sql": _MANY["0002_rows.sql"]},
        applied=True,
        command=_BACK,
    ),
    History(
        name="recover",
        database="sqlite",
        group="steps",
        files={"0001_twins.sql": _TWINS, "0002_fails.sql": _FAILS_STEPWISE},
        applied=True,
        applied_code=1,
        then=_ONE_TWIN,
        command=("recover",),
    ),
    History(
        name="rollback of what is half done",
        database="sqlite",
        group="rollback",
        files={"0001_twins.sql": _TWINS, "0002_fails.sql": _FAILS_STEPWISE},
        applied=True,
        applied_code=1,
        command=("rollback", "0002_fails", "--accept-data-loss"),
    ),
    History(
        name="rollback, python",
        database="sqlite",
        group="python",
        slow=True,
        files={"0001_base.sql": _BASE, "0002_numbers.sql": _NUMBERS, "0003_python.py": _PYTHON_STEPWISE},
        applied=True,
        command=_BACK,
    ),
)
