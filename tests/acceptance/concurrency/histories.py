"""What many processes run at once: tables without keys, so that a row that came twice is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bascule.domain.statement import Dialect
from tests.acceptance.crash.histories import History, native

EFFECTS: Mapping[str, int] = {"first": 2, "middle": 2, "by steps": 2, "more": 6, "last": 1}
"""Rows of ``seeds`` after everything has happened once, whichever history it was: how many of each `what`."""
COUNT_EFFECTS = "SELECT what, count(*) FROM seeds GROUP BY what"

_TABLES = native(up="CREATE TABLE seeds (what text, n integer);\nINSERT INTO seeds VALUES ('first', 1), ('first', 2);")
_MORE = native(
    up="INSERT INTO seeds SELECT 'more', n FROM seeds;\nALTER TABLE seeds ADD COLUMN size integer DEFAULT 1;"
)
_LAST = native(up="UPDATE seeds SET size = size + 1;\nINSERT INTO seeds VALUES ('last', 0, 0);")

_GATE = "CREATE TABLE gate (n integer)"
CLOSE_GATE = "INSERT INTO gate VALUES (1)"
"""From now on the server stays in the middle of ``0002_middle``, until the gate is opened."""
OPEN_GATE = "DELETE FROM gate"
AT_THE_GATE = "pg_sleep"
"""Part of the text of the message with which the server is at work there."""
_THROUGH_THE_GATE = native(
    up="""
INSERT INTO seeds VALUES ('middle', 1);
DO $$ BEGIN
  LOOP
    PERFORM n FROM gate;
    EXIT WHEN NOT FOUND;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
INSERT INTO seeds VALUES ('middle', 2);
"""
)
_MIDDLE = native(up="INSERT INTO seeds VALUES ('middle', 1);\nINSERT INTO seeds VALUES ('middle', 2);")
_PYTHON = """
def up(op):
    op.execute("INSERT INTO seeds VALUES ('middle', 1)")
    op.execute("INSERT INTO seeds VALUES ('middle', 2)")
"""
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


def _history(database: Dialect, middle: tuple[str, str], by_steps: str, *, before: str = "") -> History:
    return History(
        name="many processes",
        database=database,
        group="many processes",
        before=before,
        files={
            "0001_tables.sql": _TABLES,
            middle[0]: middle[1],
            "0003_by_steps.sql": by_steps,
            "0004_more.sql": _MORE,
            "0005_last.sql": _LAST,
        },
    )


Kind = Literal["SQL", "Python"]
"""``Python``: that in the middle is a function, whose statements its process sends one by one."""
ON_POSTGRESQL: Mapping[Kind, History] = {
    "SQL": _history("postgresql", ("0002_middle.sql", _THROUGH_THE_GATE), _CONCURRENTLY, before=_GATE),
    "Python": _history("postgresql", ("0002_middle.py", _PYTHON), _CONCURRENTLY),
}
ON_SQLITE = _history("sqlite", ("0002_middle.sql", _MIDDLE), _STEPWISE)
