"""Valid statements of PostgreSQL that are hard to cut, and how to read one statement in a test."""

from __future__ import annotations

from bascule.domain.statement import Dialect, Insight, ObjectKind, ObjectName, Statement, Touch
from bascule.sql import inspect, split

HARD = (
    "SELECT 1",
    "SELECT 'a;b', \"c;d\", $$e;f$$, $t$g;$$;h$t$, E'i\\';j', U&'k;\\0041', B'01', X'1F', U&\"l;m\"",
    "SELECT 'it''s' || E'\\\\' || '\\' || ';'",
    "SELECT E'a'\n  'b\\';c'",
    "SELECT 'a'\n\n  'b;'",
    "SELECT /* a /* nested; */ comment; */ 1 -- and; this",
    "SELECT a$b$c FROM (SELECT 1 AS a$b$c) x",
    "SELECT 1::int, (ARRAY[1,2])[1:2], 2 @> 1, 3 -(-1), 4<=-5, 'x' ~* 'y', 6 OPERATOR(pg_catalog.+) 7",
    "SELECT $1, $2::text",
    "SELECT 0x1F, 1_000, 1.5e-3, .5, 5.",
    "CREATE RULE r AS ON INSERT TO v DO INSTEAD (INSERT INTO a VALUES (1); INSERT INTO b VALUES (2))",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 ELSE 2 END; END",
    (
        "CREATE OR REPLACE PROCEDURE p(a int DEFAULT CASE WHEN true THEN 1 END) LANGUAGE sql\nBEGIN ATOMIC\n"
        "  INSERT INTO t VALUES (CASE WHEN a > 1 THEN CASE WHEN a > 2 THEN 3 END END);\n"
        '  SELECT a AS "end" FROM t;\nEND'
    ),
    "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT t.end FROM t; SELECT 1 AS end; END",
    "CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS $body$\nBEGIN\n  x := $$;$$; RETURN new; END;\n$body$",
    "CREATE FUNCTION i() RETURNS int LANGUAGE sql RETURN 1",
    "DO $$ BEGIN PERFORM 1; END $$",
    'CREATE TABLE begin_atomic (begin int, atomic int, "case" int)',
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "COMMIT",
    "INSERT INTO t (a, b) VALUES (1, 'x;'), (2, '--'), (3, '/*')",
    "WITH x AS (DELETE FROM q RETURNING *) INSERT INTO r SELECT * FROM x",
    "CREATE TABLE naïve (größe int, 表 text)",
    "COMMENT ON TABLE t IS 'a\nb;\nc'",
    "COPY t TO STDOUT",
)


def one(text: str, dialect: Dialect = "postgresql") -> Statement:
    """The only statement of a text."""
    (statement,) = split(text, dialect)
    return statement


def read(text: str, dialect: Dialect = "postgresql") -> Insight:
    """What is known of the only statement of a text."""
    return inspect(one(text, dialect), dialect)


def name(dotted: str, kind: ObjectKind = "relation") -> ObjectName:
    """``s.t`` as an object's name."""
    schema, _, last = dotted.rpartition(".")
    return ObjectName(kind=kind, name=last, schema=schema or None)


def touched(text: str, dialect: Dialect = "postgresql") -> set[str]:
    """What a statement touches by name, as in `words`; fails where it touches everything."""
    touch = read(text, dialect).touch
    assert not touch.everything, touch.reasons
    return words(touch)


def words(touch: Touch) -> set[str]:
    """``kind schema.name`` of each, with ``(column)`` or ``(partitions)`` where only these are concerned."""
    return {_words(each) for each in touch.objects}


def _words(name: ObjectName) -> str:
    dotted = f"{name.schema}.{name.name}" if name.schema else name.name
    part = "" if name.column is None else f" ({name.column or 'partitions'})"
    return f"{name.kind} {dotted}{part}"
