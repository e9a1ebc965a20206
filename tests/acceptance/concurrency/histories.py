"""What many processes run at once: tables without keys, so that a row that came twice is seen."""

from __future__ import annotations

from tests.acceptance.crash.histories import History, native

_TABLES = native(up="CREATE TABLE seeds (what text, n integer);\nINSERT INTO seeds VALUES ('first', 1), ('first', 2);")
_MORE = native(
    up="INSERT INTO seeds SELECT 'more', n FROM seeds;\nALTER TABLE seeds ADD COLUMN size integer DEFAULT 1;"
)
_LAST = native(up="UPDATE seeds SET size = size + 1;\nINSERT INTO seeds VALUES ('last', 0, 0);")
_CONCURRENTLY = native(
    bare=True,
    up="""
INSERT INTO seeds VALUES ('by steps', 1);
CREATE INDEX CONCURRENTLY seeds_n ON seeds (n);
INSERT INTO seeds VALUES ('by steps', 2);
REINDEX INDEX CONCURRENTLY seeds_n;
""",
)
_STEPWISE = native(
    bare=True,
    up="""
INSERT INTO seeds VALUES ('by steps', 1);
VACUUM;
INSERT INTO seeds VALUES ('by steps', 2);
CREATE INDEX seeds_n ON seeds (n);
""",
)
SECONDS = 1.0
"""How long the statement takes in which the owner is killed or frozen."""
_LONG = native(
    up=f"INSERT INTO seeds VALUES ('slow', 1);\nSELECT pg_sleep({SECONDS});\nINSERT INTO seeds VALUES ('slow', 2);"
)
_LONG_SQLITE = native(
    up="""
INSERT INTO seeds VALUES ('slow', 1);
INSERT INTO seeds
  WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < 3000000)
  SELECT 'sum', sum(i) FROM counted;
INSERT INTO seeds VALUES ('slow', 2);
"""
)

ON_POSTGRESQL = History(
    name="many processes",
    database="postgresql",
    group="many processes",
    files={
        "0001_tables.sql": _TABLES,
        "0002_concurrently.sql": _CONCURRENTLY,
        "0003_more.sql": _MORE,
        "0004_last.sql": _LAST,
    },
)
SLOW_ON_POSTGRESQL = History(
    name="a long statement",
    database="postgresql",
    group="many processes",
    files={
        "0001_tables.sql": _TABLES,
        "0002_slow.sql": _LONG,
        "0003_concurrently.sql": _CONCURRENTLY,
        "0004_more.sql": _MORE,
        "0005_last.sql": _LAST,
    },
)
ON_SQLITE = History(
    name="many processes",
    database="sqlite",
    group="many processes",
    files={
        "0001_tables.sql": _TABLES,
        "0002_stepwise.sql": _STEPWISE,
        "0003_more.sql": _MORE,
        "0004_last.sql": _LAST,
    },
)
SLOW_ON_SQLITE = History(
    name="a long statement",
    database="sqlite",
    group="many processes",
    files={
        "0001_tables.sql": _TABLES,
        "0002_slow.sql": _LONG_SQLITE,
        "0003_stepwise.sql": _STEPWISE,
        "0004_more.sql": _MORE,
        "0005_last.sql": _LAST,
    },
)
