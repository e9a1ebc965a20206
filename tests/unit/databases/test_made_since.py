"""Whose things are that stand on the tables of a backup and are not in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bascule.databases.postgres.archive import Entry
from bascule.databases.postgres.made_since import kept_since, told_since
from bascule.ports.dump import words_of

TABLE = Entry(
    id=1,
    kind="TABLE",
    section="pre",
    schema="public",
    tag="u",
    owner="me",
    catalog=1259,
    oid=100,
    sql="CREATE TABLE public.u (\n    id integer NOT NULL,\n    t integer DEFAULT 1\n);",
    drop="DROP TABLE public.u;",
    needs=(),
    table="public.u",
)
GRANT = replace(TABLE, id=2, kind="ACL", section="none", tag="TABLE u", oid=0, sql="GRANT SELECT ON u TO a;", drop="")
OTHER = replace(GRANT, id=3, sql="GRANT ALL ON u TO b;")


def index(name: str, columns: str = "(t)") -> Entry:
    sql = f"CREATE INDEX {name} ON public.u USING btree {columns};"
    return replace(TABLE, id=9, kind="INDEX", section="post", tag=name, oid=300, sql=sql, drop=f"DROP INDEX {name};")


@pytest.mark.parametrize(
    ("script", "name", "kept"),
    [
        ("truncate t cascade", "dba", True),
        ("create index dba on u (t)", "dba", False),
        ("create index on u (t)", "u_t_idx", False),
        ("create table t (u int); truncate u", "u_t_idx", True),
        ("alter table u drop column x", "u_t_idx", True),
    ],
)
def test_what_the_scripts_do_not_name_is_somebody_elses(script: str, name: str, kept: bool) -> None:
    mine = index(name)
    since = kept_since((TABLE,), (TABLE, mine), {"public.u"}, words_of(script), same_database=True)
    assert since.again == ((mine,) if kept else ())
    assert told_since((TABLE,), (TABLE, mine), {"public.u"}) == (f"index {name} on public.u, not in the backup",)


def test_rights_are_those_of_now_unless_the_run_gave_them_or_made_the_table_anew() -> None:
    nothing, tables = words_of("truncate t cascade"), {"public.u"}
    changed = kept_since((TABLE, GRANT), (TABLE, OTHER), tables, nothing, same_database=True)
    assert (changed.again, changed.not_then) == ((OTHER,), frozenset((2,)))
    taken = kept_since((TABLE, GRANT), (TABLE,), tables, nothing, same_database=True)
    assert (taken.again, taken.not_then) == ((), frozenset((2,)))
    anew = kept_since((TABLE, GRANT), (replace(TABLE, oid=101), OTHER), tables, nothing, same_database=True)
    assert (anew.again, anew.not_then) == ((OTHER,), frozenset())
    given = kept_since((TABLE,), (TABLE, OTHER), tables, words_of("grant all on u to b"), same_database=True)
    assert given.again == ()


@pytest.mark.parametrize(
    ("script", "line", "goes"),
    [
        ("truncate t cascade", "t integer DEFAULT 5", True),
        ("alter table u alter t set default 5", "t integer DEFAULT 5", False),
        ("truncate t cascade", "theirs text", True),
        # What is gone is no work that would be lost.
        ("drop function f() cascade", "t integer", False),
    ],
)
def test_what_is_in_a_tables_own_definition_cannot_be_kept(script: str, line: str, goes: bool) -> None:
    now = replace(TABLE, sql=TABLE.sql.replace("t integer DEFAULT 1", line))
    since = kept_since((TABLE,), (now,), {"public.u"}, words_of(script), same_database=True)
    assert since.goes == ((f"public.u: {line}, not so in the backup",) if goes else ())


def test_a_check_of_somebody_elses_is_made_again_by_itself() -> None:
    line = "CONSTRAINT ck CHECK ((id > 0))"
    now = replace(TABLE, sql=TABLE.sql.replace("DEFAULT 1", f"DEFAULT 1,\n    {line}"))
    since = kept_since((TABLE,), (now,), {"public.u"}, words_of("truncate t cascade"), same_database=True)
    assert ([each.sql for each in since.again], since.goes) == ([f"ALTER TABLE public.u ADD {line};"], ())
    assert since.kept == (("table public.u", "constraint ck "),)
